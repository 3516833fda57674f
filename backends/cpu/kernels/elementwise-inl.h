// Walks over the rows of elementwise kernels. Per-target code.
#if defined(WEFT_BACKENDS_CPU_KERNELS_ELEMENTWISE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_ELEMENTWISE_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_ELEMENTWISE_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_ELEMENTWISE_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// A task is a piece of a row of the output, so that the one long row of a
// decode step is shared among workers too. 1024 is a multiple of every vector
// length, and three pieces (12 KB) lie well inside L1.
constexpr int64_t kPiece = 1024;

HWY_INLINE int64_t PiecesPerRow(const KernelArgs& a) {
  return (a.out[0].row_length() + kPiece - 1) / kPiece;
}

HWY_INLINE int64_t PieceTasks(const KernelArgs& a) {
  return a.out[0].rows() * PiecesPerRow(a);
}

// The call, and `ns_per_value` for the values of a piece.
HWY_INLINE double PieceNs(const KernelArgs& a, double ns_per_value) {
  const int64_t n = std::min(kPiece, a.out[0].row_length());
  return 5 + static_cast<double>(n) * ns_per_value;
}

// Calls f(row, first, n) for tasks [begin, end): n values of that row of the
// output from `first` on. Pieces of all rows follow each other, so that a
// worker gets the columns that it has, as a rule, computed in the product
// before.
template <class F>
HWY_INLINE void ForEachPiece(const KernelArgs& a, int64_t begin, int64_t end,
                             const F& f) {
  const int64_t length = a.out[0].row_length();
  const int64_t rows = a.out[0].rows();
  for (int64_t task = begin; task < end; ++task) {
    const int64_t row = task % rows;
    const int64_t first = task / rows * kPiece;
    f(row, first, std::min(kPiece, length - first));
  }
}

// The rows of an input that is broadcast to the shape of an output: aligned at
// the fastest dimension, dims of 1 (or missing ones) are stretched.
class BroadcastRows {
 public:
  BroadcastRows(const View& in, const View& out)
      : in_(in),
        out_(out),
        one_row_(in.rows() == 1),
        // With as many rows, no dim but the fastest can be stretched.
        same_rows_(in.rows() == out.rows()),
        splat_(in.row_length() < out.row_length()) {}

  // Whether a row is one value that is stretched.
  bool splat() const { return splat_; }

  // Where the input's values for row r of the output begin.
  const float* Row(int64_t r) const {
    if (one_row_) return in_.RowAs<const float>(0);
    if (same_rows_) return in_.RowAs<const float>(r);
    int64_t offset = 0;
    const int missing = out_.rank - in_.rank;
    for (int axis = out_.rank - 2; axis >= missing; --axis) {
      const int64_t i = r % out_.dim(axis);
      r /= out_.dim(axis);
      if (in_.dim(axis - missing) != 1)
        offset += i * in_.stride(axis - missing);
    }
    return reinterpret_cast<const float*>(in_.data + offset);
  }

 private:
  const View& in_;
  const View& out_;
  bool one_row_, same_rows_, splat_;
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_ELEMENTWISE_INL_H_
