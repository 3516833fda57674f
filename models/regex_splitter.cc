#define PCRE2_CODE_UNIT_WIDTH 8
#include "models/regex_splitter.h"

#include <pcre2.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Free>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free>;

// Where PCRE2 gives up, as a multiple of the text. The patterns go over a text
// a few times at most.
constexpr uint32_t kStepsPerByte = 64;
constexpr uint32_t kMostSteps = 0x7FFFFFFF;

std::string Describe(int error) {
  PCRE2_UCHAR message[160];
  pcre2_get_error_message(error, message, sizeof(message));
  return reinterpret_cast<const char*>(message);
}

// A text as PCRE2 wants it: valid UTF-8.
struct Subject {
  absl::string_view text;
  std::string copy;  // of a text that is not valid
  // By byte of the copy, and one more at its end: the byte of the original.
  std::vector<uint32_t> original;

  explicit Subject(absl::string_view given) : text(given) {
    if (IsValidUtf8(given)) return;
    for (size_t i = 0; i < given.size();) {
      const Utf8Prefix prefix = ReadUtf8(given.substr(i));
      const bool whole = prefix.kind == Utf8Prefix::kCharacter;
      const absl::string_view character =
          whole ? given.substr(i, prefix.size) : kReplacementCharacter;
      copy.append(character.data(), character.size());
      original.resize(copy.size(), static_cast<uint32_t>(i));
      i += whole ? prefix.size : 1;
    }
    original.push_back(static_cast<uint32_t>(given.size()));
    text = copy;
  }
};

}  // namespace

struct RegexSplitter::Pattern {
  std::unique_ptr<pcre2_code, Free> code;
  PreSplit::Cut cut;
};

namespace {

// One pass of one pattern over the pieces of a text.
class Pass {
 public:
  Pass(const pcre2_code* code, PreSplit::Cut cut, absl::string_view text,
       pcre2_match_context* context)
      : code_(code),
        cut_(cut),
        text_(text),
        context_(context),
        data_(pcre2_match_data_create(1, nullptr)) {}

  // `ends` as RegexSplitter::Split gives them.
  absl::StatusOr<std::vector<uint32_t>> Run(const std::vector<uint32_t>& ends) {
    if (data_ == nullptr)
      return absl::ResourceExhaustedError("no memory for a match");
    out_.reserve(ends.size());
    uint32_t begin = 0;
    for (const uint32_t end : ends) {
      WEFT_RETURN_IF_ERROR(CutPiece(begin, end));
      begin = end;
    }
    return std::move(out_);
  }

 private:
  absl::Status CutPiece(uint32_t begin, uint32_t end) {
    const auto* piece = reinterpret_cast<PCRE2_SPTR>(text_.data()) + begin;
    const PCRE2_SIZE size = end - begin;
    PCRE2_SIZE at = 0;
    while (at < size) {
      const int found = pcre2_match(code_, piece, size, at, PCRE2_NO_UTF_CHECK,
                                    data_.get(), context_);
      if (found == PCRE2_ERROR_NOMATCH) break;
      if (found < 0) {
        return absl::ResourceExhaustedError(
            absl::StrCat("TOK-R1: a pattern of the pre-tokenizer gave up on a "
                         "text of ",
                         size, " bytes: ", Describe(found)));
      }
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data_.get());
      Cut(begin + static_cast<uint32_t>(bounds[0]));
      if (cut_ != PreSplit::kMatch) CutThousands(begin, bounds[0], bounds[1]);
      if (cut_ != PreSplit::kGroups)
        Cut(begin + static_cast<uint32_t>(bounds[1]));
      at = bounds[1];  // no pattern matches an empty text
    }
    Cut(end);
    return absl::OkStatus();
  }

  void CutThousands(uint32_t begin, PCRE2_SIZE from, PCRE2_SIZE to) {
    const absl::string_view match = text_.substr(begin + from, to - from);
    const auto is_first = [](char byte) {
      return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
    };
    auto left = std::count_if(match.begin(), match.end(), is_first);
    for (size_t i = 0; i < match.size(); ++i) {
      if (!is_first(match[i])) continue;
      if (left-- % 3 == 0) Cut(begin + static_cast<uint32_t>(from + i));
    }
  }

  void Cut(uint32_t end) {
    if (end > (out_.empty() ? 0 : out_.back())) out_.push_back(end);
  }

  const pcre2_code* code_;
  const PreSplit::Cut cut_;
  const absl::string_view text_;
  pcre2_match_context* context_;
  MatchData data_;
  std::vector<uint32_t> out_;
};

}  // namespace

RegexSplitter::RegexSplitter() = default;
RegexSplitter::RegexSplitter(RegexSplitter&&) noexcept = default;
RegexSplitter& RegexSplitter::operator=(RegexSplitter&&) noexcept = default;
RegexSplitter::~RegexSplitter() = default;

absl::StatusOr<RegexSplitter> RegexSplitter::Compile(
    absl::Span<const PreSplit> splits) {
  RegexSplitter splitter;
  for (const PreSplit& split : splits) {
    const std::string pattern = ExpandPattern(split.pattern);
    int error = 0;
    PCRE2_SIZE at = 0;
    std::unique_ptr<pcre2_code, Free> code(pcre2_compile(
        reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
        PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
        &error, &at, nullptr));
    if (code == nullptr && error == PCRE2_ERROR_HEAP_FAILED)
      return absl::ResourceExhaustedError("no memory for a pattern");
    if (code == nullptr) {
      return absl::InternalError(
          absl::StrCat("pattern ", pattern, " at ", at, ": ", Describe(error)));
    }
    // Where there is no JIT (or none is allowed) matching is just slower.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    splitter.patterns_.push_back({std::move(code), split.cut});
  }
  return splitter;
}

absl::StatusOr<std::vector<uint32_t>> RegexSplitter::Split(
    absl::string_view text) const {
  if (text.empty()) return std::vector<uint32_t>();
  const Subject subject(text);
  const MatchContext context(pcre2_match_context_create(nullptr));
  if (context == nullptr)
    return absl::ResourceExhaustedError("no memory for a match");
  const uint64_t steps = kStepsPerByte * (uint64_t{1024} + subject.text.size());
  pcre2_set_match_limit(context.get(), static_cast<uint32_t>(std::min<uint64_t>(
                                           steps, kMostSteps)));
  std::vector<uint32_t> ends = {static_cast<uint32_t>(subject.text.size())};
  for (const Pattern& pattern : patterns_) {
    Pass pass(pattern.code.get(), pattern.cut, subject.text, context.get());
    WEFT_ASSIGN_OR_RETURN(ends, pass.Run(ends));
  }
  if (!subject.original.empty()) {
    for (uint32_t& end : ends) end = subject.original[end];
  }
  return ends;
}

}  // namespace weft::inline v0
