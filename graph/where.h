// Source locations of model code, captured by every DSL call.
#ifndef WEFT_GRAPH_WHERE_H_
#define WEFT_GRAPH_WHERE_H_

#include <cstdint>
#include <source_location>
#include <string>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// The line of model code that made a node. DSL functions take it as a last,
// defaulted parameter, so that an error names the caller's file and line.
struct Where {
  absl::string_view file = "";  // base name of the file, static storage
  uint32_t line = 0;           // 1-based; 0 = unknown

  constexpr Where() = default;
  // Implicit, so that `Where at = Here()` works as a default argument.
  constexpr Where(const std::source_location& at)  // NOLINT
      : file(BaseName(at.file_name())), line(at.line()) {}

  // "llama.cc:42", or "" when unknown.
  std::string ToString() const {
    if (line == 0) return "";
    return std::string(file) + ":" + std::to_string(line);
  }

  bool operator==(const Where&) const = default;

 private:
  // absl::string_view's searches are no constant expressions everywhere.
  static constexpr absl::string_view BaseName(const char* path) {
    const char* base = path;
    for (; *path != '\0'; ++path)
      if (*path == '/' || *path == '\\') base = path + 1;
    return base;
  }
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_WHERE_H_
