// Windows of a stream of tokens, in the order in which they are trained on.
#ifndef WEFT_TOOLS_TRAIN_BATCHES_H_
#define WEFT_TOOLS_TRAIN_BATCHES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// What a window is filled into: tokens[i] and the one after it; a target of -1
// does not count.
struct WindowSpan {
  absl::Span<int32_t> tokens, targets;
};

// The windows of every epoch, shuffled: each epoch has its own order and its
// own place of the first window, so that documents are not always cut at the
// same places. All of it is a function of the seed and the window's number.
class ShuffledWindows {
 public:
  // `tokens` outlive this. InvalidArgument when they are too few for a window
  // of `length`.
  static absl::StatusOr<ShuffledWindows> Make(absl::Span<const Token> tokens,
                                              int64_t length, uint64_t seed);

  int64_t per_epoch() const { return per_epoch_; }
  // Window `number` of the run; epochs follow each other.
  void Fill(int64_t number, const WindowSpan& out);

 private:
  ShuffledWindows(absl::Span<const Token> tokens, int64_t length,
                  uint64_t seed);
  void Shuffle(int64_t epoch);

  absl::Span<const Token> tokens_;
  int64_t length_, per_epoch_;
  uint64_t seed_;
  int64_t epoch_ = -1;  // of what follows
  int64_t first_ = 0;
  std::vector<int32_t> order_;
};

// Windows of a validation text: at most `most`, evenly spread, the same every
// time.
class FixedWindows {
 public:
  FixedWindows(absl::Span<const Token> tokens, int64_t length, int64_t most);

  int64_t count() const { return count_; }
  // Window `index`; one at the end of the text may be filled up with targets
  // that do not count, and one from count() on is nothing else. The number of
  // targets that count.
  int64_t Fill(int64_t index, const WindowSpan& out) const;

 private:
  absl::Span<const Token> tokens_;
  int64_t length_, available_, count_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_BATCHES_H_
