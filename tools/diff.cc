#include "tools/diff.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "tools/diff_kernels.h"
#include "tools/diff_stages.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

// Runs the stage on every target.
absl::Status OnTargets(const DiffSubject& subject, const DiffOptions& options,
                       const std::vector<std::string>& targets,
                       DiffStage& stage, const std::string& name,
                       DiffReport& report) {
  for (const std::string& target : targets)
    WEFT_RETURN_IF_ERROR(
        RunKernels(subject, options, stage, name, target, report));
  return absl::OkStatus();
}

// "unfused", "fused", "fast" or "packed".
std::string KindOf(const std::string& pass, Numerics numerics) {
  if (pass == "pack_weights") return "packed";
  bool fused = false;
  for (const std::string& name : PassNames(numerics)) {
    fused |= name == "fuse";
    if (name == "quantize_activations") fused = false;
    if (name == pass)
      return fused                                       ? "fused"
             : pass == "cse" || pass == "fold_constants" ? "unfused"
                                                         : "fast";
  }
  return "unfused";
}

const char* Heading(Divergence::Kind kind) {
  switch (kind) {
    case Divergence::Kind::kPass:
      return "A PASS";
    case Divergence::Kind::kKernel:
      return "A KERNEL";
    case Divergence::Kind::kPlan:
      return "THE MEMORY PLAN";
    case Divergence::Kind::kDrift:
      return "ROUNDING";
  }
  return "";
}

std::string Paragraph(const Divergence& d) {
  std::string out =
      absl::StrFormat("%s diverges in \"%s\", step %d, first at\n  %s\n",
                      Heading(d.kind), d.run, d.step, d.node);
  const auto line = [&out](absl::string_view key, absl::string_view value) {
    if (!value.empty()) absl::StrAppendFormat(&out, "  %-12s %s\n", key, value);
  };
  line("made by", d.made_by.empty() ? "the model" : d.made_by);
  line("kernel", d.kernel);
  line("difference", absl::StrFormat("%s; tolerated %.2g",
                                     ToString(d.difference), d.tolerance));
  line("cause", d.cause);
  line("rewrite", d.culprit);
  line("without it", d.without);
  return out;
}

}  // namespace

absl::StatusOr<DiffReport> FindDivergences(const DiffSubject& subject,
                                           const DiffOptions& options) {
  DiffReport report;
  std::vector<std::string> targets = options.targets;
  if (targets.empty()) {
    WEFT_ASSIGN_OR_RETURN(const auto cpu, MakeBackend("cpu"));
    targets = cpu->Targets();
  }
  std::vector<std::string> passes = PassNames(options.numerics, true);
  passes.insert(passes.begin(), kNoPass);
  std::optional<DiffStage> before;
  // Kernels run what stands at the end of each kind of graph.
  const auto finish = [&](DiffStage& stage) {
    stage.weights = SourceFor(stage.graph, subject);
    return OnTargets(subject, options, targets, stage,
                     KindOf(stage.pass, options.numerics), report);
  };
  for (const std::string& pass : passes) {
    DiffStage stage;
    stage.pass = pass;
    WEFT_ASSIGN_OR_RETURN(stage.graph, MakeDiffGraph(subject, options, pass));
    if (before.has_value() && !stage.graph.changed) continue;
    if (before.has_value() && KindOf(before->pass, options.numerics) !=
                                  KindOf(pass, options.numerics))
      WEFT_RETURN_IF_ERROR(finish(*before));
    WEFT_RETURN_IF_ERROR(
        RunStage(subject, options, before ? &*before : nullptr, stage, report));
    before = std::move(stage);
  }
  WEFT_RETURN_IF_ERROR(finish(*before));
  return report;
}

std::string DiffReportText(const DiffReport& report) {
  std::vector<TableRow> rows = {
      {"run", "held to", "values", "worst NMSE", "ulp", "verdict", "worst at"}};
  for (const DiffRun& run : report.runs)
    rows.push_back(run.against.empty()
                       ? TableRow{run.name, "-", "-", "-", "-", "-", ""}
                       : TableRow{run.name, run.against,
                                  absl::StrCat(run.values),
                                  absl::StrFormat("%.2g", run.worst.nmse),
                                  absl::StrCat(run.worst.ulps),
                                  run.diverges ? "DIVERGES" : "agrees",
                                  run.worst.any() ? run.worst_value : ""});
  std::string out = TextTable(rows, 2, 6);
  for (const Divergence& d : report.divergences)
    absl::StrAppend(&out, "\n", Paragraph(d));
  return out;
}

}  // namespace weft::inline v0
