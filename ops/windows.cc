#include "ops/windows.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/passes.h"
#include "graph/status_macros.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/gather.h"
#include "ops/gradient.h"
#include "ops/matmul.h"
#include "ops/recurrent.h"
#include "ops/rules/rules.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {
namespace {

class Copier {
 public:
  Copier(const Graph& from, const WindowOptions& options, Graph& into)
      : from_(from),
        options_(options),
        into_(into),
        values_(static_cast<size_t>(from.num_values())) {}

  absl::StatusOr<Values> Run() {
    for (const NodeId id : from_.order()) {
      WEFT_RETURN_IF_ERROR(CopyNode(from_.node(id)));
      WEFT_RETURN_IF_ERROR(into_.status());
    }
    Values outputs;
    for (const Graph::NamedValue& out : from_.outputs())
      outputs.push_back(Of(out.value));
    return outputs;
  }

 private:
  Value& Of(ValueId id) { return values_[static_cast<size_t>(id)]; }

  absl::Status Refuse(const Node& node, absl::string_view why) const {
    return absl::UnimplementedError(
        absl::StrCat(from_.Describe(node), ": cannot be trained yet: ", why));
  }

  Shape Bound(const Shape& shape) const {
    Shape bound;
    for (const Dim& dim : shape)
      bound.Append(dim.is_symbol() ? Dim(options_.windows * options_.length)
                                   : dim);
    return bound;
  }

  Attrs Bound(const Attrs& attrs) const {
    Attrs bound;
    for (const auto& [name, value] : attrs) {
      const Shape* shape = value.As<Shape>();
      bound.Add(name, shape != nullptr ? AttrValue(Bound(*shape)) : value);
    }
    return bound;
  }

  absl::Status CopyNode(const Node& node) {
    const TensorType& type = from_.value(node.outputs[0]).type;
    Value& out = Of(node.outputs[0]);
    switch (node.op->kind) {
      case OpKind::kInput:
        out = into_.Input(node.name, type.dtype, Bound(type.shape), node.where);
        return absl::OkStatus();
      case OpKind::kWeight:
        out = options_.weight(into_, node);
        return absl::OkStatus();
      case OpKind::kConstant:
        out = into_.Constant(*node.constant, node.where);
        return absl::OkStatus();
      case OpKind::kState:
        return absl::OkStatus();  // see its writer
      case OpKind::kAny:
      case OpKind::kCompute:
        break;
    }
    if (node.op == &kAppend) return absl::OkStatus();
    if (node.op == &kAttention) return CopyAttention(node);
    return CopyCompute(node);
  }

  absl::Status CopyCompute(const Node& node) {
    if (node.op == &kCausalConv || node.op == &kSelectiveScan)
      CopyState(from_.producer(node.inputs[0]));
    Values in;
    for (const ValueId v : node.inputs) {
      if (Of(v).graph() == nullptr)
        return Refuse(node, "it reads a state that is no cache of attention");
      in.push_back(Of(v));
    }
    if (node.op == &kDequant && in[0].dtype() == DType::kF32) {
      Of(node.outputs[0]) = in[0];
      return absl::OkStatus();
    }
    const Values out =
        into_.EmitAll(*node.op, in, Bound(node.attrs), node.where);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      Of(node.outputs[i]) = out[i];
      const std::string& name = from_.value(node.outputs[i]).name;
      if (!name.empty()) out[i].Named(name);
      if (options_.checkpoint_layers && absl::StartsWith(name, "layer."))
        Of(node.outputs[i]) = Checkpoint(out[i], node.where);
    }
    return absl::OkStatus();
  }

  // With one slot.
  void CopyState(const Node& node) {
    const TensorType& type = from_.value(node.outputs[0]).type;
    Shape shape = type.shape;
    shape.dim(0) = 1;
    Of(node.outputs[0]) = into_.State(node.name, type.dtype, shape, node.where);
  }

  // What a cache holds of this step: f32[T, G, D] as [windows, length, G, D],
  // one head for each query head.
  Value Cached(Value rows, int64_t heads, Where at) const {
    const int64_t groups = rows.dim(1).bound();
    const Value split = Reshape(
        rows, {options_.windows, options_.length, groups, rows.dim(2)}, at);
    return heads == groups ? split : Repeat(split, 2, heads / groups, at);
  }

  absl::Status CopyAttention(const Node& node) {
    const Attrs& a = node.attrs;
    const Node& keys = from_.producer(node.inputs[1]);
    const Node& values = from_.producer(node.inputs[2]);
    if (keys.op != &kAppend || values.op != &kAppend)
      return Refuse(node, "attention without a cache");
    if (a.Int("has_bias") != 0) return Refuse(node, "a bias on its scores");
    const Where at = node.where;
    // Scaled here: scores are many times as large.
    const Value q = Scale(Of(node.inputs[0]), a.Float("scale", 1), at);
    const int64_t heads = q.dim(1).bound();
    const int64_t windows = options_.windows, length = options_.length;
    const Value k = Cached(Of(keys.inputs[1]), heads, at);
    const Value v = Cached(Of(values.inputs[1]), heads, at);
    const Value rows = Permute(
        Reshape(q, {windows, length, heads, q.dim(2)}, at), {0, 2, 1, 3}, at);
    // Two steps: products read the first strided and the second transposed.
    const Value keys_by_head = Permute(k, {0, 2, 1, 3}, at);
    Value s = MatMul(rows, Transpose(keys_by_head, at), at);
    if (const double cap = a.Float("softcap"); cap > 0)
      s = Scale(Tanh(Scale(s, 1 / cap, at), at), cap, at);
    if (a.Int("has_pos") != 0)
      s = Mask(s, Slice(Of(node.inputs[3]), 0, 0, length, at),
               {a.Int("causal") != 0, a.Int("window"), /*query_axis=*/2}, at);
    Value sinks;
    if (a.Int("has_sinks") != 0)
      sinks = Reshape(Of(node.inputs.back()), {heads, 1, 1}, at);
    const Value mixed =
        MatMul(Softmax(s, sinks, at), Permute(v, {0, 2, 1, 3}, at), at);
    Of(node.outputs[0]) = Reshape(Permute(mixed, {0, 2, 1, 3}, at),
                                  {windows * length, heads, v.dim(3)}, at);
    return absl::OkStatus();
  }

  const Graph& from_;
  const WindowOptions& options_;
  Graph& into_;
  std::vector<Value> values_;  // by ValueId of `from_`
};

}  // namespace

absl::StatusOr<Values> CopyForWindows(Graph& model,
                                      const WindowOptions& options,
                                      Graph& into) {
  WEFT_RETURN_IF_ERROR(model.Finish());
  FusionReport report;
  std::vector<Rule> rules;
  rules.push_back(AttentionRule());
  const Pass passes[] = {Rewrite("find_attention", std::move(rules), &report),
                         DeadCode()};
  WEFT_RETURN_IF_ERROR(RunPasses(model, passes));
  return Copier(model, options, into).Run();
}

}  // namespace weft::inline v0
