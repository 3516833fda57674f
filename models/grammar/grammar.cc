#include "models/grammar/grammar.h"

#include <bitset>
#include <utility>
#include <vector>

#include "graph/status_macros.h"
#include "models/grammar/gbnf_parser.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

// Whether nothing but the rule's end comes at `at`.
bool OnlyEnds(const Code& code, size_t at) {
  // Forward jumps only, so that this ends.
  while (code[at].op == Inst::kJump && code[at].a > 0)
    at += static_cast<size_t>(code[at].a);
  return code[at].op == Inst::kEnd;
}

// The rules one behind the other.
Code Link(std::vector<GbnfRule> rules) {
  std::vector<int32_t> begins;
  int32_t size = 0;
  for (const GbnfRule& rule : rules) {
    begins.push_back(size);
    size += static_cast<int32_t>(rule.code.size());
  }
  Code code;
  code.reserve(static_cast<size_t>(size));
  for (const GbnfRule& rule : rules) AppendCode(rule.code, code);
  for (size_t i = 0; i < code.size(); ++i) {
    if (code[i].op != Inst::kCall) continue;
    code[i].a = begins[static_cast<size_t>(code[i].a)];
    code[i].b = OnlyEnds(code, i + 1) ? 1 : 0;
  }
  return code;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Grammar>> Grammar::Parse(
    absl::string_view text) {
  return NoThrow([&]() -> absl::StatusOr<std::shared_ptr<const Grammar>> {
    WEFT_ASSIGN_OR_RETURN(std::vector<GbnfRule> rules, ParseGbnf(text));
    WEFT_RETURN_IF_ERROR(CheckLeftRecursion(text, rules));
    // root is the first rule.
    return std::shared_ptr<const Grammar>(
        new Grammar(Link(std::move(rules)), 0));
  });
}

Grammar::Grammar(Code code, int32_t start)
    : code_(std::move(code)), start_(start) {
  std::bitset<257> begins;  // of a class
  for (const Inst& inst : code_) {
    if (inst.op != Inst::kByte || inst.lo > inst.hi) continue;
    begins.set(inst.lo);
    begins.set(inst.hi + 1u);
  }
  int classes = 0;
  for (size_t byte = 0; byte < 256; ++byte) {
    if (byte > 0 && begins[byte]) ++classes;
    classes_[byte] = static_cast<uint8_t>(classes);
  }
  class_count_ = classes + 1;
}

}  // namespace weft::inline v0
