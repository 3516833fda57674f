#include "backends/cpu/bind.h"

#include <algorithm>

#include "backends/cpu/target_names.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// Bytes from one row to the next, and of a value for the fastest dimension.
void SetDenseStrides(View& view) {
  const DTypeInfo& info = Info(view.dtype);
  int64_t stride = info.block_bytes;
  for (int axis = view.rank - 1; axis >= 0; --axis) {
    const size_t i = static_cast<size_t>(axis);
    view.strides[i] = stride;
    const int64_t n = view.dims[i];
    // Rows that end inside a block are whole blocks in memory.
    stride *= axis == view.rank - 1
                  ? (n + info.block_values - 1) / info.block_values
                  : n;
  }
  view.dense = true;
}

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
      if (view.data != nullptr)
        view.data += p.begin * source.stride(p.axis);
      view.dense = false;
      return;
    case ViewKind::kReshape:
    case ViewKind::kNone:
      SetDenseStrides(view);
      return;
  }
}

bool IsState(const Plan& plan, ValueId id) {
  return plan.values[static_cast<size_t>(plan.Root(id))].storage ==
         Storage::kState;
}

// Scratch of the largest step for one worker.
int64_t ScratchBytes(const Graph& graph, const Plan& plan,
                     const KernelList& kernels) {
  int64_t most = 0;
  for (const NodeId id : plan.steps) {
    const Node& node = graph.node(id);
    const Kernel* kernel = FindKernel(kernels, graph, node);
    if (kernel == nullptr || kernel->scratch_bytes == nullptr) continue;
    std::vector<View> in, out;
    for (const ValueId v : node.inputs)
      in.push_back(MakeView(graph, plan, v, {}, {}));
    for (const ValueId v : node.outputs)
      out.push_back(MakeView(graph, plan, v, {}, {}));
    const KernelParams params = ParseParams(node);
    KernelArgs args;
    args.in = in;
    args.out = out;
    args.params = &params;
    args.inner = kernel->inner.get();
    most = std::max(most, kernel->scratch_bytes(args));
  }
  return AlignUp(most);
}

int64_t StateBytes(const Plan& plan) {
  int64_t total = 0;
  for (const Placement& p : plan.values)
    if (p.storage == Storage::kState) total += AlignUp(p.bytes);
  return total;
}

}  // namespace

void SetStateStrides(View& view) {
  SetDenseStrides(view);
  if (view.rank < 4) return;
  // [S, C, G, ...]: swap the order of C (axis 1) and G (axis 2) in memory.
  const int64_t row = view.strides[2];
  view.strides[1] = row;
  view.strides[2] = row * view.dims[1];
  view.dense = false;
}

const Kernel* FindKernel(const KernelList& kernels, const Graph& graph,
                         const Node& node) {
  for (const Kernel& kernel : kernels)
    if (kernel.op == node.op &&
        (kernel.supports == nullptr || kernel.supports(graph, node)))
      return &kernel;
  return nullptr;
}

View MakeView(const Graph& graph, const Plan& plan, ValueId id,
              const SymbolValues& symbols, absl::Span<std::byte* const> bases) {
  const Placement& place = plan.values[static_cast<size_t>(id)];
  View view;
  SetDims(view, graph.value(id).type, symbols);
  if (place.storage == Storage::kAlias) {
    const View source =
        MakeView(graph, plan, place.alias_of, symbols, bases);
    view.data = source.data;
    if (place.is_view) {
      DeriveView(view, source, graph.producer(id));
      return view;
    }
  } else if (!bases.empty()) {
    view.data = bases[static_cast<size_t>(id)];
  }
  if (IsState(plan, id)) {
    SetStateStrides(view);
  } else {
    SetDenseStrides(view);
  }
  return view;
}

absl::StatusOr<BackendPlan> PlanForCpu(const Graph& graph,
                                       const KernelList& kernels,
                                       TargetMask target, int threads) {
  BackendPlan out;
  PlanOptions options;
  options.reads_strided = [&](const Node& node, int input) {
    const Kernel* kernel = FindKernel(kernels, graph, node);
    // Inputs beyond the mask (a long concat) are dense.
    return kernel != nullptr && input < 32 &&
           (kernel->strided >> input & 1) != 0;
  };
  WEFT_ASSIGN_OR_RETURN(out.plan, MakePlan(graph, options));
  for (const NodeId id : out.plan.steps) {
    const Kernel* kernel = FindKernel(kernels, graph, graph.node(id));
    out.steps.push_back({id,
                         kernel ? std::string(kernel->name) : "reference",
                         kernel == nullptr});
  }
  out.memory.arena = out.plan.arena_bytes;
  out.memory.state = StateBytes(out.plan);
  out.memory.scratch = ScratchBytes(graph, out.plan, kernels) * threads;
  out.target = TargetName(target);
  return out;
}

}  // namespace cpu
}  // namespace weft::inline v0
