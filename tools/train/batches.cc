#include "tools/train/batches.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/normal.h"

namespace weft::inline v0 {

absl::StatusOr<ShuffledWindows> ShuffledWindows::Make(
    absl::Span<const Token> tokens, int64_t length, uint64_t seed) {
  const auto n = static_cast<int64_t>(tokens.size());
  // One more: the last token of a window has a target.
  if (n <= length)
    return absl::InvalidArgumentError(
        absl::StrCat("the corpus has ", n, " tokens to train on; a window of ",
                     length, " (--context) needs ", length + 1));
  return ShuffledWindows(tokens, length, seed);
}

ShuffledWindows::ShuffledWindows(absl::Span<const Token> tokens, int64_t length,
                                 uint64_t seed)
    : tokens_(tokens),
      length_(length),
      per_epoch_(std::max<int64_t>(
          1, (static_cast<int64_t>(tokens.size()) - length) / length)),
      seed_(seed) {}

void ShuffledWindows::Shuffle(int64_t epoch) {
  epoch_ = epoch;
  const uint64_t key = StreamKey(seed_, absl::StrCat("epoch ", epoch));
  // Fisher and Yates. The modulo's bias is below 2^-30.
  auto draw = [key, next = uint64_t{0}](int64_t n) mutable {
    return static_cast<int64_t>(RandomBits(key, next++) %
                                static_cast<uint64_t>(n));
  };
  const int64_t rest =
      static_cast<int64_t>(tokens_.size()) - per_epoch_ * length_;
  first_ = draw(std::min(rest, length_));
  order_.resize(static_cast<size_t>(per_epoch_));
  std::iota(order_.begin(), order_.end(), 0);
  for (int64_t i = per_epoch_ - 1; i > 0; --i)
    std::swap(order_[static_cast<size_t>(i)],
              order_[static_cast<size_t>(draw(i + 1))]);
}

void ShuffledWindows::Fill(int64_t number, const WindowSpan& out) {
  if (number / per_epoch_ != epoch_) Shuffle(number / per_epoch_);
  const int64_t window = order_[static_cast<size_t>(number % per_epoch_)];
  const auto at = static_cast<size_t>(first_ + window * length_);
  const auto n = static_cast<size_t>(length_);
  std::copy_n(tokens_.begin() + static_cast<ptrdiff_t>(at), n,
              out.tokens.begin());
  std::copy_n(tokens_.begin() + static_cast<ptrdiff_t>(at) + 1, n,
              out.targets.begin());
}

FixedWindows::FixedWindows(absl::Span<const Token> tokens, int64_t length,
                           int64_t most)
    : tokens_(tokens),
      length_(length),
      // The last may be shorter.
      available_((static_cast<int64_t>(tokens.size()) - 1 + length - 1) /
                 length),
      count_(tokens.empty() ? 0 : std::min(available_, most)) {}

int64_t FixedWindows::Fill(int64_t index, const WindowSpan& out) const {
  std::fill(out.tokens.begin(), out.tokens.end(), 0);
  std::fill(out.targets.begin(), out.targets.end(), -1);
  if (index >= count_) return 0;
  const int64_t begin = index * available_ / count_ * length_;
  const int64_t n =
      std::min(length_, static_cast<int64_t>(tokens_.size()) - 1 - begin);
  const auto from = tokens_.begin() + static_cast<ptrdiff_t>(begin);
  std::copy_n(from, n, out.tokens.begin());
  std::copy_n(from + 1, n, out.targets.begin());
  return n;
}

}  // namespace weft::inline v0
