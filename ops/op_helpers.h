// What the files of ops/ share: emitting, checks of shape rules, and walks
// over the elements of references.
#ifndef WEFT_OPS_OP_HELPERS_H_
#define WEFT_OPS_OP_HELPERS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "graph/host_tensor.h"

namespace weft::inline v0 {

// ---- DSL functions ----

// Whether an operand that may be left out was given.
inline bool IsSet(Value v) { return v.graph() != nullptr; }

// The graph of the first value that has one; null when none has.
Graph* GraphOf(absl::Span<const Value> values);
// Adds a node of `op` to the graph of its inputs. A default-constructed value
// when none of them has a graph: there is nowhere to put the error.
Value EmitNode(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
               Where at);
// Counts a negative axis of `x` from the end. An axis that does not exist, or
// one of a pattern's value, stays as it is: the shape rule reports it.
int64_t NormalAxis(Value x, int64_t axis);

// ---- Shape rules: `id` is the constraint's, "C1" ----

TensorTypes OneType(DType dtype, Shape shape);
// "C1: operand 1 is q4_0, not f32".
absl::Status RequireDType(const Call& call, absl::string_view id, size_t input,
                          DType dtype);
// Every operand is f32.
absl::Status RequireF32(const Call& call, absl::string_view id);
// Every operand's blocks hold one value, so that elements can be moved.
absl::Status RequirePlain(const Call& call, absl::string_view id);
absl::Status RequireRank(const Call& call, absl::string_view id, size_t input,
                         int rank);
absl::Status RequireMinRank(const Call& call, absl::string_view id,
                            size_t input, int rank);
// The attribute "axis" names a dimension of operand 0.
absl::Status RequireAxis(const Call& call, absl::string_view id);
// Dims after broadcasting as NumPy does.
absl::StatusOr<Shape> BroadcastDims(const Call& call, absl::string_view id,
                                    absl::Span<const Dim> a,
                                    absl::Span<const Dim> b);

// ---- References ----

// Bytes of an element of a dtype whose blocks hold one value.
size_t ElementBytes(DType dtype);
// Distance, in elements, between neighbours along each dimension.
Dims RowMajorStrides(absl::Span<const int64_t> dims);
// Strides with which a row-major tensor of `dims` is read as if it had the
// dims `out`, which it broadcasts to: 0 where it is stretched.
Dims BroadcastStrides(absl::Span<const int64_t> dims,
                      absl::Span<const int64_t> out);
// Sum of index * stride.
int64_t Offset(absl::Span<const int64_t> index,
               absl::Span<const int64_t> strides);
// OutOfRange("ids[3] is 99, not in [0, 64)") unless 0 <= value < limit.
absl::Status CheckIndex(absl::string_view what, int64_t i, int64_t value,
                        int64_t limit);

// Calls f(index) for every index below `dims`, in row-major order.
template <class F>
void ForEachIndex(absl::Span<const int64_t> dims, F f) {
  if (Elements(dims) == 0) return;
  Dims index(dims.size(), 0);
  for (;;) {
    f(absl::Span<const int64_t>(index));
    size_t axis = dims.size();
    while (axis > 0 && ++index[axis - 1] == dims[axis - 1]) index[--axis] = 0;
    if (axis == 0) return;
  }
}

// A tensor seen as [outer, n, inner] around one axis, the inner part in bytes.
struct AxisView {
  AxisView(const HostTensor& t, int64_t axis);

  int64_t outer = 1;
  int64_t n = 1;
  size_t inner_bytes = 1;
  // Where element (o, i, 0) begins.
  size_t At(int64_t o, int64_t i) const {
    return static_cast<size_t>(o * n + i) * inner_bytes;
  }
};

}  // namespace weft::inline v0

#endif  // WEFT_OPS_OP_HELPERS_H_
