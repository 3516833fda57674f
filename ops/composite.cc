#include "ops/composite.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "ops/alibi.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/op_helpers.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {
namespace {

// Whether the values have types to check: sound ones of one model.
bool CanCheck(absl::Span<const Value> values) {
  const Graph* graph = GraphOf(values);
  if (graph == nullptr || graph->mode() != Graph::Mode::kModel) return false;
  for (const Value& v : values)
    if (v.poisoned() || v.graph() != graph) return false;
  return true;
}

std::string Describe(Value v) { return v.graph()->Describe(v.id()); }

// The broken constraint of Attend(), or "".
std::string AttendProblem(Value q, Value k, Value v) {
  if (q.rank() != 3 || k.rank() != 4 || v.rank() != 4)
    return "C2: wanted q [T, H, D], k [S, C, G, D] and v [S, C, G, E]";
  for (const int axis : {0, 1, 2})
    if (k.dim(axis) != v.dim(axis))
      return absl::StrCat("C3: k and v differ in dim ", axis, " (",
                          k.dim(axis).ToString(), " vs ",
                          v.dim(axis).ToString(), ")");
  if (q.dim(2) != k.dim(3))
    return absl::StrCat("C4: heads of q and k differ (", q.dim(2).ToString(),
                        " vs ", k.dim(3).ToString(), ")");
  const Dim heads = q.dim(1);
  const Dim groups = k.dim(2);
  if (heads.is_symbol() || groups.is_symbol() ||
      heads.bound() % groups.bound() != 0)
    return absl::StrCat("C1: ", heads.ToString(),
                        " query heads are no multiple of ", groups.ToString(),
                        " key heads");
  return "";
}

// The tokens' own rows of a cache, one per query head: [T, C, H, D].
Value CachedHeads(Value cache, Value slot, Dim heads, Where at) {
  const Value rows = GatherRows(Dequant(cache, at), slot, at);
  const Dim groups = cache.dim(2);
  // A pattern's or a poisoned value has no groups to count.
  if (heads == groups || groups == Dim(0)) return rows;
  return Repeat(rows, 2, heads.bound() / groups.bound(), at);
}

// What stands between the scores and the softmax.
Value Adjust(Value scores, Value pos, const AttendOptions& options, Value bias,
             int query_axis, Where at) {
  if (options.scale != 1) scores = Scale(scores, options.scale, at);
  if (options.softcap > 0)
    scores = Scale(Tanh(Scale(scores, 1 / options.softcap, at), at),
                   options.softcap, at);
  if (options.alibi > 0)
    scores = Alibi(scores, pos, options.alibi, query_axis, at);
  if (bias.graph() != nullptr) scores = Add(scores, bias, at);
  if (!options.causal && options.window == 0) return scores;
  return Mask(scores, pos, {options.causal, options.window, query_axis}, at);
}

// f32[H] as f32[H, 1, 1], or what is unset.
Value SinkColumn(Value sinks, Where at) {
  if (sinks.graph() == nullptr) return sinks;
  return Reshape(sinks, {sinks.dim(0), Dim(1), Dim(1)}, at);
}

}  // namespace

Value Linear(Value x, Value w, Where at) {
  // MatMul would say the same of a transposed, nameless operand.
  if (CanCheck({x, w}) && x.rank() >= 1 && w.rank() == 2 &&
      x.dim(-1) != w.dim(1))
    return x.graph()->Fail(
        absl::StrCat("matmul(", Describe(x), ", ", Describe(w),
                     "): C2: inner dims differ (", x.dim(-1).ToString(), " vs ",
                     w.dim(1).ToString(), ")"),
        at);
  return MatMul(x, Transpose(Dequant(w, at), at), at);
}

Value Heads(Value x, int64_t n_heads, Where at) {
  const Dim columns = x.dim(-1);
  const bool divides =
      n_heads > 0 && columns.is_constant() && columns.bound() % n_heads == 0;
  if (CanCheck({x}) && (x.rank() != 2 || !divides))
    return x.graph()->Fail(absl::StrCat("heads: C1: ", Describe(x),
                                        " is no [T, ", n_heads, " * D]"),
                           at);
  const int64_t d = n_heads > 0 ? columns.bound() / n_heads : 0;
  return Reshape(x, {x.dim(0), n_heads, d}, at);
}

Value Merge(Value x, Where at) {
  const Dim h = x.dim(1);
  const Dim d = x.dim(2);
  if (CanCheck({x}) && (x.rank() != 3 || h.is_symbol() || d.is_symbol()))
    return x.graph()->Fail(
        absl::StrCat("merge: C1: ", Describe(x),
                     " is no [T, H, D] with constant H and D"),
        at);
  return Reshape(x, {x.dim(0), h.bound() * d.bound()}, at);
}

Value SwiGlu(Value gate, Value up, Where at) {
  return Mul(Silu(gate, at), up, at);
}

Value Attend(Value q, Value k, Value v, const Step& step,
             const AttendOptions& options, Value bias, Value sinks, Where at) {
  if (CanCheck({q, k, v})) {
    const std::string problem = AttendProblem(q, k, v);
    if (!problem.empty())
      return q.graph()->Fail(
          absl::StrCat("attend: ", problem, "; q is ", Describe(q), ", k ",
                       Describe(k), ", v ", Describe(v)),
          at);
  }
  const Dim t = q.dim(0);
  const Dim heads = q.dim(1);
  const Value rows = Reshape(q, {t, heads, 1, q.dim(2)}, at);
  const Value keys =
      Permute(CachedHeads(k, step.slot, heads, at), {0, 2, 3, 1}, at);
  const Value values =
      Permute(CachedHeads(v, step.slot, heads, at), {0, 2, 1, 3}, at);
  const Value scores =
      Adjust(MatMul(rows, keys, at), step.pos, options, bias, 0, at);
  const Value mixed =
      MatMul(Softmax(scores, SinkColumn(sinks, at), at), values, at);
  return Reshape(mixed, {t, heads, v.dim(3)}, at);
}

Value AttendAll(Value q, Value k, Value v, Value pos,
                const AttendOptions& options, Value bias, Value sinks,
                Where at) {
  const int64_t groups = k.dim(1).bound();
  const int64_t group = groups == 0 ? 1 : q.dim(1).bound() / groups;
  k = Dequant(k, at);
  v = Dequant(v, at);
  if (group > 1) {
    k = Repeat(k, 1, group, at);
    v = Repeat(v, 1, group, at);
  }
  Value s = MatMul(Permute(q, {1, 0, 2}, at), Permute(k, {1, 2, 0}, at), at);
  s = Adjust(s, pos, options, bias, /*query_axis=*/1, at);
  const Value p = Softmax(s, SinkColumn(sinks, at), at);
  return Permute(MatMul(p, Permute(v, {1, 0, 2}, at), at), {1, 0, 2}, at);
}

}  // namespace weft::inline v0
