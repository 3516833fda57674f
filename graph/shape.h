// Dimensions, shapes and tensor types.
#ifndef WEFT_GRAPH_SHAPE_H_
#define WEFT_GRAPH_SHAPE_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "graph/small_vector.h"

namespace weft::inline v0 {

// The largest rank of a tensor. Five is what attention over grouped heads of
// several sequences needs when somebody writes it out by hand.
inline constexpr int kMaxRank = 5;

// One dimension: a constant, or a symbol with an upper bound whose value is
// given at each step (T tokens, R rows of logits, ...). A small value type.
class Dim {
 public:
  constexpr Dim(int64_t n = 0) : bound_(n) {}  // NOLINT: 64 reads as a Dim

  // A symbol. `name` is cut at 7 characters; `bound` >= 1 is the largest value
  // that a step may give it.
  static constexpr Dim Symbol(absl::string_view name, int64_t bound) {
    Dim dim(bound);
    for (size_t i = 0; i < name.size() && i + 1 < dim.name_.size(); ++i)
      dim.name_[i] = name[i];
    return dim;
  }

  constexpr bool is_symbol() const { return name_[0] != '\0'; }
  constexpr bool is_constant() const { return !is_symbol(); }
  // The value of a constant, the upper bound of a symbol.
  constexpr int64_t bound() const { return bound_; }
  // Empty for constants.
  constexpr absl::string_view name() const { return name_.data(); }

  std::string ToString() const;  // "64" or "T"

  constexpr bool operator==(const Dim&) const = default;

 private:
  int64_t bound_;
  std::array<char, 8> name_{};
};

// Values of symbols in one step.
class SymbolValues {
 public:
  SymbolValues() = default;
  SymbolValues(
      std::initializer_list<std::pair<absl::string_view, int64_t>> values);

  void Set(absl::string_view name, int64_t value);
  // The constant itself, or the symbol's value; a symbol without a value has
  // its bound.
  int64_t Of(const Dim& dim) const;

 private:
  SmallVector<std::pair<std::string, int64_t>, 4> values_;
};

// Dimensions from the slowest to the fastest, as in NumPy.
class Shape {
 public:
  Shape() = default;  // rank 0: a scalar
  Shape(std::initializer_list<Dim> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const Dim> dims)
      : dims_(dims.begin(), dims.end()) {}
  static Shape FromInts(absl::Span<const int64_t> dims);

  int rank() const { return static_cast<int>(dims_.size()); }
  // Negative axes count from the end: dim(-1) is the fastest.
  const Dim& dim(int axis) const {
    return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  Dim& dim(int axis) {
    return dims_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  void Append(Dim dim) { dims_.push_back(dim); }

  absl::Span<const Dim> dims() const { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }

  // Number of elements with every symbol at its bound; the largest int64 where
  // that overflows.
  int64_t BoundElements() const;
  // Concrete dimensions under `values`.
  SmallVector<int64_t, kMaxRank> Bind(const SymbolValues& values) const;

  std::string ToString() const;  // "[T,64]"

  bool operator==(const Shape&) const = default;

 private:
  SmallVector<Dim, kMaxRank> dims_;
};

// No tensor is larger: far above what any machine has, and low enough for the
// sizes of a graph's tensors to be added up.
inline constexpr int64_t kMaxTensorBytes = int64_t{1} << 56;

struct TensorType {  // What a value is.
  DType dtype = DType::kUnknown;
  Shape shape;

  // Bytes with every symbol at its bound; rows are whole blocks, the last of
  // which may be part padding (the builder lets only states have such). 0 for a
  // dtype without a size, the largest int64 where the size overflows.
  int64_t BoundBytes() const;

  std::string ToString() const;  // "q8_0[64,64]"

  bool operator==(const TensorType&) const = default;
};

using TensorTypes = SmallVector<TensorType, 2>;  // an op's results

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_SHAPE_H_
