#include "tools/default_model.h"

#include <filesystem>
#include <system_error>

namespace weft::inline v0 {

std::optional<std::string> DefaultModelPath() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (error) return std::nullopt;
  const fs::path path =
      program.parent_path().parent_path() / "share" / "weft" / "stories.gguf";
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  return path.string();
}

}  // namespace weft::inline v0
