#include "backends/reference/reference_backend.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/status_macros.h"
#include "ops/gather.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<BackendPlan> PlanReference(const Graph& graph) {
  BackendPlan plan;
  WEFT_ASSIGN_OR_RETURN(plan.plan, MakePlan(graph, {.reuse = false}));
  for (const NodeId id : plan.plan.steps)
    plan.steps.push_back({id, "reference", true});
  plan.memory.arena = plan.plan.arena_bytes;
  plan.memory.state = plan.plan.state_bytes;
  plan.target = "scalar";
  return plan;
}

class ReferenceExecutable : public Executable {
 public:
  ReferenceExecutable(std::shared_ptr<const Graph> graph, BackendPlan plan)
      : graph_(std::move(graph)), plan_(std::move(plan)) {
    buffers_.resize(static_cast<size_t>(graph_->num_values()));
  }

  absl::Status Bind(const WeightSource& weights) {
    for (const NodeId id : graph_->order()) {
      const Node& node = graph_->node(id);
      HostTensor& tensor = At(node.outputs[0]);
      const TensorType& type = graph_->value(node.outputs[0]).type;
      if (node.op->kind == OpKind::kWeight) {
        WEFT_ASSIGN_OR_RETURN(const auto bytes, weights(node));
        tensor = HostTensor(type.dtype, type.shape.Bind({}));
        if (bytes.size() < tensor.bytes.size())
          return absl::InvalidArgumentError(absl::StrCat(
              "weight ", node.name, " has ", bytes.size(), " bytes, ",
              type.ToString(), " needs ", tensor.bytes.size()));
        std::memcpy(tensor.bytes.data(), bytes.data(), tensor.bytes.size());
      } else if (node.op->kind == OpKind::kState ||
                 node.op->kind == OpKind::kInput) {
        tensor = HostTensor(type.dtype, type.shape.Bind({}));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<absl::Span<std::byte>> Input(absl::string_view name) override {
    for (const NodeId id : graph_->order()) {
      const Node& node = graph_->node(id);
      if (node.op->kind == OpKind::kInput && node.name == name)
        return absl::MakeSpan(At(node.outputs[0]).bytes);
    }
    return absl::NotFoundError(absl::StrCat("no input is named ", name));
  }

  absl::StatusOr<absl::Span<const std::byte>> Output(
      absl::string_view name) override {
    for (const Graph::NamedValue& out : graph_->outputs())
      if (out.name == name) {
        // Before the first step: zeros, as everywhere.
        HostTensor& tensor = At(out.value);
        const TensorType& type = graph_->value(out.value).type;
        if (tensor.bytes.empty())
          tensor = HostTensor(type.dtype, type.shape.Bind({}));
        return absl::MakeConstSpan(tensor.bytes);
      }
    return absl::NotFoundError(absl::StrCat("no output is named ", name));
  }

  absl::Status Run(const SymbolValues& symbols,
                   const std::atomic<bool>* cancel) override {
    for (const Dim& dim : graph_->Symbols())
      if (symbols.Of(dim) < 1 || symbols.Of(dim) > dim.bound())
        return absl::OutOfRangeError(
            absl::StrCat("symbol ", dim.name(), " is ", symbols.Of(dim),
                         "; this graph takes 1 to ", dim.bound()));
    WEFT_ASSIGN_OR_RETURN(Interpretation run,
                          Interpret(
                              *graph_, symbols,
                              [&](const Graph& graph, const Node& node) {
                                return Source(graph, node, symbols);
                              },
                              cancel));
    KeepStates(run);
    for (const Graph::NamedValue& out : graph_->outputs()) {
      // In place, so that what Output() returned stays where it is.
      const auto& fresh = run.values[static_cast<size_t>(out.value)].bytes;
      HostTensor& kept = At(out.value);
      if (kept.bytes.size() < fresh.size()) kept.bytes.resize(fresh.size());
      std::copy(fresh.begin(), fresh.end(), kept.bytes.begin());
    }
    return absl::OkStatus();
  }

  void ResetStates() override {
    for (const NodeId id : graph_->order())
      if (graph_->node(id).op->kind == OpKind::kState) {
        auto& bytes = At(graph_->node(id).outputs[0]).bytes;
        std::fill(bytes.begin(), bytes.end(), std::byte{0});
      }
  }
  const BackendPlan& plan() const override { return plan_; }

  int64_t SlotBytes(int64_t positions) const override {
    int64_t bytes = 0;
    for (const NodeId id : graph_->order())
      if (HasSlots(id)) bytes += SlotBytes(id, positions);
    return bytes;
  }
  void SaveSlot(int64_t slot, int64_t positions,
                absl::Span<std::byte> out) const override {
    std::byte* at = out.data();
    ForEachSlot(slot, positions, [&](std::byte* state, size_t bytes) {
      std::memcpy(at, state, bytes);
      at += bytes;
    });
  }
  void LoadSlot(int64_t slot, int64_t positions,
                absl::Span<const std::byte> in) override {
    const std::byte* at = in.data();
    ForEachSlot(slot, positions, [&](std::byte* state, size_t bytes) {
      std::memcpy(state, at, bytes);
      at += bytes;
    });
  }
  void CopySlot(int64_t from, int64_t to, int64_t positions) override {
    std::vector<std::byte> rows(static_cast<size_t>(SlotBytes(positions)));
    SaveSlot(from, positions, absl::MakeSpan(rows));
    LoadSlot(to, positions, rows);
  }
  void PrepareAppend(int64_t, int64_t, int64_t) override {}  // nothing is shared

 private:
  bool HasSlots(NodeId id) const {
    const Node& node = graph_->node(id);
    return node.op->kind == OpKind::kState &&
           graph_->value(node.outputs[0]).type.shape.rank() >= 2;
  }
  const HostTensor& At(ValueId id) const {
    return buffers_[static_cast<size_t>(id)];
  }
  int64_t SlotBytes(NodeId id, int64_t positions) const {
    const HostTensor& state = At(graph_->node(id).outputs[0]);
    const int64_t all = static_cast<int64_t>(state.bytes.size()) / state.dim(0);
    for (const NodeId user : graph_->value(graph_->node(id).outputs[0]).users)
      if (graph_->node(user).op == &kAppend)
        return all / state.dim(1) * positions;
    return all;
  }
  template <class F>
  void ForEachSlot(int64_t slot, int64_t positions, const F& f) const {
    for (const NodeId id : graph_->order()) {
      if (!HasSlots(id)) continue;
      const HostTensor& state = At(graph_->node(id).outputs[0]);
      const size_t all = state.bytes.size() / static_cast<size_t>(state.dim(0));
      f(const_cast<std::byte*>(state.bytes.data()) +
            static_cast<size_t>(slot) * all,
        static_cast<size_t>(SlotBytes(id, positions)));
    }
  }

  HostTensor& At(ValueId id) { return buffers_[static_cast<size_t>(id)]; }

  // The tensor of a source; an input cut to this step's dims.
  absl::StatusOr<HostTensor> Source(const Graph& graph, const Node& node,
                                    const SymbolValues& symbols) {
    HostTensor tensor = At(node.outputs[0]);
    if (node.op->kind != OpKind::kInput) return tensor;
    const TensorType& type = graph.value(node.outputs[0]).type;
    HostTensor cut(type.dtype, type.shape.Bind(symbols));
    std::memcpy(cut.bytes.data(), tensor.bytes.data(), cut.bytes.size());
    return cut;
  }

  void KeepStates(Interpretation& run) {
    for (const NodeId id : graph_->order()) {
      const Node& node = graph_->node(id);
      if (node.op->writes_state)
        At(plan_.plan.Root(node.outputs[0])) =
            run.values[static_cast<size_t>(node.outputs[0])];
    }
  }

  std::shared_ptr<const Graph> graph_;
  BackendPlan plan_;
  std::vector<HostTensor> buffers_;  // by ValueId: sources and outputs
};

class ReferenceBackend : public Backend {
 public:
  absl::string_view name() const override { return "reference"; }
  std::vector<std::string> Targets() const override { return {"scalar"}; }
  std::vector<std::string> KernelsOf(const OpDef&) const override {
    return {"reference"};
  }
  absl::StatusOr<BackendPlan> Plan(const Graph& graph) const override {
    return PlanReference(graph);
  }
  absl::StatusOr<std::unique_ptr<Executable>> Compile(
      std::shared_ptr<const Graph> graph,
      const WeightSource& weights) const override {
    WEFT_ASSIGN_OR_RETURN(BackendPlan plan, PlanReference(*graph));
    auto executable = std::make_unique<ReferenceExecutable>(std::move(graph),
                                                            std::move(plan));
    WEFT_RETURN_IF_ERROR(executable->Bind(weights));
    return executable;
  }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Backend>> MakeReferenceBackend(
    const BackendOptions&) {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace weft::inline v0
