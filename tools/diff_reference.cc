#include "tools/diff_reference.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/status_macros.h"
#include "models/parallel.h"
#include "tools/stored_product.h"

namespace weft::inline v0 {
namespace {

// The state that a writer's chain begins with.
ValueId StateOf(const Graph& graph, const Node& writer) {
  const Node* node = &writer;
  while (node->op->kind == OpKind::kCompute)
    node = &graph.producer(node->inputs[0]);
  return node->outputs[0];
}

class ReferenceRun {
 public:
  ReferenceRun(const DiffSubject& subject, const DiffOptions& options,
               const DiffGraph& diff, const DiffStage* known,
               StepValues& values)
      : subject_(subject),
        options_(options),
        diff_(diff),
        graph_(*diff.graph),
        known_(known),
        values_(values),
        old_(static_cast<size_t>(graph_.num_values()), -1),
        same_(old_.size()) {
    values_.assign(subject.steps.size(), std::vector<HostTensor>(old_.size()));
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      if (node.op->kind != OpKind::kState) continue;
      const TensorType& type = graph_.value(node.outputs[0]).type;
      states_[node.outputs[0]] = HostTensor(type.dtype, type.shape.Bind({}));
    }
    if (known != nullptr) FindOldValues(*known->graph.graph);
  }

  absl::Status Run(const ValueVisitor& visit) {
    const auto all =
        static_cast<double>(graph_.order().size() * subject_.steps.size());
    double done = 0;
    for (step_ = 0; step_ < subject_.steps.size(); ++step_)
      for (const NodeId id : graph_.order()) {
        if (options_.cancel != nullptr && options_.cancel->load())
          return absl::CancelledError("cancelled");
        if (options_.share) options_.share(done++ / all);
        const Node& node = graph_.node(id);
        const bool from_weights = diff_.from_weights[Index(node.outputs[0])];
        const bool known = HasKnown(node);
        for (const ValueId v : node.outputs) same_[Index(v)] = known;
        if (from_weights || node.op->kind != OpKind::kCompute) continue;
        WEFT_RETURN_IF_ERROR(known ? Take(node) : Compute(node));
        if (node.op->writes_state) Keep(node);
        for (const ValueId v : node.outputs)
          WEFT_RETURN_IF_ERROR(visit(step_, v, values_[step_][Index(v)]));
      }
    return absl::OkStatus();
  }

 private:
  static size_t Index(ValueId v) { return static_cast<size_t>(v); }

  void FindOldValues(const Graph& old) {
    absl::flat_hash_map<std::string, ValueId> names;
    for (const NodeId id : old.order())
      for (const ValueId v : old.node(id).outputs) names[old.value(v).name] = v;
    for (const NodeId id : graph_.order())
      for (const ValueId v : graph_.node(id).outputs) {
        const auto found = names.find(graph_.value(v).name);
        if (found != names.end() &&
            old.value(found->second).type == graph_.value(v).type)
          old_[Index(v)] = found->second;
      }
  }

  // Whether the known graph has the node, with operands that are the same.
  bool HasKnown(const Node& node) const {
    const ValueId first = old_[Index(node.outputs[0])];
    if (first < 0) return false;
    const Node& old = known_->graph.graph->producer(first);
    if (old.op != node.op || old.attrs != node.attrs || old.name != node.name ||
        old.inputs.size() != node.inputs.size())
      return false;
    if (node.op->kind == OpKind::kConstant)
      return old.constant->bytes == node.constant->bytes;
    if (node.op->kind == OpKind::kState)
      return !changed_.contains(node.outputs[0]);
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (!same_[Index(node.inputs[i])] ||
          old_[Index(node.inputs[i])] != old.inputs[i])
        return false;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (old_[Index(node.outputs[i])] != old.outputs[i]) return false;
    return true;
  }

  const HostTensor& Known(ValueId v) const {
    return known_->values[step_][Index(old_[Index(v)])];
  }

  absl::Status Take(const Node& node) {
    for (const ValueId v : node.outputs) values_[step_][Index(v)] = Known(v);
    return absl::OkStatus();
  }

  // What a writer of a state left is there at the next step.
  void Keep(const Node& node) {
    const ValueId state = StateOf(graph_, node), v = node.outputs[0];
    states_[state] = values_[step_][Index(v)];
    if (!same_[Index(v)]) changed_.insert(state);
  }

  absl::Status Compute(const Node& node) {
    if (const auto product = FindStoredProduct(graph_, node)) {
      WEFT_RETURN_IF_ERROR(ComputeProduct(*product));
    } else {
      WEFT_ASSIGN_OR_RETURN(std::vector<HostTensor> results, ResultsOf(node));
      for (size_t i = 0; i < results.size(); ++i)
        values_[step_][Index(node.outputs[i])] = std::move(results[i]);
    }
    // A rewrite that changes nothing ends here.
    for (const ValueId v : node.outputs)
      same_[Index(v)] = old_[Index(v)] >= 0 &&
                        Known(v).bytes == values_[step_][Index(v)].bytes;
    return absl::OkStatus();
  }

  absl::Status ComputeProduct(const StoredProduct& product) {
    const Node& node = *product.node;
    std::vector<absl::Span<const std::byte>> bytes;
    for (const StoredMatrix& matrix : product.matrices) {
      WEFT_ASSIGN_OR_RETURN(bytes.emplace_back(),
                            subject_.weights(*matrix.weight));
    }
    HostTensor kept[2];
    WEFT_ASSIGN_OR_RETURN(const HostTensor* x,
                          Operand(node.inputs[0], kept[0]));
    const HostTensor* bias = nullptr;
    if (const size_t i = 1 + bytes.size(); i < node.inputs.size()) {
      WEFT_ASSIGN_OR_RETURN(bias, Operand(node.inputs[i], kept[1]));
    }
    WEFT_ASSIGN_OR_RETURN(values_[step_][Index(node.outputs[0])],
                          RunStoredProduct(graph_, product, *x, bias, bytes,
                                           subject_.steps[step_].symbols,
                                           ThreadCount(options_.threads)));
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<HostTensor>> ResultsOf(const Node& node) {
    const SymbolValues& symbols = subject_.steps[step_].symbols;
    std::vector<HostTensor> kept(node.inputs.size()), results;
    std::vector<const HostTensor*> in;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      WEFT_ASSIGN_OR_RETURN(in.emplace_back(),
                            Operand(node.inputs[i], kept[i]));
    }
    for (const ValueId v : node.outputs) {
      const TensorType& type = graph_.value(v).type;
      results.emplace_back(type.dtype, type.shape.Bind(symbols));
    }
    if (node.op->writes_state) results[0] = *in[0];
    std::vector<HostTensor*> out;
    for (HostTensor& t : results) out.push_back(&t);
    const absl::Status status = RunReference(
        *node.op, node.attrs, graph_.InputTypes(node), in, out, symbols);
    if (!status.ok())
      return absl::Status(status.code(), absl::StrCat(graph_.Describe(node),
                                                      ": ", status.message()));
    return results;
  }

  // The value, in `kept` where nobody else has it: what comes of weights alone
  // is computed when it is wanted, since all of it may be more than memory has.
  absl::StatusOr<const HostTensor*> Operand(ValueId v, HostTensor& kept) {
    const Node& node = graph_.producer(v);
    switch (node.op->kind) {
      case OpKind::kWeight: {
        WEFT_ASSIGN_OR_RETURN(kept,
                              WeightTensor(graph_, node, subject_.weights));
        return &kept;
      }
      case OpKind::kConstant:
        return node.constant.get();
      case OpKind::kState:
        return &states_[v];
      case OpKind::kInput: {
        const auto& inputs = subject_.steps[step_].inputs;
        const auto input = inputs.find(node.name);
        if (input == inputs.end())
          return absl::NotFoundError(
              absl::StrCat("the graph's input ", node.name, " has no value"));
        return &input->second;
      }
      default:
        break;
    }
    if (!diff_.from_weights[Index(v)]) return &values_[step_][Index(v)];
    WEFT_ASSIGN_OR_RETURN(std::vector<HostTensor> results, ResultsOf(node));
    kept = std::move(results[static_cast<size_t>(graph_.value(v).index)]);
    return &kept;
  }

  const DiffSubject& subject_;
  const DiffOptions& options_;
  const DiffGraph& diff_;
  const Graph& graph_;
  const DiffStage* known_;
  StepValues& values_;
  std::vector<ValueId> old_;  // by ValueId: the known graph's, or -1
  std::vector<bool> same_;    // by ValueId: holds the bits of that one
  absl::flat_hash_map<ValueId, HostTensor> states_;
  absl::flat_hash_set<ValueId> changed_;  // states that are not the same
  size_t step_ = 0;
};

}  // namespace

absl::Status RunOnReferences(const DiffSubject& subject,
                             const DiffOptions& options, const DiffGraph& graph,
                             const DiffStage* known, StepValues& values,
                             const ValueVisitor& visit) {
  return ReferenceRun(subject, options, graph, known, values).Run(visit);
}

}  // namespace weft::inline v0
