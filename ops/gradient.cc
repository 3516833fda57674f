#include "ops/gradient.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

class Differentiator {
 public:
  Differentiator(Value loss, absl::Span<const Value> parameters)
      : graph_(*loss.graph()),
        loss_(loss),
        // A copy: the graph grows while it is walked.
        order_(graph_.order().begin(), graph_.order().end()),
        depends_(static_cast<size_t>(graph_.num_values()), false),
        gradient_(depends_.size()),
        reached_from_(depends_.size(), -1) {
    for (const Value& p : parameters) depends_[Index(p.id())] = true;
  }

  absl::Status Run() {
    MarkDependents();
    if (depends_[Index(loss_.id())]) {
      const Dims ones(static_cast<size_t>(loss_.rank()), 1);
      gradient_[Index(loss_.id())] =
          graph_.Constant(HostTensor::FromFloats(ones, {1.0f}), Where());
    }
    for (auto id = order_.rbegin(); id != order_.rend(); ++id)
      WEFT_RETURN_IF_ERROR(Visit(*id));
    return graph_.status();
  }

  Value Of(Value v) const { return gradient_[Index(v.id())]; }

 private:
  static size_t Index(ValueId id) { return static_cast<size_t>(id); }

  // What the parameters flow into, through f32 alone: indices have no gradient.
  void MarkDependents() {
    for (const NodeId id : order_) {
      const Node& node = graph_.node(id);
      bool depends = false;
      for (const ValueId in : node.inputs) depends |= depends_[Index(in)];
      for (const ValueId out : node.outputs)
        if (depends && graph_.value(out).type.dtype == DType::kF32)
          depends_[Index(out)] = true;
    }
  }

  absl::Status Visit(NodeId id) {
    // A copy: rules add nodes.
    const Node node = graph_.node(id);
    Values in, out, grad;
    bool has_gradient = false, wants = false;
    for (const ValueId v : node.outputs) {
      out.push_back(Value(&graph_, v));
      grad.push_back(gradient_[Index(v)]);
      has_gradient |= IsSet(grad.back());
    }
    for (const ValueId v : node.inputs) {
      in.push_back(Value(&graph_, v));
      wants |= depends_[Index(v)];
    }
    if (!has_gradient || !wants) return absl::OkStatus();
    if (node.op->gradient == nullptr) return NoRule(node);
    const Graph::Origin origin(graph_, node, "gradient");
    const Values result = node.op->gradient({in, out, grad, node.attrs});
    WEFT_RETURN_IF_ERROR(graph_.status());
    for (size_t i = 0; i < in.size(); ++i)
      if (depends_[Index(in[i].id())])
        WEFT_RETURN_IF_ERROR(
            Add(node, i, in[i], i < result.size() ? result[i] : Value()));
    return absl::OkStatus();
  }

  absl::Status Add(const Node& node, size_t i, Value in, Value more) {
    if (!IsSet(more))
      return absl::UnimplementedError(
          absl::StrCat(graph_.Describe(node), ": ", node.op->name,
                       " has no gradient for its operand ", i, Path(node)));
    if (more.type() != in.type())
      return absl::InternalError(absl::StrCat(
          graph_.Describe(node), ": the gradient of operand ", i, " is ",
          more.type().ToString(), ", not ", in.type().ToString()));
    Value& sum = gradient_[Index(in.id())];
    if (IsSet(sum)) {
      sum = weft::Add(sum, more);
    } else {
      sum = more;
      reached_from_[Index(in.id())] = node.outputs[0];
    }
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
  // By ValueId, of the values that there were at first.
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
