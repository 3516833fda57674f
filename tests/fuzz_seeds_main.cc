// Writes what gguf_fuzz begins with: sound files of every architecture, and
// the broken ones that tests know.
//
//   fuzz_seeds_main FOLDER
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/gguf_builder.h"
#include "tests/gguf_malformed_cases.h"
#include "tests/small_models.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

// The fuzzer changes headers; of weights the beginning will do.
constexpr size_t kMostBytes = size_t{64} << 10;

bool Write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary);
  out << bytes.substr(0, kMostBytes);
  return static_cast<bool>(out.flush());
}

int WriteSeeds(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  bool ok = !error && Write(folder / "small", SmallGguf().Build()) &&
            Write(folder / "tiny", TinyLlama().Build());
  for (const std::string& name : SmallModelNames())
    ok = ok && Write(folder / name, SmallModel(name).Build());
  for (const MalformedGguf& broken : AllMalformedGgufs())
    ok = ok && Write(folder / broken.name, broken.file);
  if (!ok) std::cerr << "fuzz_seeds_main: cannot write to " << folder << "\n";
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  if (argc == 2) return weft::WriteSeeds(argv[1]);
  std::cerr << "usage: fuzz_seeds_main FOLDER\n";
  return 1;
}
