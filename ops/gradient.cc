#include "ops/gradient.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"
#include "ops/recompute.h"

namespace weft::inline v0 {
namespace {

class Differentiator {
 public:
  Differentiator(Value loss, absl::Span<const Value> parameters)
      : graph_(*loss.graph()),
        loss_(loss),
        // A copy: the graph grows while it is walked.
        order_(graph_.order().begin(), graph_.order().end()),
        recomputer_(graph_, order_, parameters) {
    Grow();
    for (const Value& p : parameters) depends_[Index(p.id())] = true;
  }

  absl::Status Run() {
    MarkDependents(order_);
    if (depends_[Index(loss_.id())]) {
      const Dims ones(static_cast<size_t>(loss_.rank()), 1);
      gradient_[Index(loss_.id())] =
          graph_.Constant(HostTensor::FromFloats(ones, {1.0f}), Where());
    }
    return Walk(order_);
  }

  Value Of(Value v) const { return gradient_[Index(v.id())]; }

 private:
  static size_t Index(ValueId id) { return static_cast<size_t>(id); }

  // Room for the values that there are now.
  void Grow() {
    depends_.resize(static_cast<size_t>(graph_.num_values()), false);
    gradient_.resize(depends_.size());
    reached_from_.resize(depends_.size(), -1);
  }

  // What the parameters flow into, through f32 alone: indices have no gradient.
  void MarkDependents(absl::Span<const NodeId> order) {
    for (const NodeId id : order) {
      const Node& node = graph_.node(id);
      bool depends = false;
      for (const ValueId in : node.inputs) depends |= depends_[Index(in)];
      for (const ValueId out : node.outputs)
        if (depends && graph_.value(out).type.dtype == DType::kF32)
          depends_[Index(out)] = true;
    }
  }

  absl::Status Walk(absl::Span<const NodeId> order) {
    for (auto id = order.rbegin(); id != order.rend(); ++id)
      WEFT_RETURN_IF_ERROR(Visit(*id));
    return graph_.status();
  }

  absl::Status Visit(NodeId id) {
    // A copy: rules add nodes.
    const Node node = graph_.node(id);
    Values grad;
    Value any;
    bool wants = false;
    for (const ValueId v : node.outputs) {
      grad.push_back(gradient_[Index(v)]);
      if (IsSet(grad.back())) any = grad.back();
    }
    for (const ValueId v : node.inputs) wants |= depends_[Index(v)];
    if (!IsSet(any) || !wants) return absl::OkStatus();
    Values in, out;
    for (const ValueId v : node.inputs) in.push_back(ForRule(v, any));
    if (node.op->gradient == nullptr) {
      if (node.op->expand == nullptr) return NoRule(node);
      return ThroughExpansion(node, in, grad);
    }
    for (const ValueId v : node.outputs) out.push_back(ForRule(v, any));
    const Graph::Origin origin(graph_, node, "gradient");
    const Values result = node.op->gradient({in, out, grad, node.attrs});
    WEFT_RETURN_IF_ERROR(graph_.status());
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (depends_[Index(node.inputs[i])])
        WEFT_RETURN_IF_ERROR(
            Add(node, i, i < result.size() ? result[i] : Value()));
    return absl::OkStatus();
  }

  // Nodes that this class added have nothing to be computed again.
  Value ForRule(ValueId id, Value after) {
    return Index(id) < recomputed_below_ ? recomputer_.ForRule(id, after)
                                         : Value(&graph_, id);
  }

  // A fused op: the rules of what it stands for, which is built from the same
  // operands.
  absl::Status ThroughExpansion(const Node& node, const Values& in,
                                const Values& grad) {
    const NodeId first = graph_.num_nodes();
    Values out;
    {
      const Graph::Origin origin(graph_, node, "gradient");
      out = node.op->expand({in, node.attrs});
    }
    WEFT_RETURN_IF_ERROR(graph_.status());
    Grow();
    std::vector<NodeId> chain;
    for (NodeId id = first; id < graph_.num_nodes(); ++id) chain.push_back(id);
    for (size_t i = 0; i < in.size(); ++i)
      if (depends_[Index(node.inputs[i])]) depends_[Index(in[i].id())] = true;
    MarkDependents(chain);
    for (size_t i = 0; i < out.size(); ++i)
      if (IsSet(grad[i]) && depends_[Index(out[i].id())])
        Sum(out[i].id(), grad[i], node.outputs[i]);
    WEFT_RETURN_IF_ERROR(Walk(chain));
    // What was computed again stands for the operand itself.
    for (size_t i = 0; i < in.size(); ++i) {
      Value& part = gradient_[Index(in[i].id())];
      if (in[i].id() == node.inputs[i] || !IsSet(part)) continue;
      Sum(node.inputs[i], std::exchange(part, Value()), node.outputs[0]);
    }
    return absl::OkStatus();
  }

  void Sum(ValueId of, Value more, ValueId from) {
    Value& sum = gradient_[Index(of)];
    if (!IsSet(sum)) reached_from_[Index(of)] = from;
    sum = IsSet(sum) ? weft::Add(sum, more) : more;
  }

  absl::Status Add(const Node& node, size_t i, Value more) {
    const ValueId in = node.inputs[i];
    if (!IsSet(more))
      return absl::UnimplementedError(
          absl::StrCat(graph_.Describe(node), ": ", node.op->name,
                       " has no gradient for its operand ", i, Path(node)));
    const TensorType& type = graph_.value(in).type;
    if (more.type() != type)
      return absl::InternalError(absl::StrCat(
          graph_.Describe(node), ": the gradient of operand ", i, " is ",
          more.type().ToString(), ", not ", type.ToString()));
    Sum(in, more, node.outputs[0]);
    return absl::OkStatus();
  }

  absl::Status NoRule(const Node& node) const {
    return absl::UnimplementedError(
        absl::StrCat(graph_.Describe(node), ": ", node.op->name,
                     " has no gradient rule", Path(node)));
  }

  // "; the loss reaches it by mul %9 <- add %11 <- cross_entropy %13".
  std::string Path(const Node& node) const {
    std::string path;
    ValueId at = -1;
    for (const ValueId out : node.outputs)
      if (reached_from_[Index(out)] >= 0) at = reached_from_[Index(out)];
    for (; at >= 0; at = reached_from_[Index(at)])
      absl::StrAppend(&path,
                      path.empty() ? "; the loss reaches it by " : " <- ",
                      graph_.producer(at).op->name, " %", graph_.number(at));
    return path;
  }

  Graph& graph_;
  const Value loss_;
  const std::vector<NodeId> order_;
  Recomputer recomputer_;
  const size_t recomputed_below_ = static_cast<size_t>(graph_.num_values());
  // By ValueId.
  std::vector<bool> depends_;  // on a parameter
  std::vector<Value> gradient_;
  std::vector<ValueId> reached_from_;  // what brought the first gradient
};

absl::Status CheckArguments(Value loss, absl::Span<const Value> parameters) {
  if (!IsSet(loss))
    return absl::InvalidArgumentError("gradient: the loss is unset");
  const Graph& graph = *loss.graph();
  WEFT_RETURN_IF_ERROR(graph.status());
  bool one = loss.dtype() == DType::kF32;
  for (const Dim& dim : loss.shape()) one = one && dim == Dim(1);
  if (!one)
    return absl::InvalidArgumentError(absl::StrCat("gradient: the loss ",
                                                   graph.Describe(loss.id()),
                                                   " is not one f32 number"));
  for (const Value& p : parameters)
    if (p.graph() != &graph || p.poisoned() || p.dtype() != DType::kF32)
      return absl::InvalidArgumentError(absl::StrCat(
          "gradient: ",
          p.graph() == &graph && !p.poisoned() ? graph.Describe(p.id())
                                               : "a parameter",
          " is no f32 value of the loss's graph"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<Value>> Gradient(
    Value loss, absl::Span<const Value> parameters) {
  WEFT_RETURN_IF_ERROR(CheckArguments(loss, parameters));
  Differentiator run(loss, parameters);
  WEFT_RETURN_IF_ERROR(run.Run());
  std::vector<Value> gradients;
  for (const Value& p : parameters) {
    gradients.push_back(run.Of(p));
    if (!IsSet(gradients.back()))
      return absl::InvalidArgumentError(
          absl::StrCat("gradient: the loss does not depend on ",
                       loss.graph()->Describe(p.id())));
  }
  return gradients;
}

}  // namespace weft::inline v0
