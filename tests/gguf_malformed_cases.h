// Broken GGUF files and what reading each must say.
#ifndef WEFT_TESTS_GGUF_MALFORMED_CASES_H_
#define WEFT_TESTS_GGUF_MALFORMED_CASES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace weft::inline v0 {

struct MalformedGguf {
  std::string name;  // "<row>_<variant>", the row being that of the error id
  std::string file;
  absl::StatusCode code;
  std::vector<std::string> says;    // each must stand in the message
  std::optional<uint64_t> at = {};  // the byte that is given, where it is clear
  // The fault is in the tensor data: `header_only` accepts the file.
  bool only_data = false;
};

std::vector<MalformedGguf> MalformedGgufHeaders();
std::vector<MalformedGguf> MalformedGgufKeys();
std::vector<MalformedGguf> MalformedGgufTensors();
std::vector<MalformedGguf> MalformedGgufData();

// All of them, in this order.
std::vector<MalformedGguf> AllMalformedGgufs();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GGUF_MALFORMED_CASES_H_
