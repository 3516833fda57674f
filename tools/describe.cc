#include "tools/describe.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

// "12 345 678", since byte counts are long.
std::string Grouped(int64_t n) {
  std::string digits = absl::StrCat(n);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

// Bytes of all states for one more token of one sequence: their first two
// dimensions count sequences and positions. Rings, which are smaller than what
// the graph sees, do not grow with the context.
std::string PerToken(const Graph& graph, const Plan& plan) {
  int64_t total = 0, rings = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const TensorType& type = graph.value(node.outputs[0]).type;
    if (type.shape.rank() < 2) continue;
    const Placement& place = plan.values[static_cast<size_t>(node.outputs[0])];
    if (place.bytes < type.BoundBytes()) {
      ++rings;
      continue;
    }
    const int64_t rows = type.shape.dim(0).bound() * type.shape.dim(1).bound();
    if (rows > 0) total += type.BoundBytes() / rows;
  }
  return absl::StrCat(
      Grouped(total), " per token",
      rings == 0 ? "" : absl::StrCat("; ", rings, " caches keep a window"));
}

std::string MemoryLine(absl::string_view what, int64_t bytes,
                       absl::string_view note) {
  return absl::StrFormat("%-10s %16s bytes  %s\n", what, Grouped(bytes), note);
}

// Where the memory of a value is.
std::string PlaceOf(const Graph& graph, const Plan& plan, ValueId id) {
  const ValueId root = plan.Root(id);
  const Placement& place = plan.values[static_cast<size_t>(root)];
  switch (place.storage) {
    case Storage::kArena:
      return absl::StrCat("arena+", place.offset);
    case Storage::kState:
      return graph.producer(root).name;
    case Storage::kWeight:
      return "weight";
    case Storage::kConstant:
      return "constant";
    case Storage::kNone:
    case Storage::kAlias:
      break;
  }
  return "?";
}

std::string SymbolsText(const Graph& graph) {
  return absl::StrJoin(graph.Symbols(), ", ",
                       [](std::string* out, const Dim& dim) {
                         absl::StrAppend(out, dim.name(), " <= ", dim.bound());
                       });
}

std::string StepTable(const Graph& graph, const BackendPlan& plan) {
  std::vector<TableRow> rows = {{"step", "kernel", "result", "place", "node"}};
  for (const PlannedStep& step : plan.steps) {
    const Node& node = graph.node(step.node);
    std::vector<std::string> results, places;
    for (const ValueId id : node.outputs) {
      results.push_back(absl::StrCat("%", graph.number(id), " ",
                                     graph.value(id).type.ToString()));
      places.push_back(PlaceOf(graph, plan.plan, id));
    }
    rows.push_back(
        {absl::StrCat(rows.size() - 1),
         step.on_reference ? absl::StrCat(step.kernel, " (slow)") : step.kernel,
         absl::StrJoin(results, ", "), absl::StrJoin(places, ", "),
         graph.Describe(node)});
  }
  return TextTable(rows);
}

constexpr absl::string_view kIndent = "    ";

}  // namespace

ArenaUse PeakOfArena(const Plan& plan) {
  ArenaUse peak;
  if (plan.steps.empty()) return peak;
  std::vector<int64_t> change(plan.steps.size() + 1, 0);
  for (const Placement& place : plan.values) {
    if (place.storage != Storage::kArena) continue;
    const auto last = static_cast<int>(plan.steps.size()) - 1;
    // Outputs live on after the last step.
    change[static_cast<size_t>(std::clamp(place.first, 0, last))] +=
        AlignUp(place.bytes);
    change[static_cast<size_t>(std::clamp(place.last, 0, last)) + 1] -=
        AlignUp(place.bytes);
  }
  int64_t now = 0;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    now += change[i];
    if (now > peak.bytes) peak = {now, static_cast<int>(i)};
  }
  return peak;
}

std::string DescribePlan(const Graph& graph, const BackendPlan& plan) {
  const ArenaUse peak = PeakOfArena(plan.plan);
  const auto on_reference =
      std::count_if(plan.steps.begin(), plan.steps.end(),
                    [](const PlannedStep& step) { return step.on_reference; });
  std::string out =
      absl::StrCat("plan for ", plan.target, ", ", SymbolsText(graph), "\n");
  absl::StrAppend(
      &out,
      MemoryLine("weights", plan.plan.weight_bytes, "mapped from the file"),
      MemoryLine("KV cache", plan.memory.state, PerToken(graph, plan.plan)),
      MemoryLine(
          "arena", plan.memory.arena,
          absl::StrCat("peak ", Grouped(peak.bytes), " in step ", peak.step)),
      MemoryLine("scratch", plan.memory.scratch, "of all threads"),
      plan.steps.size(), " steps, ", on_reference,
      " on the slow scalar reference\n\n", StepTable(graph, plan));
  return out;
}

std::string DescribeOps(absl::Span<const OpDef* const> ops,
                        const Backend& backend) {
  std::string out = absl::StrCat("Kernels of the backend ", backend.name(),
                                 "; this machine runs ",
                                 absl::StrJoin(backend.Targets(), ", "), ".\n");
  for (const OpDef* op : ops) {
    const std::vector<std::string> kernels = backend.KernelsOf(*op);
    const bool is_view = op->view != ViewKind::kNone;
    const std::string how = !kernels.empty() ? absl::StrJoin(kernels, ", ")
                            : is_view
                                ? "none: a view of its input"
                                : "none: runs on the slow scalar reference";
    absl::StrAppend(&out, op->name, "\n");
    const auto append = [&out](absl::string_view line) {
      absl::StrAppend(&out, kIndent);
      AppendWrapped(line, kIndent.size(), out);
    };
    for (const absl::string_view line : absl::StrSplit(op->doc, '\n'))
      append(line);
    append(absl::StrCat("kernels: ", how));
  }
  return out;
}

}  // namespace weft::inline v0
