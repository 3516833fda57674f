// The normalisation that SentencePiece models bring along.
#ifndef WEFT_MODELS_CHAR_MAP_H_
#define WEFT_MODELS_CHAR_MAP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// tokenizer.ggml.precompiled_charsmap: texts and what replaces them, a trie as
// the darts-clone library writes it (a double array in which a child is found
// by an exclusive or). Immutable, so safe to share between threads.
class CharMap {
 public:
  // Replaces nothing.
  CharMap() = default;
  // That of the file, or one that replaces nothing. InvalidArgument (TOK-V13)
  // where its type, its sizes or anything that the trie refers to is wrong.
  static absl::StatusOr<CharMap> Read(const GgufFile& file);

  struct Match {
    size_t size = 0;  // bytes of the text; 0 for none
    absl::string_view replacement;
  };
  // The longest text of the map that `text` begins with.
  Match Find(absl::string_view text) const;

 private:
  absl::Status Check(const GgufFile& file) const;
  // Where the unit's children are.
  static uint32_t Offset(uint32_t unit) {
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
  }
  // The byte that leads to the unit; more than a byte where it is none.
  static uint32_t Label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
  static bool HasValue(uint32_t unit) { return (unit >> 8 & 1) != 0; }
  static uint32_t Value(uint32_t unit) { return unit & ~(1u << 31); }

  std::vector<uint32_t> units_;
  std::string replacements_;  // each ends with a NUL
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_CHAR_MAP_H_
