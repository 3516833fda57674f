// Cuts texts by the patterns of a pre-tokenizer.
#ifndef WEFT_MODELS_REGEX_SPLITTER_H_
#define WEFT_MODELS_REGEX_SPLITTER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/pre_tokenizers.h"

namespace weft::inline v0 {

// Compiled patterns. Immutable, so safe to share between threads.
class RegexSplitter {
 public:
  // Internal for a pattern that PCRE2 does not take.
  static absl::StatusOr<RegexSplitter> Compile(
      absl::Span<const PreSplit> splits);

  RegexSplitter(RegexSplitter&&) noexcept;
  RegexSplitter& operator=(RegexSplitter&&) noexcept;
  ~RegexSplitter();

  // The byte after each piece of `text`, in order; the pieces are not empty and
  // together are the text, shorter than 2^31 bytes. A byte that is no UTF-8
  // counts as U+FFFD and is not changed.
  //
  // Work is bounded: what a pattern may go back is a multiple of the text, and
  // ResourceExhausted comes when that does not do.
  absl::StatusOr<std::vector<uint32_t>> Split(absl::string_view text) const;

 private:
  struct Pattern;  // of PCRE2
  RegexSplitter();
  std::vector<Pattern> patterns_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_REGEX_SPLITTER_H_
