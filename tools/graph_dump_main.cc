// graph-dump: the graph of a model, what was fused in it, and its plan.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/dump_plan.h"
#include "graph/dump/formats.h"
#include "graph/dump/recorder.h"
#include "graph/passes.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "models/atomic_file.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "tools/backend_flags.h"
#include "tools/bench.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/model_flags.h"
#include "tools/profile_text.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, format, "text", "of graphs: text, dot or json");
ABSL_FLAG(std::string, after, "",
          "the graph after this pass, or after all: as built and after every "
          "pass; without it after the last one");
ABSL_FLAG(std::string, explain, "",
          "for every place where a rule could match, whether it did and why "
          "not; --explain=RULE of one rule only");
ABSL_FLAG(bool, plan, false,
          "memory, steps, and the kernel that runs each of them");
ABSL_FLAG(bool, profile, false,
          "how long each step takes in a prefill of --batch tokens and in a "
          "decode, and how near that is to the machine's limits: runs the "
          "model");
ABSL_FLAG(bool, probe, true,
          "measure those limits; --noprobe saves the time and 1 GiB of memory");
ABSL_FLAG(bool, ops, false, "all ops and their kernels; needs no model");
ABSL_FLAG(bool, formats, false,
          "all block formats: sizes, layouts, kernels; needs no model");
ABSL_FLAG(int64_t, context, 0,
          "positions of each sequence; 0: as the model says, at most 4096");
ABSL_FLAG(int64_t, batch, 512, "tokens of the largest step");
ABSL_FLAG(int64_t, slots, 1, "sequences side by side");
ABSL_FLAG(std::string, kv, "f16", "type of the KV cache: f32 or f16");
ABSL_FLAG(std::string, out, "", "a file to write instead of standard output");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(graph-dump: shows the graph of a model

  graph-dump --model=F                     the graph that runs
  graph-dump --model=F --after=all         as built, and after every pass
  graph-dump --model=F --explain           what was fused, what not and why
  graph-dump --model=F --plan              memory and kernels
  graph-dump --model=F --profile           times of all steps
  graph-dump --model=F --format=dot | dot -Tsvg > graph.svg
  graph-dump --ops                         the ops that there are
  graph-dump --formats                     the block formats that there are

Only the file's header is read, but for --profile: a file that was cut off after
it will do. A line of a graph is
  %13: f32[T,64] = qmatmul(%12, blk.0.attn_q.weight)  # rule <- llama.cc:31
with T tokens in a step and R rows of logits; after the # stand the rule or pass
that made the node and the line of the model's source.

--explain, --plan and --profile replace the graph unless --after or --format
asks for it. The columns of --profile are those of weft-bench --profile.
A model that expects more fusion than took place is an error, with --explain a
warning.
)";

constexpr absl::string_view kAll = "all";

Program MakeProgram() {
  return {.name = "graph-dump",
          .usage = kUsage,
          .groups = {{"What",
                      {"model", "format", "after", "explain", "plan", "profile",
                       "probe", "ops", "formats", "out"}},
                     {"How",
                      {"context", "batch", "slots", "kv", "numerics", "threads",
                       "target"}}},
          .bare = {{"explain", kAll}}};
}

// What to show.
struct Request {
  const DumpFormat* format = nullptr;
  std::string after, rule;
  bool graph = true, explain = false, plan = false, profile = false;
  Numerics numerics = Numerics::kFast;
  bool texts() const { return explain || plan || profile; }
};

absl::Status CheckName(absl::string_view flag, absl::string_view value,
                       std::vector<std::string> names) {
  if (std::find(names.begin(), names.end(), value) != names.end())
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is \"", value,
                                                 "\"; expected one of ",
                                                 absl::StrJoin(names, ", ")));
}

std::vector<std::string> FormatNames() {
  std::vector<std::string> names;
  for (const DumpFormat& format : DumpFormats())
    names.emplace_back(format.name);
  return names;
}

absl::StatusOr<Request> ParseRequest(const Arguments& args) {
  Request request;
  WEFT_ASSIGN_OR_RETURN(request.numerics, NumericsFromFlags());
  WEFT_RETURN_IF_ERROR(
      CheckName("format", absl::GetFlag(FLAGS_format), FormatNames()));
  request.format = FindDumpFormat(absl::GetFlag(FLAGS_format));
  std::vector<std::string> passes = PassNames(request.numerics);
  passes.insert(passes.begin(), kAsBuilt);
  // A page shows one pass after the other, the last one first.
  request.after = args.Given("after") ? absl::GetFlag(FLAGS_after)
                  : request.format->name == "html" ? std::string(kAll)
                                                   : passes.back();
  passes.emplace_back(kAll);
  WEFT_RETURN_IF_ERROR(CheckName("after", request.after, passes));
  request.explain = args.Given("explain");
  request.rule = absl::GetFlag(FLAGS_explain);
  request.plan = absl::GetFlag(FLAGS_plan);
  request.profile = absl::GetFlag(FLAGS_profile);
  request.graph =
      args.Given("after") || args.Given("format") || !request.texts();
  if (request.graph && request.format->name != "text" && request.texts())
    return absl::InvalidArgumentError(absl::StrCat(
        "--format=", request.format->name,
        " is for graphs; --explain, --plan and --profile are text"));
  return request;
}

// The size of context that a session would take.
int64_t DefaultContext(const GgufFile& file, absl::string_view architecture) {
  constexpr int64_t kMost = 4096;
  const auto trained =
      file.GetInt64(absl::StrCat(architecture, ".context_length"));
  return trained.ok() && *trained > 0 ? std::min(*trained, kMost) : kMost;
}

absl::StatusOr<BuildOptions> BuildOptionsFromFlags(
    const GgufFile& file, absl::string_view architecture) {
  BuildOptions options;
  options.context = absl::GetFlag(FLAGS_context);
  WEFT_RETURN_IF_ERROR(CheckFlag("context", options.context, 0, kMaxContext));
  if (options.context == 0)
    options.context = DefaultContext(file, architecture);
  options.slots = absl::GetFlag(FLAGS_slots);
  WEFT_RETURN_IF_ERROR(CheckFlag("slots", options.slots, 1, 4096));
  options.max_tokens = absl::GetFlag(FLAGS_batch);
  WEFT_RETURN_IF_ERROR(CheckFlag("batch", options.max_tokens, 1, 1 << 16));
  options.max_tokens =
      std::min(options.max_tokens, options.context * options.slots);
  WEFT_ASSIGN_OR_RETURN(options.kv_k, ParseKv(absl::GetFlag(FLAGS_kv)));
  options.kv_v = options.kv_k;
  return options;
}

absl::StatusOr<std::unique_ptr<Graph>> BuildGraph() {
  WEFT_ASSIGN_OR_RETURN(const std::string path, ModelPath());
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        GgufFile::Open(path, {.header_only = true}));
  ShowWarnings(file.warnings());
  WEFT_ASSIGN_OR_RETURN(const Architecture* architecture,
                        FindArchitecture(file));
  WEFT_ASSIGN_OR_RETURN(const BuildOptions options,
                        BuildOptionsFromFlags(file, architecture->name));
  return BuildModel(file, *architecture, options);
}

// What is left of the dump: one stage, or all that the format shows.
absl::Status ChooseStages(const Request& request, Dump& dump) {
  if (request.after == kAll) return absl::OkStatus();
  for (DumpStage& stage : dump.stages)
    if (stage.name == request.after) {
      DumpStage only = std::move(stage);
      dump.stages.clear();
      dump.stages.push_back(std::move(only));
      return absl::OkStatus();
    }
  return absl::InternalError(absl::StrCat("no pass ", request.after, " ran"));
}

absl::StatusOr<std::string> Explain(const Request& request,
                                    const FusionReport& report) {
  if (request.rule == kAll) return report.Explain();
  std::vector<std::string> rules = {std::string(kAll)};
  for (const RuleReport& rule : report.rules) rules.push_back(rule.rule);
  WEFT_RETURN_IF_ERROR(CheckName("explain", request.rule, rules));
  return report.Explain(request.rule);
}

absl::Status Write(absl::string_view text) {
  const std::string path = absl::GetFlag(FLAGS_out);
  if (path.empty()) return Print(text);
  WEFT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  WEFT_RETURN_IF_ERROR(file.Write(text));
  return file.Commit();
}

absl::StatusOr<std::unique_ptr<Backend>> CpuBackend() {
  return MakeBackend("cpu", BackendFromFlags());
}

// The times of a prefill and of a decode.
absl::StatusOr<std::string> ProfileModel(const Request& request) {
  WEFT_ASSIGN_OR_RETURN(const auto model, LoadModel());
  WEFT_ASSIGN_OR_RETURN(
      const BuildOptions build,
      BuildOptionsFromFlags(model->file(), model->architecture().name));
  BenchOptions options;
  options.prompt = std::min(build.max_tokens, build.context);
  options.generate = std::min<int64_t>(16, build.context);
  options.reps = 3;
  options.profile = true;
  if (absl::GetFlag(FLAGS_probe)) options.probe_bytes = ProbeBytes(1 << 30);
  options.session.numerics = request.numerics;
  options.session.context = build.context;
  options.session.slots = static_cast<int>(build.slots);
  options.session.batch = build.max_tokens;
  options.session.kv_k = build.kv_k;
  options.session.kv_v = build.kv_v;
  const BackendOptions backend = BackendFromFlags();
  options.session.backend_options.target = backend.target;
  Progress progress("measuring");
  options.progress = [&progress](double share) { progress.Update(share); };
  WEFT_ASSIGN_OR_RETURN(const BenchRun run,
                        Measure(*model, backend.threads, options));
  progress.Clear();
  std::vector<std::string> parts;
  for (const BenchTest& test : run.tests)
    parts.push_back(absl::StrCat(
        ProfileTitle(absl::StrCat(test.name, " ", test.tokens), *test.profile),
        "\n\n", NodeTable(*test.profile, test.limits), "\n",
        KernelTable(*test.profile, test.limits), "\n",
        LayerTable(*test.profile, test.limits)));
  return absl::StrJoin(parts, "\n");
}

absl::Status DumpOps() {
  WEFT_ASSIGN_OR_RETURN(const auto backend, CpuBackend());
  return Write(DescribeOps(AllOps(), *backend));
}

absl::Status DumpFormats() {
  WEFT_ASSIGN_OR_RETURN(const std::string text, DescribeFormats());
  return Write(text);
}

absl::StatusOr<std::string> GraphText(const Request& request,
                                      const Graph& graph,
                                      const FusionReport& report, Dump dump) {
  AddRules(graph, report, dump);
  if (request.format->name == "html" || request.format->name == "json") {
    WEFT_ASSIGN_OR_RETURN(const auto plans,
                          PlanForTargets(graph, "cpu", BackendFromFlags()));
    AddPlan(graph, plans, UsualSizes(graph), {}, dump);
  }
  WEFT_RETURN_IF_ERROR(ChooseStages(request, dump));
  return request.format->write(dump);
}

absl::Status DumpModel(const Request& request) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Graph> graph, BuildGraph());
  DumpRecorder recorder;
  OptimizeOptions options;
  options.check_expectations = false;  // below, when all is shown
  options.numerics = request.numerics;
  if (request.graph) options.observer = recorder.observer();
  WEFT_ASSIGN_OR_RETURN(const FusionReport report, Optimize(*graph, options));
  std::vector<std::string> parts;
  if (request.graph) {
    WEFT_ASSIGN_OR_RETURN(
        parts.emplace_back(),
        GraphText(request, *graph, report, recorder.Take()));
  }
  if (request.explain) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), Explain(request, report));
  }
  if (request.plan) {
    WEFT_ASSIGN_OR_RETURN(const auto backend, CpuBackend());
    WEFT_ASSIGN_OR_RETURN(const BackendPlan plan, backend->Plan(*graph));
    parts.push_back(DescribePlan(*graph, plan));
  }
  if (request.profile) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), ProfileModel(request));
  }
  WEFT_RETURN_IF_ERROR(Write(absl::StrJoin(parts, "\n")));
  const absl::Status expected = CheckExpectations(*graph, report);
  if (expected.ok() || !request.explain) return expected;
  Warn(expected.message());
  return absl::OkStatus();
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
