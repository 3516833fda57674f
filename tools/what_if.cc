#include "tools/what_if.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "graph/escape.h"
#include "graph/status_macros.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

std::string KernelName(const PlannedStep& step) {
  return step.on_reference ? "none: slow reference" : step.kernel;
}

}  // namespace

absl::StatusOr<int64_t> ParseBytes(absl::string_view flag,
                                   absl::string_view text) {
  constexpr int64_t kMost = int64_t{1} << 60;
  std::string rest = absl::AsciiStrToUpper(absl::StripAsciiWhitespace(text));
  absl::string_view number = rest;
  if (!absl::ConsumeSuffix(&number, "IB")) absl::ConsumeSuffix(&number, "B");
  double unit = 1;
  for (const char* letter : {"K", "M", "G", "T"}) {
    unit *= 1024;
    if (absl::ConsumeSuffix(&number, letter)) break;
    if (*letter == 'T') unit = 1;
  }
  double value = 0;
  if (!absl::SimpleAtod(number, &value) || !(value > 0) ||
      value * unit > static_cast<double>(kMost))
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " is \"", text,
                     "\"; expected a number of bytes such as 8G or 500M"));
  return static_cast<int64_t>(value * unit);
}

int64_t TotalBytes(const BackendPlan& plan) {
  return plan.plan.weight_bytes + plan.memory.total();
}

absl::StatusOr<int64_t> LargestContext(
    int64_t memory, int64_t most,
    const std::function<absl::StatusOr<int64_t>(int64_t context)>& total) {
  int64_t low = 1, high = most;
  WEFT_ASSIGN_OR_RETURN(int64_t low_bytes, total(low));
  if (low_bytes > memory) return 0;
  WEFT_ASSIGN_OR_RETURN(int64_t high_bytes, total(high));
  if (high_bytes <= memory) return high;
  // The KV cache grows by the same for each position: a straight line is right
  // at once but for rounding, and halving makes an end of what is left.
  for (int round = 0; low + 1 < high; ++round) {
    int64_t middle = low + (high - low) / 2;
    if (round % 2 == 0) {
      const double share = static_cast<double>(memory - low_bytes) /
                           static_cast<double>(high_bytes - low_bytes);
      middle =
          low + static_cast<int64_t>(share * static_cast<double>(high - low));
      middle = std::clamp(middle, low + 1, high - 1);
    }
    WEFT_ASSIGN_OR_RETURN(const int64_t bytes, total(middle));
    if (bytes <= memory)
      std::tie(low, low_bytes) = std::pair(middle, bytes);
    else
      std::tie(high, high_bytes) = std::pair(middle, bytes);
    // Nearer than a page of positions does not matter.
    if (high - low <= 16) break;
  }
  return low;
}

std::string KernelsByTarget(const Graph& graph,
                            absl::Span<const BackendPlan> plans) {
  std::map<std::pair<std::string, std::string>, std::map<std::string, int>>
      found;  // op, kernel: steps by target
  for (const BackendPlan& plan : plans)
    for (const PlannedStep& step : plan.steps)
      ++found[{std::string(graph.node(step.node).op->name), KernelName(step)}]
             [plan.target];
  std::vector<TableRow> rows = {{"op", "kernel", "steps", "targets"}};
  for (const auto& [key, targets] : found) {
    const std::string names = absl::StrJoin(
        targets, " ",
        [](std::string* s, const auto& t) { s->append(t.first); });
    rows.push_back({key.first, key.second,
                    absl::StrCat(targets.begin()->second),
                    targets.size() == plans.size() ? "all" : names});
  }
  return TextTable(rows);
}

std::string SlowTensors(const Graph& graph, const BackendPlan& plan) {
  std::string out;
  for (const PlannedStep& step : plan.steps) {
    const Node& node = graph.node(step.node);
    // A kernel decodes a weight before the product where it has to.
    if (!step.on_reference && node.op->name != "dequant") continue;
    for (const ValueId v : node.inputs)
      if (const Node& from = graph.producer(v);
          from.op->kind == OpKind::kWeight)
        absl::StrAppend(
            &out, "  ", Printable(from.name), " ",
            graph.value(v).type.ToString(), ": ",
            step.on_reference ? "no kernel for it" : "decoded as a whole",
            " in ", node.op->name, "\n");
  }
  return out;
}

double PredictSeconds(const Graph& graph, const BackendPlan& plan,
                      const StepSize& size, const Limits& limits) {
  double total = 0;
  for (const PlannedStep& step : plan.steps) {
    const Work work = WorkOf(graph, graph.node(step.node), size);
    // Activations of a decode stay in caches.
    const int64_t bytes = work.weight_bytes + work.state_bytes;
    total += SharesOf(bytes, work, 1, limits).limit();
  }
  return total;
}

}  // namespace weft::inline v0
