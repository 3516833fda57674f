#include "ops/op_helpers.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/packed.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {

Graph* GraphOf(absl::Span<const Value> values) {
  for (const Value& v : values)
    if (v.graph() != nullptr) return v.graph();
  return nullptr;
}

Value EmitNode(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
               Where at) {
  Graph* graph = GraphOf(inputs);
  if (graph == nullptr) return Value();
  return graph->Emit(op, inputs, std::move(attrs), at);
}

int64_t NormalAxis(Value x, int64_t axis) {
  return axis < 0 && axis >= -x.rank() ? axis + x.rank() : axis;
}

TensorTypes OneType(DType dtype, Shape shape) {
  TensorTypes types;
  types.push_back({dtype, std::move(shape)});
  return types;
}

absl::Status RequireDType(const Call& call, absl::string_view id, size_t input,
                          DType dtype) {
  const DType is = call.in[input].dtype;
  return call.Require(is == dtype,
                      absl::StrCat(id, ": operand ", input, " is ", Name(is),
                                   ", not ", Name(dtype)));
}

absl::Status RequireF32(const Call& call, absl::string_view id) {
  for (size_t i = 0; i < call.in.size(); ++i)
    WEFT_RETURN_IF_ERROR(RequireDType(call, id, i, DType::kF32));
  return absl::OkStatus();
}

absl::Status RequirePlain(const Call& call, absl::string_view id) {
  for (size_t i = 0; i < call.in.size(); ++i) {
    const DTypeInfo& info = Info(call.in[i].dtype);
    WEFT_RETURN_IF_ERROR(call.Require(
        info.block_values == 1 && info.block_bytes > 0 &&
            !IsPacked(call.in[i].dtype),
        absl::StrCat(id, ": operand ", i, " is ", info.name,
                     ", whose elements cannot be moved one by one")));
  }
  return absl::OkStatus();
}

absl::Status RequireRank(const Call& call, absl::string_view id, size_t input,
                         int rank) {
  const int is = call.in[input].shape.rank();
  return call.Require(
      is == rank,
      absl::StrCat(id, ": operand ", input, " has rank ", is, ", not ", rank));
}

absl::Status RequireMinRank(const Call& call, absl::string_view id,
                            size_t input, int rank) {
  const int is = call.in[input].shape.rank();
  return call.Require(is >= rank,
                      absl::StrCat(id, ": operand ", input, " has rank ", is,
                                   ", below ", rank));
}

absl::Status RequireAxis(const Call& call, absl::string_view id) {
  const int64_t axis = call.attrs.Int("axis");
  const int rank = call.in[0].shape.rank();
  return call.Require(
      axis >= 0 && axis < rank,
      absl::StrCat(id, ": axis ", axis, " of a tensor of rank ", rank));
}

absl::StatusOr<Shape> BroadcastDims(const Call& call, absl::string_view id,
                                    absl::Span<const Dim> a,
                                    absl::Span<const Dim> b) {
  if (a.size() < b.size()) std::swap(a, b);
  Shape out(a);
  const size_t shift = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i) {
    Dim& dim = out.dim(static_cast<int>(shift + i));
    WEFT_RETURN_IF_ERROR(call.Require(
        dim == b[i] || dim == Dim(1) || b[i] == Dim(1),
        absl::StrCat(id, ": dims do not broadcast (", dim.ToString(), " vs ",
                     b[i].ToString(), ")")));
    if (dim == Dim(1)) dim = b[i];
  }
  return out;
}

size_t ElementBytes(DType dtype) {
  return static_cast<size_t>(Info(dtype).block_bytes);
}

Dims RowMajorStrides(absl::Span<const int64_t> dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i > 1; --i)
    strides[i - 2] = strides[i - 1] * dims[i - 1];
  return strides;
}

Dims BroadcastStrides(absl::Span<const int64_t> dims,
                      absl::Span<const int64_t> out) {
  const Dims own = RowMajorStrides(dims);
  Dims strides(out.size(), 0);
  const size_t shift = out.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i)
    if (dims[i] != 1) strides[shift + i] = own[i];
  return strides;
}

int64_t Offset(absl::Span<const int64_t> index,
               absl::Span<const int64_t> strides) {
  int64_t offset = 0;
  for (size_t i = 0; i < index.size(); ++i) offset += index[i] * strides[i];
  return offset;
}

absl::Status CheckIndex(absl::string_view what, int64_t i, int64_t value,
                        int64_t limit) {
  if (value >= 0 && value < limit) return absl::OkStatus();
  return absl::OutOfRangeError(
      absl::StrCat(what, "[", i, "] is ", value, ", not in [0, ", limit, ")"));
}

AxisView::AxisView(const HostTensor& t, int64_t axis)
    : inner_bytes(ElementBytes(t.dtype)) {
  for (int64_t i = 0; i < t.rank(); ++i) {
    const int64_t dim = t.dims[static_cast<size_t>(i)];
    if (i < axis) outer *= dim;
    if (i == axis) n = dim;
    if (i > axis) inner_bytes *= static_cast<size_t>(dim);
  }
}

}  // namespace weft::inline v0
