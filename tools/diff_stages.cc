#include "tools/diff_stages.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// Both sides are f32 arithmetic of the same references; only the order of a few
// operations differs (where a scale is multiplied in), 1e-14 in one node.
constexpr double kLossless = 1e-9;
// Activations rounded to 8 bits are off by 5e-5 of their power at each product;
// through tens of layers that adds up. What is wrong is off by all of it.
constexpr double kLossy = 5e-2;

// Holds the values of one graph to those of the same names in another.
class Comparison {
 public:
  Comparison(const DiffStage& before, double tolerance)
      : before_(before), tolerance_(tolerance) {
    for (const NodeId id : before.graph.graph->order())
      for (const ValueId v : before.graph.graph->node(id).outputs)
        by_name_[before.graph.graph->value(v).name] = v;
  }

  void See(const DiffGraph& diff, size_t step, ValueId v,
           const HostTensor& value) {
    const Graph& graph = *diff.graph;
    const auto found = by_name_.find(graph.value(v).name);
    if (found == by_name_.end() ||
        graph.value(v).type != before_.graph.graph->value(found->second).type)
      return;
    const HostTensor& want =
        before_.values[step][static_cast<size_t>(found->second)];
    if (want.bytes.empty()) return;
    const Difference difference = Compare(value, want);
    ++run.values;
    if (run.values == 1 || difference.nmse > run.worst.nmse) {
      run.worst = difference;
      run.worst_value = ShortNodeText(graph, graph.producer(v));
      run.worst_step = step;
    }
    if (difference.nmse <= tolerance_ || run.diverges) return;
    run.diverges = true;
    first.step = step;
    first.node = NodeText(graph, graph.producer(v));
    first.made_by = std::string(graph.producer(v).made_by);
    first.difference = difference;
    first.tolerance = tolerance_;
  }

  DiffRun run;
  Divergence first;  // when run.diverges

 private:
  const DiffStage& before_;
  double tolerance_;
  absl::flat_hash_map<std::string, ValueId> by_name_;
};

// Whether the graph with these applications computes something else.
absl::StatusOr<bool> Differs(const DiffSubject& subject,
                             const DiffOptions& options,
                             const DiffStage& before, const std::string& pass,
                             const RewriteFilter& allow) {
  WEFT_ASSIGN_OR_RETURN(const DiffGraph graph,
                        MakeDiffGraph(subject, options, pass, allow));
  Comparison comparison(before, IsLossy(pass) ? kLossy : kLossless);
  const absl::Status run = RunOnReferences(
      graph, subject, options.cancel,
      [&](size_t step, ValueId v, const HostTensor& value) {
        comparison.See(graph, step, v, value);
        // Enough is known then.
        return comparison.run.diverges ? absl::AbortedError("differs")
                                       : absl::OkStatus();
      });
  if (run.ok() || absl::IsAborted(run)) return comparison.run.diverges;
  return run;
}

absl::Status Bisect(const DiffSubject& subject, const DiffOptions& options,
                    const DiffStage& before, const DiffStage& stage,
                    Divergence& found) {
  const std::vector<Application>& all = stage.graph.applications;
  found.cause = absl::StrCat("pass ", stage.pass, " changes what is computed");
  // With the first `low` it agrees, with the first `high` it does not.
  size_t low = before.graph.applications.size(), high = all.size();
  const auto differs = [&](size_t n) {
    return Differs(subject, options, before, stage.pass, FirstOf(all, n));
  };
  WEFT_ASSIGN_OR_RETURN(const bool without_any, differs(low));
  if (low == high || without_any) return absl::OkStatus();
  while (low + 1 < high) {
    const size_t middle = low + (high - low) / 2;
    WEFT_ASSIGN_OR_RETURN(const bool too_many, differs(middle));
    (too_many ? high : low) = middle;
  }
  const Application& culprit = all[high - 1];
  found.culprit = culprit.text;
  WEFT_ASSIGN_OR_RETURN(const bool still, Differs(subject, options, before,
                                                  stage.pass, AllBut(culprit)));
  found.without =
      still ? "others diverge too" : "everything agrees in this run";
  return absl::OkStatus();
}

}  // namespace

std::string DiffStage::name() const {
  return absl::StrCat(pass == kNoPass ? "" : "after ", pass, ", reference");
}

bool IsLossy(absl::string_view pass) { return pass == "quantize_activations"; }

absl::Status RunStage(const DiffSubject& subject, const DiffOptions& options,
                      const DiffStage* before, DiffStage& stage,
                      DiffReport& report) {
  if (options.progress) options.progress(stage.name());
  std::optional<Comparison> comparison;
  if (before != nullptr)
    comparison.emplace(*before, IsLossy(stage.pass) ? kLossy : kLossless);
  stage.values.assign(subject.steps.size(),
                      std::vector<HostTensor>(static_cast<size_t>(
                          stage.graph.graph->num_values())));
  WEFT_RETURN_IF_ERROR(
      RunOnReferences(stage.graph, subject, options.cancel,
                      [&](size_t step, ValueId v, const HostTensor& value) {
                        if (stage.graph.from_weights[static_cast<size_t>(v)])
                          return absl::OkStatus();
                        if (comparison)
                          comparison->See(stage.graph, step, v, value);
                        stage.values[step][static_cast<size_t>(v)] = value;
                        return absl::OkStatus();
                      }));
  DiffRun run;
  if (comparison) {
    run = comparison->run;
    run.against = before->name();
  }
  run.name = stage.name();
  report.runs.push_back(run);
  if (!run.diverges) return absl::OkStatus();
  Divergence found = std::move(comparison->first);
  found.run = run.name;
  WEFT_RETURN_IF_ERROR(Bisect(subject, options, *before, stage, found));
  report.divergences.push_back(std::move(found));
  return absl::OkStatus();
}

}  // namespace weft::inline v0
