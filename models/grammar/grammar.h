// Grammars in GBNF, llama.cpp's notation: what a generated text must look like.
//
//   root   ::= "answer: " ("yes" | "no" | number)
//   number ::= [0-9]{1,3}   # a comment
//
// A rule is alternatives (|) of sequences of "literals", [classes] and
// [^negated ones], `.` for any character, names of rules and (groups), each of
// them possibly repeated: * + ? {n} {n,} {n,m}. Escapes: \n \r \t \\ \" \[ \]
// \- \^ \xHH \uHHHH \UHHHHHHHH. A rule ends with its line, except behind ::=
// and | and within parentheses. The text is a whole `root`.
#ifndef WEFT_MODELS_GRAMMAR_GRAMMAR_H_
#define WEFT_MODELS_GRAMMAR_GRAMMAR_H_

#include <array>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/grammar/code.h"

namespace weft::inline v0 {

// A grammar that is ready to be matched. Immutable, so safe to share between
// threads.
class Grammar {
 public:
  static constexpr size_t kMaxTextBytes = 1 << 20;
  static constexpr int kMaxRules = 10'000;
  static constexpr int kMaxNesting = 200;

  // Errors name line and column. InvalidArgument for what is no GBNF, rules
  // that are not defined or defined twice, left recursion (GBNF-1 to GBNF-4);
  // ResourceExhausted beyond the limits above and kMaxGrammarCode (GBNF-5);
  // Unimplemented for tokens, <...> (GBNF-6).
  static absl::StatusOr<std::shared_ptr<const Grammar>> Parse(
      absl::string_view text);

  // All rules one behind the other.
  const Code& code() const { return code_; }
  int32_t start() const { return start_; }
  // Bytes that no instruction tells apart have the same class, counted from 0.
  const std::array<uint8_t, 256>& byte_classes() const { return classes_; }
  int byte_class_count() const { return class_count_; }

 private:
  Grammar(Code code, int32_t start);

  Code code_;
  int32_t start_;
  std::array<uint8_t, 256> classes_;
  int class_count_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_GRAMMAR_H_
