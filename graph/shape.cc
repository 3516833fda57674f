#include "graph/shape.h"
#include "graph/small_vector.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft::inline v0 {
namespace {

// a * b of numbers that are not negative.
int64_t SaturatingProduct(int64_t a, int64_t b) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return b != 0 && a > kMax / b ? kMax : a * b;
}

}  // namespace

std::string Dim::ToString() const {
  return is_symbol() ? std::string(name()) : absl::StrCat(bound_);
}

SymbolValues::SymbolValues(
    std::initializer_list<std::pair<absl::string_view, int64_t>> values) {
  for (const auto& [name, value] : values) Set(name, value);
}

void SymbolValues::Set(absl::string_view name, int64_t value) {
  for (auto& [key, old] : values_)
    if (key == name) {
      old = value;
      return;
    }
  values_.emplace_back(std::string(name), value);
}

int64_t SymbolValues::Of(const Dim& dim) const {
  if (dim.is_symbol())
    for (const auto& [key, value] : values_)
      if (key == dim.name()) return value;
  return dim.bound();
}

Shape Shape::FromInts(absl::Span<const int64_t> dims) {
  Shape shape;
  for (const int64_t n : dims) shape.Append(Dim(n));
  return shape;
}

int64_t Shape::BoundElements() const {
  int64_t n = 1;
  for (const Dim& dim : dims_) n = SaturatingProduct(n, dim.bound());
  return n;
}

SmallVector<int64_t, kMaxRank> Shape::Bind(const SymbolValues& values) const {
  SmallVector<int64_t, kMaxRank> dims;
  for (const Dim& dim : dims_) dims.push_back(values.Of(dim));
  return dims;
}

std::string Shape::ToString() const {
  return absl::StrCat("[",
                      absl::StrJoin(dims_, ",",
                                    [](std::string* out, const Dim& d) {
                                      out->append(d.ToString());
                                    }),
                      "]");
}

int64_t TensorType::BoundBytes() const {
  if (shape.rank() == 0) return RowBytes(dtype, 1).value_or(0);
  const Dim& row = shape.dim(-1);
  const int64_t rows =
      Shape(shape.dims().first(shape.dims().size() - 1)).BoundElements();
  return SaturatingProduct(PaddedRowBytes(dtype, row.bound()).value_or(0),
                           rows);
}

std::string TensorType::ToString() const {
  return absl::StrCat(Name(dtype), shape.ToString());
}

}  // namespace weft::inline v0
