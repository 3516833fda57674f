// Programs that match bytes: what the rules of a grammar become.
#ifndef WEFT_MODELS_GRAMMAR_CODE_H_
#define WEFT_MODELS_GRAMMAR_CODE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// One instruction of a nondeterministic machine with a stack (Thompson 1968,
// with calls). Distances count from the instruction itself, so that code can be
// copied anywhere.
struct Inst {
  enum Op : uint8_t {
    kByte,   // takes a byte in [lo, hi], goes on
    kSplit,  // goes on at +a and at +b
    kJump,   // goes on at +a
    kCall,   // goes on with rule a, then behind; once a grammar is linked, a is
             // where the rule begins, and b is 1 where nothing comes behind
    kEnd,    // of a rule
  };
  Op op;
  uint8_t lo = 0, hi = 0;
  int32_t a = 0, b = 0;
};
using Code = std::vector<Inst>;

// Instructions of a grammar, at most: 16 bytes each. Repetitions are written
// out, so their counts are bounded by it.
inline constexpr int64_t kMaxGrammarCode = 1 << 18;
// One grammar after the other.
void AppendCode(const Code& more, Code& out);
// The bytes one after the other.
void AppendLiteral(absl::string_view bytes, Code& out);
// One of these; not of none.
Code Alternatives(std::vector<Code> choices);
// `code` at least `min` times and at most `max`; any number of times for a
// negative `max`. The caller has bounded the size.
Code Repeated(const Code& code, int64_t min, int64_t max);
int64_t RepeatedSize(const Code& code, int64_t min, int64_t max);

// Inclusive ranges of code points.
using CodePointRanges = std::vector<std::pair<uint32_t, uint32_t>>;
// One character of any of the ranges, in UTF-8; no surrogates. Matches nothing
// if there is no such character.
Code CharacterCode(CodePointRanges ranges, bool negated);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_CODE_H_
