#include "tools/describe.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/quantize.h"

namespace weft::inline v0 {
namespace {

// "12 345 678", since byte counts are long.
std::string Grouped(int64_t n) {
  std::string digits = absl::StrCat(n);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, " ");
  return digits;
}

// Bytes of all states for one more token of one sequence: their first two
// dimensions count sequences and positions.
int64_t StateBytesPerToken(const Graph& graph) {
  int64_t total = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const TensorType& type = graph.value(node.outputs[0]).type;
    if (type.shape.rank() < 2) continue;
    const int64_t rows = type.shape.dim(0).bound() * type.shape.dim(1).bound();
    if (rows > 0) total += type.BoundBytes() / rows;
  }
  return total;
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

using Row = std::vector<std::string>;

// Columns as wide as their widest entry, but for the last.
std::string Table(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.empty() ? 0 : rows[0].size());
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      absl::StrAppend(&line, row[i],
                      std::string(widths[i] - row[i].size() + 2, ' '));
    absl::StrAppend(&out, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return out;
}

std::string StepTable(const Graph& graph, const BackendPlan& plan) {
  std::vector<Row> rows = {{"step", "kernel", "result", "place", "node"}};
  for (const PlannedStep& step : plan.steps) {
    const Node& node = graph.node(step.node);
    std::vector<std::string> results, places;
    for (const ValueId id : node.outputs) {
      results.push_back(
          absl::StrCat("%", id, " ", graph.value(id).type.ToString()));
      places.push_back(PlaceOf(graph, plan.plan, id));
    }
    rows.push_back(
        {absl::StrCat(rows.size() - 1),
         step.on_reference ? absl::StrCat(step.kernel, " (slow)") : step.kernel,
         absl::StrJoin(results, ", "), absl::StrJoin(places, ", "),
         graph.Describe(node)});
  }
  return Table(rows);
}

// Kernels that read weights of the format, "qmatmul.q4_0" and the like, with
// the targets that have them where that is not all.
std::string KernelsOfFormat(
    DType type, absl::Span<const std::unique_ptr<Backend>> targets) {
  std::vector<std::string> names;
  std::vector<size_t> counts;
  for (const auto& backend : targets)
    for (const OpDef* op : {&kQMatMul, &kQGather, &kDequant})
      for (const std::string& kernel : backend->KernelsOf(*op)) {
        if (!absl::EndsWith(kernel, absl::StrCat(".", Name(type)))) continue;
        const auto it = std::find(names.begin(), names.end(), kernel);
        if (it == names.end()) {
          names.push_back(kernel);
          counts.push_back(1);
        } else {
          ++counts[static_cast<size_t>(it - names.begin())];
        }
      }
  for (size_t i = 0; i < names.size(); ++i)
    if (counts[i] != targets.size())
      absl::StrAppend(&names[i], " (", counts[i], " of ", targets.size(),
                      " targets)");
  return names.empty() ? "none" : absl::StrJoin(names, " ");
}

Row FormatRow(const DTypeInfo& info,
              absl::Span<const std::unique_ptr<Backend>> targets) {
  const std::string kernels = KernelsOfFormat(info.type, targets);
  return {std::string(info.name),
          absl::StrCat(info.block_values),
          absl::StrCat(info.block_bytes),
          absl::StrFormat("%.4g", 8.0 * info.block_bytes / info.block_values),
          HasIntegerCodes(info.type) ? "f32 q8_a" : "f32",
          std::string(info.layout.empty() ? "(sizes only)" : info.layout),
          kernels};
}

}  // namespace

absl::StatusOr<std::string> DescribeFormats() {
  WEFT_ASSIGN_OR_RETURN(const auto best, MakeBackend("cpu"));
  std::vector<std::unique_ptr<Backend>> targets;
  for (const std::string& target : best->Targets()) {
    WEFT_ASSIGN_OR_RETURN(targets.emplace_back(),
                          MakeBackend("cpu", {.target = target}));
  }
  std::vector<Row> rows = {{"format", "values", "bytes", "bits", "activations",
                            "layout of a block and its values", "kernels"}};
  for (const DTypeInfo& info : AllDTypes())
    if (IsDecodable(info.type)) rows.push_back(FormatRow(info, targets));
  std::string out = Table(rows);
  rows = {{"format", "values", "bytes", "bits",
           "layout of a block and its values"}};
  for (const DTypeInfo& info : ActivationDTypes()) {
    Row row = FormatRow(info, targets);
    row.erase(row.begin() + 4);
    row.pop_back();
    rows.push_back(std::move(row));
  }
  absl::StrAppend(&out, "\nActivations (made by weft, never in a file):\n",
                  Table(rows));
  absl::StrAppend(&out, "\nThis machine's targets, best first: ",
                  absl::StrJoin(best->Targets(), ", "),
                  ". A kernel without a remark exists on each of them.\n");
  std::vector<absl::string_view> others;
  for (const DTypeInfo& info : AllDTypes())
    if (!IsDecodable(info.type) && info.block_values > 1)
      others.push_back(info.name);
  absl::StrAppend(&out, "Known by size only: ", absl::StrJoin(others, ", "),
                  ".\n");
  return out;
}

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
      MemoryLine(
          "KV cache", plan.memory.state,
          absl::StrCat(Grouped(StateBytesPerToken(graph)), " per token")),
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
    absl::StrAppend(&out, op->name, "\n    ", Summary(*op),
                    "\n    kernels: ", how, "\n");
  }
  return out;
}

}  // namespace weft::inline v0
