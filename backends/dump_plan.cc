#include "backends/dump_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/dump/recorder.h"
#include "graph/hash.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

DumpWork Describe(const Work& work, const DumpLimits& limits) {
  DumpWork out;
  out.weight_bytes = work.weight_bytes;
  out.state_bytes = work.state_bytes;
  out.activation_bytes = work.activation_bytes;
  out.operations = work.total_operations();
  double arithmetic_seconds = 0;
  size_t most = 0;
  for (size_t i = 0; i < kNumArithmetics; ++i) {
    if (work.operations[i] > work.operations[most]) most = i;
    if (limits.operations_per_second[i] > 0)
      arithmetic_seconds += static_cast<double>(work.operations[i]) /
                            limits.operations_per_second[i];
  }
  if (out.operations > 0)
    out.arithmetic = std::string(Name(static_cast<Arithmetic>(most)));
  if (limits.bytes_per_second > 0)
    out.least_seconds =
        std::max(arithmetic_seconds,
                 static_cast<double>(out.bytes()) / limits.bytes_per_second);
  return out;
}

class PlanDescriber {
 public:
  PlanDescriber(const Graph& graph, absl::Span<const BackendPlan> plans,
                DumpPlan& out)
      : graph_(graph), plans_(plans), out_(out) {}

  void AddSteps(absl::Span<const DumpSize> sizes, const DumpLimits& limits,
                const Dump& dump) {
    HashMap<int, int> index;  // of nodes, by number
    for (size_t i = 0; i < dump.nodes.size(); ++i)
      index[dump.nodes[i].number()] = static_cast<int>(i);
    for (size_t i = 0; i < plans_[0].steps.size(); ++i) {
      const Node& node = graph_.node(plans_[0].steps[i].node);
      DumpStep& step = out_.steps.emplace_back();
      step.node = index.at(graph_.number(node));
      for (const BackendPlan& plan : plans_) {
        // Each target may take strided views that others copy: by node.
        const PlannedStep* planned = Find(plan, node.id, i);
        step.kernels.push_back(
            planned == nullptr || planned->on_reference ? "" : planned->kernel);
      }
      for (const DumpSize& size : sizes)
        step.work.push_back(Describe(WorkOf(graph_, node, size.size), limits));
    }
  }

  void AddMemory() {
    const Plan& plan = plans_[0].plan;
    for (const NodeId id : graph_.order())
      for (const ValueId v : graph_.node(id).outputs) AddValue(plan, v);
    std::sort(out_.buffers.begin(), out_.buffers.end(),
              [](const DumpBuffer& a, const DumpBuffer& b) {
                return a.first != b.first ? a.first < b.first
                                          : a.offset < b.offset;
              });
    out_.arena_bytes = plans_[0].memory.arena;
    out_.weight_bytes = plan.weight_bytes;
    out_.state_bytes = plans_[0].memory.state;
    out_.scratch_bytes = plans_[0].memory.scratch;
    FindPeak();
  }

 private:
  static const PlannedStep* Find(const BackendPlan& plan, NodeId node,
                                 size_t guess) {
    if (guess < plan.steps.size() && plan.steps[guess].node == node)
      return &plan.steps[guess];
    for (const PlannedStep& step : plan.steps)
      if (step.node == node) return &step;
    return nullptr;
  }

  void AddValue(const Plan& plan, ValueId v) {
    const Placement& place = plan.values[static_cast<size_t>(v)];
    if (place.storage == Storage::kAlias)
      out_.aliases.push_back(
          {graph_.number(v), graph_.number(plan.Root(v)), place.is_view});
    if (place.storage != Storage::kArena) return;
    // Outputs live on after the last step, inputs from before the first.
    const int end = std::max(0, static_cast<int>(plan.steps.size()) - 1);
    out_.buffers.push_back({graph_.number(v), place.offset, place.bytes,
                            std::clamp(place.first, 0, end),
                            std::clamp(place.last, 0, end)});
  }

  void FindPeak() {
    std::vector<int64_t> change(plans_[0].plan.steps.size() + 2, 0);
    for (const DumpBuffer& b : out_.buffers) {
      change[static_cast<size_t>(b.first)] += AlignUp(b.bytes);
      change[static_cast<size_t>(b.last) + 1] -= AlignUp(b.bytes);
    }
    int64_t now = 0;
    for (size_t i = 0; i < change.size(); ++i) {
      now += change[i];
      if (now <= out_.peak_bytes) continue;
      out_.peak_bytes = now;
      out_.peak_step = static_cast<int>(i);
    }
  }

  const Graph& graph_;
  const absl::Span<const BackendPlan> plans_;
  DumpPlan& out_;
};

}  // namespace

absl::StatusOr<Dump> OptimizeAndDump(Graph& graph, const DumpOptions& options) {
  DumpRecorder recorder;
  OptimizeOptions optimize;
  optimize.check_expectations = false;
  optimize.numerics = options.numerics;
  optimize.observer = recorder.observer();
  WEFT_ASSIGN_OR_RETURN(const FusionReport report, Optimize(graph, optimize));
  Dump dump = recorder.Take();
  dump.title = options.title;
  AddRules(graph, report, dump);
  WEFT_ASSIGN_OR_RETURN(
      const auto plans,
      PlanForTargets(graph, options.backend, options.backend_options));
  AddPlan(graph, plans, UsualSizes(graph), {}, dump);
  return dump;
}

std::vector<DumpSize> UsualSizes(const Graph& graph) {
  std::vector<DumpSize> sizes;
  int64_t context = 1;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const Shape& shape = graph.value(node.outputs[0]).type.shape;
    if (shape.rank() >= 2) context = std::max(context, shape.dim(1).bound());
  }
  for (const Dim& dim : graph.Symbols()) {
    if (dim.name() != "T") continue;
    sizes.push_back(
        {"decode", {{{"T", 1}, {"R", 1}}, std::max<int64_t>(0, context - 1)}});
    sizes.push_back({absl::StrCat("prefill of ", dim.bound()),
                     {{{"T", dim.bound()}, {"R", 1}}, 0}});
  }
  return sizes;
}

absl::StatusOr<std::vector<BackendPlan>> PlanForTargets(
    const Graph& graph, absl::string_view backend,
    const BackendOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const auto chosen, MakeBackend(backend, options));
  std::vector<BackendPlan> plans;
  WEFT_ASSIGN_OR_RETURN(plans.emplace_back(), chosen->Plan(graph));
  for (const std::string& target : chosen->Targets()) {
    if (target == plans[0].target) continue;
    BackendOptions other = options;
    other.target = target;
    WEFT_ASSIGN_OR_RETURN(const auto made, MakeBackend(backend, other));
    WEFT_ASSIGN_OR_RETURN(plans.emplace_back(), made->Plan(graph));
  }
  return plans;
}

void AddPlan(const Graph& graph, absl::Span<const BackendPlan> plans,
             absl::Span<const DumpSize> sizes, const DumpLimits& limits,
             Dump& dump) {
  dump.plan = DumpPlan();
  for (const BackendPlan& plan : plans)
    dump.plan.targets.push_back(plan.target);
  for (const DumpSize& size : sizes) dump.plan.work_sizes.push_back(size.name);
  PlanDescriber describer(graph, plans, dump.plan);
  describer.AddSteps(sizes, limits, dump);
  describer.AddMemory();
}

absl::Status AddProfile(const Profile& profile, absl::string_view name,
                        absl::string_view work_size, Dump& dump) {
  if (profile.steps.size() != dump.plan.steps.size())
    return absl::InvalidArgumentError(absl::StrCat(
        "the profile has ", profile.steps.size(), " steps, the plan ",
        dump.plan.steps.size(), ": it is of another graph"));
  const auto& sizes = dump.plan.work_sizes;
  const auto size = static_cast<size_t>(
      std::find(sizes.begin(), sizes.end(), work_size) - sizes.begin());
  DumpProfile& out = dump.profiles.emplace_back();
  out.name = std::string(name);
  const auto runs = static_cast<double>(std::max<int64_t>(1, profile.runs));
  out.seconds = profile.elapsed / runs;
  for (size_t i = 0; i < profile.steps.size(); ++i) {
    const StepProfile& step = profile.steps[i];
    DumpTime& time = out.times.emplace_back();
    time.step = static_cast<int>(i);
    time.seconds = step.elapsed / runs;
    if (step.mean > 0) time.imbalance = step.slowest / step.mean - 1;
    if (step.elapsed > 0) time.waiting = 1 - step.slowest / step.elapsed;
    if (size < sizes.size() && time.seconds > 0)
      time.limit = dump.plan.steps[i].work[size].least_seconds / time.seconds;
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
