// graph-dump: the graph of a model, what was fused in it, and its plan.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/dump_plan.h"
#include "graph/dump/diff.h"
#include "graph/dump/explain.h"
#include "graph/dump/formats.h"
#include "graph/dump/recorder.h"
#include "graph/passes.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/dump_model.h"
#include "tools/dump_reader.h"
#include "tools/graphviz.h"
#include "tools/model_flags.h"
#include "tools/profile_file.h"
#include "tools/terminal.h"
#include "tools/what_if.h"

ABSL_FLAG(std::string, format, "",
          "of graphs: text, html, json, dot, mermaid or model-explorer; svg, "
          "png or pdf by Graphviz; without it what the name of --out ends in, "
          "or text");
ABSL_FLAG(std::string, after, "",
          "the graph after this pass, \"as built\", or all: as built and after "
          "every pass; without it after the last one, in a page all");
ABSL_FLAG(std::string, explain, "",
          "for every place where a rule did not match, why, and what would "
          "make it match; --explain=RULE of one rule only");
ABSL_FLAG(bool, strict, false,
          "an error when a rule matched another number of times than the model "
          "says, a weight is decoded as a whole, a step has no kernel, or "
          "--diff finds anything");
ABSL_FLAG(std::string, diff, "",
          "what differs from OTHER: another model, a pass of this one, or a "
          "dump in JSON, say of an older version");
ABSL_FLAG(bool, plan, false,
          "memory, kernels and steps for --context, --slots, --kv and --batch");
ABSL_FLAG(std::string, memory, "",
          "with --plan: the largest context that fits, such as 8G");
ABSL_FLAG(std::string, profile, "",
          "how long each step takes in a prefill of --batch tokens and in a "
          "decode, and how near that is to the machine's limits: runs the "
          "model; --profile=FILE of weft-bench or weft-run: shown in a page");
ABSL_FLAG(bool, probe, true,
          "measure those limits; --noprobe saves the time and 1 GiB of memory. "
          "With --plan and --probe: predict the speed, by running layers with "
          "made-up weights");
ABSL_FLAG(bool, ops, false,
          "all ops: what they compute, of which shapes, constraints, "
          "kernels; needs no model");
ABSL_FLAG(bool, formats, false,
          "all block formats: sizes, layouts, kernels; needs no model");
ABSL_FLAG(std::string, out, "", "a file to write instead of standard output");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(graph-dump: shows the graph of a model

  graph-dump --model=F                     the graph that runs
  graph-dump --model=F --out=F.html        a page to look around in
  graph-dump --model=F --out=F.svg         a picture
  graph-dump --model=F --after=all         as built, and after every pass
  graph-dump --model=F --pack=on           with the weights packed for kernels
  graph-dump --model=F --explain           what was fused, what not and why
  graph-dump --model=F --diff=fuse         what came after that pass
  graph-dump --model=F --diff=G            what differs from another model
  graph-dump --model=F --lora=A --diff=F   what an adapter adds
  graph-dump --model=F --plan --context=32768 --slots=4 --memory=16G
  graph-dump --model=F --plan --probe      and how fast it would be here
  graph-dump --model=F --profile           times of all steps
  weft-bench --model=F --profile=P  and then
  graph-dump --model=F --profile=P --out=F.html
  graph-dump --ops                         the ops that there are
  graph-dump --formats                     the block formats that there are

weft-run packs the weights of most models before they run; here they stay as the
file has them unless --pack=on, but where --plan --probe predicts a speed. Only
the file's header is read, but for --profile without a file: one that was cut
off after it will do. A line of a graph is
  %13: f32[T,64] = qmatmul(%12, blk.0.attn_q.weight)  # rule <- llama.cc:31
with T tokens in a step and R rows of logits; after the # stand the rule or pass
that made the node and the line of the model's source. graph/dump/README.md
says how to read each format.

--explain, --diff, --plan and --profile replace the graph unless --after or
--format asks for it. The columns of --profile are those of weft-bench
--profile. A model that expects more fusion than took place is an error, with
--explain a warning.
)";

constexpr absl::string_view kAll = "all";
// --profile without a file.
constexpr absl::string_view kRun = "run";

Program MakeProgram() {
  return {.name = "graph-dump",
          .usage = kUsage,
          .groups = {{"What",
                      {"model", "lora", "format", "after", "explain", "strict",
                       "diff", "plan", "memory", "profile", "probe", "ops",
                       "formats", "out"}},
                     {"How",
                      {"context", "batch", "slots", "kv", "numerics", "pack",
                       "threads", "target"}}},
          .bare = {{"explain", kAll}, {"profile", kRun}}};
}

// What to show.
struct Request {
  const DumpFormat* format = nullptr;
  std::string picture;  // "svg": what Graphviz makes of the format, or ""
  std::string after, rule, diff, profile_file;
  bool graph = true, explain = false, plan = false, run = false;
  bool probe = false;  // asked for
  Numerics numerics = Numerics::kFast;
  bool pack_weights = false;
  bool texts() const { return explain || plan || run || !diff.empty(); }
  bool page() const { return format->name == "html"; }
};

absl::Status CheckName(absl::string_view flag, absl::string_view value,
                       std::vector<std::string> names) {
  if (std::find(names.begin(), names.end(), value) != names.end())
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is \"", value,
                                                 "\"; expected one of ",
                                                 absl::StrJoin(names, ", ")));
}

absl::Status ParseFormat(Request& request) {
  constexpr absl::string_view kPictures[] = {"svg", "png", "pdf"};
  std::vector<std::string> names;
  for (const DumpFormat& format : DumpFormats())
    names.emplace_back(format.name);
  for (const absl::string_view picture : kPictures) names.emplace_back(picture);

  std::string name = absl::GetFlag(FLAGS_format);
  if (name.empty()) {
    const std::string out = absl::GetFlag(FLAGS_out);
    const std::string end = out.substr(out.rfind('.') + 1);
    // The texts that replace a graph are no format of one.
    const bool known = absl::c_linear_search(names, end) && !request.texts();
    name = known && end.size() < out.size() ? end : "text";
  }
  WEFT_RETURN_IF_ERROR(CheckName("format", name, names));
  if (absl::c_linear_search(kPictures, name))
    request.picture = std::exchange(name, "dot");
  request.format = FindDumpFormat(name);
  return absl::OkStatus();
}

absl::Status ParseAfter(const Arguments& args, Request& request) {
  std::vector<std::string> passes =
      PassNames(request.numerics, request.pack_weights);
  passes.insert(passes.begin(), kAsBuilt);
  // A page shows one pass after the other, the last one first.
  request.after = args.Given("after") ? absl::GetFlag(FLAGS_after)
                  : request.page()    ? std::string(kAll)
                                      : passes.back();
  passes.emplace_back(kAll);
  WEFT_RETURN_IF_ERROR(CheckName("after", request.after, passes));
  if (!request.picture.empty() && request.after == kAll)
    return absl::InvalidArgumentError(absl::StrCat(
        "--format=", request.picture, " shows one graph; --after=", kAll,
        " has several: name a pass, or take --format=html"));
  return absl::OkStatus();
}

absl::StatusOr<Request> ParseRequest(const Arguments& args) {
  Request request;
  WEFT_ASSIGN_OR_RETURN(request.numerics, NumericsFromFlags());
  WEFT_ASSIGN_OR_RETURN(const PackWhen pack, PackFromFlags());
  // What a machine has room for would make dumps differ from one to another.
  request.pack_weights = pack == PackWhen::kAlways;
  request.explain = args.Given("explain");
  request.rule = absl::GetFlag(FLAGS_explain);
  request.diff = absl::GetFlag(FLAGS_diff);
  request.plan = absl::GetFlag(FLAGS_plan);
  request.probe = args.Given("probe") && absl::GetFlag(FLAGS_probe);
  const std::string profile = absl::GetFlag(FLAGS_profile);
  request.run = profile == kRun;
  if (!request.run) request.profile_file = profile;
  WEFT_RETURN_IF_ERROR(ParseFormat(request));
  WEFT_RETURN_IF_ERROR(ParseAfter(args, request));
  request.graph =
      args.Given("after") || args.Given("format") || !request.texts();
  if (request.graph && request.format->name != "text" && request.texts())
    return absl::InvalidArgumentError(absl::StrCat(
        "--format=", absl::GetFlag(FLAGS_format),
        " is for graphs; --explain, --diff, --plan and --profile are text"));
  if (!request.profile_file.empty() && !request.page() &&
      request.format->name != "json")
    return absl::InvalidArgumentError(
        "--profile=FILE is shown in --format=html or json; --profile alone "
        "measures");
  if (args.Given("memory") && !request.plan)
    return absl::InvalidArgumentError("--memory goes with --plan");
  return request;
}

absl::Status Write(absl::string_view text) {
  const std::string path = absl::GetFlag(FLAGS_out);
  return path.empty() ? Print(text) : WriteWhole(path, text);
}

// A stage of a dump by its name, the last one when it has none of that name.
const DumpStage& StageOf(const Dump& dump, absl::string_view name) {
  for (const DumpStage& stage : dump.stages)
    if (stage.name == name) return stage;
  return dump.stages.back();
}

absl::StatusOr<std::string> GraphText(const Request& request, Dump dump) {
  if (request.after != kAll) {
    DumpStage only = StageOf(dump, request.after);
    dump.stages.clear();
    dump.stages.push_back(std::move(only));
  }
  const std::string text = request.format->write(dump);
  return request.picture.empty() ? text : RunGraphviz(request.picture, text);
}

absl::StatusOr<std::string> ExplainText(const Request& request,
                                        const Dump& dump) {
  std::vector<std::string> rules = {std::string(kAll)};
  for (const DumpRule& rule : dump.rules) rules.push_back(rule.name);
  WEFT_RETURN_IF_ERROR(CheckName("explain", request.rule, rules));
  return Explain(dump, request.rule == kAll ? "" : request.rule);
}

// What --diff finds; "" for nothing.
absl::StatusOr<std::string> Differences(const Request& request,
                                        const Dump& dump) {
  const DumpStage& now =
      StageOf(dump, request.after == kAll ? "" : request.after);
  for (const DumpStage& stage : dump.stages)
    if (stage.name == request.diff)
      return DiffText(Diff(dump, stage, dump, now, /*same_numbers=*/true));
  Dump other;
  if (absl::EndsWith(request.diff, ".json")) {
    WEFT_ASSIGN_OR_RETURN(other, ReadDump(request.diff));
  } else {
    WEFT_ASSIGN_OR_RETURN(
        DumpedModel model,
        LoadDump(request.diff, request.numerics, request.pack_weights, {}));
    other = std::move(model.dump);
  }
  return DiffText(Diff(other, StageOf(other, now.name), dump, now, false));
}

absl::Status Judge(const Request& request, const DumpedModel& model,
                   absl::string_view differences) {
  if (absl::GetFlag(FLAGS_strict)) {
    std::vector<std::string> complaints = Complaints(model.dump);
    if (!differences.empty())
      complaints.push_back(absl::StrCat("it differs from ", request.diff));
    if (complaints.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrJoin(complaints, "\n  "));
  }
  // What a model expects is about its own nodes, not about adapters' too.
  if (!absl::GetFlag(FLAGS_lora).empty()) return absl::OkStatus();
  const absl::Status expected = CheckExpectations(*model.graph, model.report);
  if (expected.ok() || !request.explain) return expected;
  Warn(expected.message());
  return absl::OkStatus();
}

absl::Status DumpModel(const Request& request) {
  WEFT_ASSIGN_OR_RETURN(const std::string path, ModelPath());
  WEFT_ASSIGN_OR_RETURN(DumpedModel model,
                        LoadDump(path, request.numerics, request.pack_weights,
                                 AdaptersFromFlags()));
  const bool wants_plan = request.page() || request.format->name == "json" ||
                          absl::GetFlag(FLAGS_strict);
  if (wants_plan) WEFT_RETURN_IF_ERROR(PlanDump(model));
  if (!request.profile_file.empty())
    WEFT_RETURN_IF_ERROR(ReadProfile(request.profile_file, model.dump));
  std::vector<std::string> parts;
  std::string differences;
  if (request.graph) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), GraphText(request, model.dump));
  }
  if (request.explain) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(),
                          ExplainText(request, model.dump));
  }
  if (!request.diff.empty()) {
    WEFT_ASSIGN_OR_RETURN(differences, Differences(request, model.dump));
    parts.push_back(differences.empty() ? "no difference\n" : differences);
  }
  if (request.plan) {
    WEFT_ASSIGN_OR_RETURN(
        parts.emplace_back(),
        PlanText(model, absl::GetFlag(FLAGS_memory), request.probe));
  }
  if (request.run) {
    WEFT_ASSIGN_OR_RETURN(
        parts.emplace_back(),
        ProfileModel(request.numerics, absl::GetFlag(FLAGS_probe)));
  }
  WEFT_RETURN_IF_ERROR(Write(absl::StrJoin(parts, "\n")));
  return Judge(request, model, differences);
}

absl::Status DumpOps() {
  WEFT_ASSIGN_OR_RETURN(const auto backend,
                        MakeBackend("cpu", BackendFromFlags()));
  return Write(DescribeOps(AllOps(), *backend));
}

absl::Status DumpFormats() {
  WEFT_ASSIGN_OR_RETURN(const std::string text, DescribeFormats());
  return Write(text);
}

absl::Status Run(const Arguments& args) {
  if (absl::GetFlag(FLAGS_ops)) return DumpOps();
  if (absl::GetFlag(FLAGS_formats)) return DumpFormats();
  WEFT_ASSIGN_OR_RETURN(const Request request, ParseRequest(args));
  return DumpModel(request);
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
