#include "tools/diff_stages.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/status_macros.h"
#include "tools/diff_reference.h"

namespace weft::inline v0 {
namespace {

// Both sides are f32 arithmetic of the same references; only the order of a few
// operations differs (where a scale is multiplied in), 1e-14 in one node.
constexpr double kLossless = 1e-9;
// Activations rounded to 8 bits: 5e-5 of the power of a product, more where its
// summands cancel. What is wrong is off by much of it.
constexpr double kLossy = 1e-2;

absl::flat_hash_map<std::string, ValueId> ValuesByName(const Graph& graph) {
  absl::flat_hash_map<std::string, ValueId> values;
  for (const NodeId id : graph.order())
    for (const ValueId v : graph.node(id).outputs)
      values[graph.value(v).name] = v;
  return values;
}

// Holds the values of one graph to those of the same names in the graph before
// its last pass. A lossless pass must leave all of them as they were. A lossy
// one must give, where it made a node, nearly what the node before gives for
// the same operands: what the loss becomes in later layers is not its fault.
class Comparison {
 public:
  Comparison(const DiffSubject& subject, const DiffStage& before,
             const DiffGraph& now, absl::string_view pass, StepValues& values)
      : subject_(subject),
        before_(before),
        old_(*before.graph.graph),
        now_(*now.graph),
        lossy_(IsLossy(pass)),
        values_(values),
        old_names_(ValuesByName(old_)),
        names_(ValuesByName(now_)) {
    first.tolerance = lossy_ ? kLossy : kLossless;
  }

  absl::Status See(size_t step, ValueId v, const HostTensor& value) {
    const auto found = old_names_.find(now_.value(v).name);
    if (found == old_names_.end() ||
        now_.value(v).type != old_.value(found->second).type)
      return absl::OkStatus();
    const HostTensor& want =
        before_.values[step][static_cast<size_t>(found->second)];
    if (want.bytes.empty()) return absl::OkStatus();
    const Node& node = now_.producer(v);
    Difference difference = Compare(value, want);
    Count(now_, node, step, difference, run);
    if (difference.nmse <= first.tolerance || run.diverges)
      return absl::OkStatus();
    if (lossy_) {
      const Node& old = old_.producer(found->second);
      if (old.id == node.id) return absl::OkStatus();
      WEFT_ASSIGN_OR_RETURN(const HostTensor local, Recomputed(step, old));
      difference = Compare(value, local);
      if (difference.nmse <= first.tolerance) return absl::OkStatus();
    }
    run.diverges = true;
    first.step = step;
    first.node = NodeText(now_, node);
    first.made_by = std::string(node.made_by);
    first.difference = difference;
    return absl::OkStatus();
  }

  DiffRun run;
  Divergence first;  // when run.diverges

 private:
  // An operand of the old graph as it is in this run.
  absl::StatusOr<HostTensor> Operand(size_t step, ValueId v) const {
    const Node& from = old_.producer(v);
    if (from.op->kind == OpKind::kWeight)
      return WeightTensor(old_, from, subject_.weights);
    if (from.op->kind == OpKind::kConstant) return *from.constant;
    if (from.op->kind == OpKind::kInput)
      return subject_.steps[step].inputs.at(from.name);
    const auto now = names_.find(old_.value(v).name);
    if (now == names_.end())
      return absl::InternalError(absl::StrCat(
          old_.Describe(v), " is gone after a pass that is called lossy"));
    return values_[step][static_cast<size_t>(now->second)];
  }

  // The first result of a node of the old graph for this run's operands.
  absl::StatusOr<HostTensor> Recomputed(size_t step, const Node& old) const {
    const SymbolValues& symbols = subject_.steps[step].symbols;
    std::vector<HostTensor> in;
    for (const ValueId v : old.inputs) {
      WEFT_ASSIGN_OR_RETURN(in.emplace_back(), Operand(step, v));
    }
    std::vector<const HostTensor*> operands;
    for (const HostTensor& t : in) operands.push_back(&t);
    const TensorType& type = old_.value(old.outputs[0]).type;
    HostTensor out(type.dtype, type.shape.Bind(symbols));
    HostTensor* results[] = {&out};
    WEFT_RETURN_IF_ERROR(RunReference(*old.op, old.attrs, old_.InputTypes(old),
                                      operands, results, symbols));
    return out;
  }

  const DiffSubject& subject_;
  const DiffStage& before_;
  const Graph &old_, &now_;
  const bool lossy_;
  const StepValues& values_;  // of this run, as far as it is
  const absl::flat_hash_map<std::string, ValueId> old_names_, names_;
};

// Runs a graph after a pass and holds it to the stage before. `early` ends it
// at the first divergence.
absl::Status RunAndCompare(const DiffSubject& subject,
                           const DiffOptions& options, const DiffGraph& graph,
                           const DiffStage& before, bool early,
                           Comparison& comparison, StepValues& values) {
  const absl::Status run = RunOnReferences(
      subject, options, graph, &before, values,
      [&](size_t step, ValueId v, const HostTensor& value) -> absl::Status {
        WEFT_RETURN_IF_ERROR(comparison.See(step, v, value));
        return early && comparison.run.diverges ? absl::AbortedError("enough")
                                                : absl::OkStatus();
      });
  return absl::IsAborted(run) ? absl::OkStatus() : run;
}

// Whether the graph with these applications computes something else.
absl::StatusOr<bool> Differs(const DiffSubject& subject,
                             const DiffOptions& options,
                             const DiffStage& before, const std::string& pass,
                             const RewriteFilter& allow) {
  WEFT_ASSIGN_OR_RETURN(const DiffGraph graph,
                        MakeDiffGraph(subject, options, pass, allow));
  StepValues values;
  Comparison comparison(subject, before, graph, pass, values);
  WEFT_RETURN_IF_ERROR(
      RunAndCompare(subject, options, graph, before, true, comparison, values));
  return comparison.run.diverges;
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

bool IsLossy(absl::string_view pass) { return pass == "quantize_activations"; }

absl::Status RunStage(const DiffSubject& subject, const DiffOptions& options,
                      const DiffStage* before, DiffStage& stage,
                      DiffReport& report) {
  if (options.progress) options.progress(stage.name());
  DiffRun run;
  Divergence found;
  if (before == nullptr) {
    WEFT_RETURN_IF_ERROR(RunOnReferences(
        subject, options, stage.graph, nullptr, stage.values,
        [](size_t, ValueId, const HostTensor&) { return absl::OkStatus(); }));
  } else {
    Comparison comparison(subject, *before, stage.graph, stage.pass,
                          stage.values);
    WEFT_RETURN_IF_ERROR(RunAndCompare(subject, options, stage.graph, *before,
                                       false, comparison, stage.values));
    run = comparison.run;
    run.against = before->name();
    found = std::move(comparison.first);
  }
  run.name = stage.name();
  report.runs.push_back(run);
  if (!run.diverges) return absl::OkStatus();
  found.run = run.name;
  WEFT_RETURN_IF_ERROR(Bisect(subject, options, *before, stage, found));
  report.divergences.push_back(std::move(found));
  return absl::OkStatus();
}

}  // namespace weft::inline v0
