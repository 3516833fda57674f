// graph-dump: the graph of a model, what was fused in it, and its plan.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/passes.h"
#include "graph/print.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "models/atomic_file.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/model_flags.h"
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
ABSL_FLAG(bool, ops, false, "all ops and their kernels; needs no model");
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
  graph-dump --model=F --format=dot | dot -Tsvg > graph.svg
  graph-dump --ops                         the ops that there are

Only the file's header is read: a file that was cut off after it will do. A line
of a graph is
  %13: f32[T,64] = qmatmul(%12, blk.0.attn_q.weight)  # rule <- llama.cc:31
with T tokens in a step and R rows of logits; after the # stand the rule or pass
that made the node and the line of the model's source.

--explain and --plan replace the graph unless --after or --format asks for it.
A model that expects more fusion than took place is an error, with --explain a
warning.
)";

constexpr absl::string_view kAll = "all";
constexpr absl::string_view kAsBuilt = "as built";

Program MakeProgram() {
  return {.name = "graph-dump",
          .usage = kUsage,
          .groups = {{"What",
                      {"model", "format", "after", "explain", "plan", "ops",
                       "out"}},
                     {"How",
                      {"context", "batch", "slots", "kv", "numerics", "threads",
                       "target"}}},
          .bare = {{"explain", kAll}}};
}

// What to show.
struct Request {
  std::string format, after, rule;
  bool graph = true, explain = false, plan = false;
  Numerics numerics = Numerics::kFast;
};

absl::Status CheckName(absl::string_view flag, absl::string_view value,
                       std::vector<std::string> names) {
  if (std::find(names.begin(), names.end(), value) != names.end())
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, " is \"", value,
                                                 "\"; expected one of ",
                                                 absl::StrJoin(names, ", ")));
}

absl::StatusOr<Request> ParseRequest(const Arguments& args) {
  Request request;
  request.format = absl::GetFlag(FLAGS_format);
  WEFT_ASSIGN_OR_RETURN(request.numerics, NumericsFromFlags());
  WEFT_RETURN_IF_ERROR(
      CheckName("format", request.format, {"text", "dot", "json"}));
  std::vector<std::string> passes = PassNames(request.numerics);
  request.after =
      args.Given("after") ? absl::GetFlag(FLAGS_after) : passes.back();
  passes.emplace_back(kAll);
  WEFT_RETURN_IF_ERROR(CheckName("after", request.after, passes));
  request.explain = args.Given("explain");
  request.rule = absl::GetFlag(FLAGS_explain);
  request.plan = absl::GetFlag(FLAGS_plan);
  request.graph = args.Given("after") || args.Given("format") ||
                  !(request.explain || request.plan);
  if (request.graph && request.format != "text" &&
      (request.explain || request.plan))
    return absl::InvalidArgumentError(
        absl::StrCat("--format=", request.format,
                     " is for graphs; --explain and --plan are text"));
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

// Collects what is shown of the graph while the passes run.
class Dumper {
 public:
  explicit Dumper(const Request& request) : request_(request) {}

  void Observe(absl::string_view pass, const Graph& graph) {
    if (!request_.graph) return;
    const bool all = request_.after == kAll;
    if (!all && pass != request_.after) return;
    Add(all ? (pass.empty() ? kAsBuilt : pass) : "", graph);
  }

  std::string Take() {
    if (request_.format == "json" && request_.after == kAll)
      return absl::StrCat("[\n", absl::StrJoin(parts_, ",\n"), "]\n");
    return absl::StrJoin(parts_, "\n");
  }

 private:
  // `after` is "" when only one graph is shown.
  void Add(absl::string_view after, const Graph& graph) {
    if (request_.format == "json") {
      const std::string json = PrintJson(graph);
      parts_.push_back(after.empty()
                           ? json
                           : absl::StrCat("{\"after\": ", Quoted(after),
                                          ", \"graph\": ", json, "}\n"));
      return;
    }
    const bool dot = request_.format == "dot";
    parts_.push_back(absl::StrCat(
        after.empty() ? "" : absl::StrCat(dot ? "// " : "== ", after, "\n"),
        dot ? PrintDot(graph) : PrintText(graph)));
  }

  const Request& request_;
  std::vector<std::string> parts_;
};

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

absl::Status DumpOps() {
  WEFT_ASSIGN_OR_RETURN(const auto backend, CpuBackend());
  return Write(DescribeOps(AllOps(), *backend));
}

absl::Status DumpModel(const Request& request) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Graph> graph, BuildGraph());
  Dumper dumper(request);
  OptimizeOptions options;
  options.check_expectations = false;  // below, when all is shown
  options.numerics = request.numerics;
  options.observer = [&dumper](absl::string_view pass, const Graph& g) {
    dumper.Observe(pass, g);
  };
  WEFT_ASSIGN_OR_RETURN(const FusionReport report, Optimize(*graph, options));
  std::vector<std::string> parts;
  if (request.graph) parts.push_back(dumper.Take());
  if (request.explain) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), Explain(request, report));
  }
  if (request.plan) {
    WEFT_ASSIGN_OR_RETURN(const auto backend, CpuBackend());
    WEFT_ASSIGN_OR_RETURN(const BackendPlan plan, backend->Plan(*graph));
    parts.push_back(DescribePlan(*graph, plan));
  }
  WEFT_RETURN_IF_ERROR(Write(absl::StrJoin(parts, "\n")));
  const absl::Status expected = CheckExpectations(*graph, report);
  if (expected.ok() || !request.explain) return expected;
  Warn(expected.message());
  return absl::OkStatus();
}

absl::Status Run(const Arguments& args) {
  if (absl::GetFlag(FLAGS_ops)) return DumpOps();
  WEFT_ASSIGN_OR_RETURN(const Request request, ParseRequest(args));
  return DumpModel(request);
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
