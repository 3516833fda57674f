#include "graph/interpret.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/cancel.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

absl::Status RunExpansion(const OpDef& op, const Attrs& attrs,
                          absl::Span<const TensorType> in_types,
                          absl::Span<const HostTensor* const> in,
                          absl::Span<HostTensor* const> out,
                          const SymbolValues& symbols,
                          const std::atomic<bool>* cancel) {
  Graph expansion;
  const Values results = ExpandInto(expansion, op, in_types, attrs);
  WEFT_RETURN_IF_ERROR(expansion.status());
  size_t next = 0;  // sources come in the order of the op's inputs
  WEFT_ASSIGN_OR_RETURN(
      Interpretation run,
      Interpret(
          expansion, symbols,
          [&](const Graph&, const Node&) -> absl::StatusOr<HostTensor> {
            return *in[next++];
          },
          cancel));
  for (size_t i = 0; i < out.size(); ++i)
    *out[i] = std::move(run.values[static_cast<size_t>(results[i].id())]);
  return absl::OkStatus();
}

// Computes the results of one node of a run.
absl::Status RunNode(const Graph& graph, const Node& node,
                     const SymbolValues& symbols, const SourceFn& source,
                     const std::atomic<bool>* cancel,
                     std::vector<HostTensor>& values) {
  const auto tensor = [&](ValueId id) -> HostTensor& {
    return values[static_cast<size_t>(id)];
  };
  if (node.op->kind == OpKind::kConstant) {
    tensor(node.outputs[0]) = *node.constant;
    return absl::OkStatus();
  }
  if (node.op->kind != OpKind::kCompute) {
    WEFT_ASSIGN_OR_RETURN(tensor(node.outputs[0]), source(graph, node));
    return absl::OkStatus();
  }
  SmallVector<const HostTensor*, 4> in;
  for (const ValueId v : node.inputs) in.push_back(&tensor(v));
  SmallVector<HostTensor*, 2> out;
  for (const ValueId v : node.outputs) {
    const TensorType& type = graph.value(v).type;
    tensor(v) = HostTensor(type.dtype, type.shape.Bind(symbols));
    out.push_back(&tensor(v));
  }
  if (node.op->writes_state) *out[0] = *in[0];
  const absl::Status status = RunReference(
      *node.op, node.attrs, graph.InputTypes(node), in, out, symbols, cancel);
  if (status.ok() || absl::IsCancelled(status)) return status;
  return absl::Status(status.code(), absl::StrCat(graph.Describe(node), ": ",
                                                  status.message()));
}

}  // namespace

absl::Status RunReference(const OpDef& op, const Attrs& attrs,
                          absl::Span<const TensorType> in_types,
                          absl::Span<const HostTensor* const> in,
                          absl::Span<HostTensor* const> out,
                          const SymbolValues& symbols,
                          const std::atomic<bool>* cancel) {
  if (op.reference != nullptr)
    return op.reference({op, attrs, in, out, symbols});
  if (op.expand != nullptr)
    return RunExpansion(op, attrs, in_types, in, out, symbols, cancel);
  return absl::UnimplementedError(
      absl::StrCat(op.name, " has neither a reference nor an expansion"));
}

absl::StatusOr<Interpretation> Interpret(const Graph& graph,
                                         const SymbolValues& symbols,
                                         const SourceFn& source,
                                         const std::atomic<bool>* cancel) {
  Interpretation run;
  run.values.resize(static_cast<size_t>(graph.num_values()));
  for (const NodeId id : graph.order()) {
    WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
    WEFT_RETURN_IF_ERROR(
        RunNode(graph, graph.node(id), symbols, source, cancel, run.values));
  }
  return run;
}

}  // namespace weft::inline v0
