#include "backends/cpu/bind.h"

#include <algorithm>

#include "backends/cpu/kv_layout.h"
#include "backends/cpu/target_names.h"
#include "graph/status_macros.h"
#include "ops/fused.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

void SetDims(View& view, const TensorType& type, const SymbolValues& symbols) {
  view.dtype = type.dtype;
  view.rank = type.shape.rank();
  for (int axis = 0; axis < view.rank; ++axis)
    view.dims[static_cast<size_t>(axis)] = symbols.Of(type.shape.dim(axis));
}

// Derives a view's strides from those of what it views.
void DeriveView(View& view, const View& source, const Node& node) {
  const KernelParams p = ParseParams(node);
  switch (node.op->view) {
    case ViewKind::kPermute:
      for (size_t i = 0; i < static_cast<size_t>(view.rank); ++i)
        view.strides[i] = source.strides[static_cast<size_t>(p.perm[i])];
      view.dense = false;
      return;
    case ViewKind::kSlice:
      view.strides = source.strides;
      if (view.data != nullptr) view.data += p.begin * source.stride(p.axis);
      view.dense = false;
      return;
    case ViewKind::kReshape:
    case ViewKind::kNone:
      SetDenseStrides(view);
      return;
  }
}

// The layout in which the node reads its state `id`; kRows when it can do
// with no other.
StateLayout LayoutFor(const Graph& graph, const KernelList& kernels,
                      const Node& node, ValueId id) {
  const Kernel* kernel = FindKernel(kernels, graph, node);
  if (kernel == nullptr || !kernel->tiled_states || node.op != &kAttention ||
      std::count(node.inputs.begin(), node.inputs.end(), id) != 1)
    return StateLayout::kRows;
  if (node.inputs[1] == id) return StateLayout::kKeyTiles;
  if (node.inputs[2] == id) return StateLayout::kValueTiles;
  return StateLayout::kRows;
}

StateLayout LayoutOf(const Graph& graph, const KernelList& kernels,
                     ValueId state) {
  const auto& users = graph.value(state).users;
  if (graph.value(state).type.shape.rank() != 4 || users.size() != 1)
    return StateLayout::kRows;
  const Node& writer = graph.node(users[0]);
  const Kernel* kernel = FindKernel(kernels, graph, writer);
  const ValueId out = writer.outputs[0];
  if (kernel == nullptr || !kernel->tiled_states || graph.IsOutput(state) ||
      graph.IsOutput(out) || graph.value(out).users.empty())
    return StateLayout::kRows;
  StateLayout layout = StateLayout::kRows;
  for (const NodeId user : graph.value(out).users) {
    const StateLayout wanted = LayoutFor(graph, kernels, graph.node(user), out);
    if (wanted == StateLayout::kRows ||
        (layout != StateLayout::kRows && layout != wanted))
      return StateLayout::kRows;
    layout = wanted;
  }
  return layout;
}

// The widest window through which attention reads what `writer` wrote; 0 where
// a reader sees everything.
int64_t WindowOf(const Graph& graph, const Node& writer) {
  int64_t widest = 0;
  for (const NodeId id : graph.value(writer.outputs[0]).users) {
    const KernelParams p = ParseParams(graph.node(id));
    // Without positions a window means nothing, and without causality it
    // reaches tokens that are yet to come.
    if (p.window == 0 || !p.causal || !p.has_pos) return 0;
    widest = std::max(widest, p.window);
  }
  return widest;
}

StatePlace PlaceOf(const Graph& graph, const KernelList& kernels,
                   ValueId state) {
  StatePlace place = {LayoutOf(graph, kernels, state)};
  if (place.layout == StateLayout::kRows) return place;
  const Node& writer = graph.node(graph.value(state).users[0]);
  const int64_t window = WindowOf(graph, writer);
  if (window == 0) return place;
  const int64_t tokens =
      graph.value(writer.inputs[1]).type.shape.dim(0).bound();
  const int64_t kept = KeptInWindow(window, tokens);
  if (kept < graph.value(state).type.shape.dim(1).bound()) place.kept = kept;
  return place;
}

// Positions that all states allow a sequence to be taken back by.
int64_t LeastRewind(const Graph& graph, const CpuPlan& cpu) {
  int64_t least = kNoRewindLimit;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const ValueId state = node.outputs[0];
    const int64_t kept = cpu.states[static_cast<size_t>(state)].kept;
    if (kept == 0) continue;
    const Node& writer = graph.node(graph.value(state).users[0]);
    least = std::min(least, RewindInWindow(WindowOf(graph, writer), kept));
  }
  return least;
}

// The most that a size of the kernels (a member of Kernel) comes to.
int64_t MostBytes(const Graph& graph, const CpuPlan& cpu,
                  const KernelList& kernels, int threads,
                  int64_t (*Kernel::*size)(const KernelArgs&)) {
  int64_t most = 0;
  for (const NodeId id : cpu.plan.plan.steps) {
    const Node& node = graph.node(id);
    const Kernel* kernel = FindKernel(kernels, graph, node);
    if (kernel == nullptr || kernel->*size == nullptr) continue;
    std::vector<View> in, out;
    for (const ValueId v : node.inputs)
      in.push_back(MakeView(graph, cpu.plan.plan, cpu.states, v, {}, {}));
    for (const ValueId v : node.outputs)
      out.push_back(MakeView(graph, cpu.plan.plan, cpu.states, v, {}, {}));
    const KernelParams params = ParseParams(node);
    KernelArgs args;
    args.in = in;
    args.out = out;
    args.params = &params;
    args.inner = kernel->inner.get();
    args.threads = threads;
    most = std::max(most, (kernel->*size)(args));
  }
  return AlignUp(most);
}

// Gives states the size of their layout.
int64_t SizeStates(const Graph& graph, CpuPlan& cpu) {
  int64_t total = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const ValueId v = node.outputs[0];
    Placement& place = cpu.plan.plan.values[static_cast<size_t>(v)];
    place.bytes =
        StateBytes(MakeView(graph, cpu.plan.plan, cpu.states, v, {}, {}));
    total += AlignUp(place.bytes);
  }
  return total;
}

}  // namespace

bool Supports(const Kernel& kernel, const Graph& graph, const Node& node) {
  return (kernel.supports == nullptr || kernel.supports(graph, node)) &&
         (kernel.inner == nullptr || Supports(*kernel.inner, graph, node));
}

const Kernel* FindKernel(const KernelList& kernels, const Graph& graph,
                         const Node& node) {
  for (const Kernel& kernel : kernels)
    if (kernel.op == node.op && Supports(kernel, graph, node)) return &kernel;
  return nullptr;
}

std::vector<StatePlace> PlaceStates(const Graph& graph,
                                    const KernelList& kernels) {
  std::vector<StatePlace> places(static_cast<size_t>(graph.num_values()));
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind == OpKind::kState)
      places[static_cast<size_t>(node.outputs[0])] =
          PlaceOf(graph, kernels, node.outputs[0]);
  }
  return places;
}

View MakeView(const Graph& graph, const Plan& plan,
              absl::Span<const StatePlace> states, ValueId id,
              const SymbolValues& symbols, absl::Span<std::byte* const> bases) {
  const Placement& place = plan.values[static_cast<size_t>(id)];
  View view;
  SetDims(view, graph.value(id).type, symbols);
  if (place.storage == Storage::kAlias) {
    const View source =
        MakeView(graph, plan, states, place.alias_of, symbols, bases);
    view.data = source.data;
    if (place.is_view) {
      DeriveView(view, source, graph.producer(id));
      return view;
    }
  } else if (!bases.empty()) {
    view.data = bases[static_cast<size_t>(id)];
  }
  // Only states have another layout than rows.
  SetStateStrides(view, states[static_cast<size_t>(plan.Root(id))]);
  return view;
}

absl::StatusOr<CpuPlan> PlanForCpu(const Graph& graph,
                                   const KernelList& kernels, TargetMask target,
                                   int threads) {
  CpuPlan cpu;
  BackendPlan& out = cpu.plan;
  PlanOptions options;
  options.reads_strided = [&](const Node& node, int input) {
    const Kernel* kernel = FindKernel(kernels, graph, node);
    // Inputs beyond the mask (a long concat) are dense.
    return kernel != nullptr && input < 32 &&
           (kernel->strided >> input & 1) != 0;
  };
  WEFT_ASSIGN_OR_RETURN(out.plan, MakePlan(graph, options));
  cpu.states = PlaceStates(graph, kernels);
  for (const NodeId id : out.plan.steps) {
    const Kernel* kernel = FindKernel(kernels, graph, graph.node(id));
    out.steps.push_back({id, kernel ? std::string(kernel->name) : "reference",
                         kernel == nullptr});
  }
  out.memory.arena = out.plan.arena_bytes;
  out.memory.state = SizeStates(graph, cpu);
  out.rewind = LeastRewind(graph, cpu);
  cpu.worker_scratch =
      MostBytes(graph, cpu, kernels, threads, &Kernel::scratch_bytes);
  cpu.shared_scratch =
      MostBytes(graph, cpu, kernels, threads, &Kernel::shared_bytes);
  out.memory.scratch = cpu.worker_scratch * threads + cpu.shared_scratch;
  out.target = TargetName(target);
  return cpu;
}

}  // namespace cpu
}  // namespace weft::inline v0
