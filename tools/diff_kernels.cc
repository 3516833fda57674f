#include "tools/diff_kernels.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/step_check.h"

namespace weft::inline v0 {
namespace {

// Where no single kernel is wrong, rounding alone may not do more than this to
// any value: lossless, the drift of f32 sums; else codes that fall to the other
// side, which later layers amplify.
constexpr double kDrift = 1e-6, kDriftOfCodes = 5e-2;

absl::Status SetInputs(const DiffStep& step, Executable& executable) {
  for (const auto& [name, tensor] : step.inputs) {
    WEFT_ASSIGN_OR_RETURN(const auto memory, executable.Input(name));
    if (memory.size() < tensor.bytes.size())
      return absl::InvalidArgumentError(absl::StrCat("input ", name, " has ",
                                                     tensor.bytes.size(),
                                                     " bytes, there is room "
                                                     "for ",
                                                     memory.size()));
    std::memcpy(memory.data(), tensor.bytes.data(), tensor.bytes.size());
  }
  return absl::OkStatus();
}

struct Watched {
  DiffRun run;
  Divergence found;
  NodeId node = -1;
};

// One run of a stage on a target.
absl::StatusOr<Watched> Watch(const DiffSubject& subject,
                              const DiffOptions& options,
                              const DiffStage& stage,
                              const std::string& target) {
  const BackendOptions where = {.threads = options.threads, .target = target};
  WEFT_ASSIGN_OR_RETURN(const auto backend, options.make_cpu
                                                ? options.make_cpu(where)
                                                : MakeBackend("cpu", where));
  const WeightSource source = SourceFor(stage.graph, subject);
  WEFT_ASSIGN_OR_RETURN(const auto executable,
                        backend->Compile(stage.graph.graph, source));
  StepCheck check(stage, executable->plan());
  WEFT_RETURN_IF_ERROR(executable->SetObserver(
      [&check](size_t step, bool done,
               const std::function<HostTensor(ValueId)>& read) {
        check.See(step, done, read);
      }));
  for (size_t i = 0; i < subject.steps.size(); ++i) {
    WEFT_RETURN_IF_ERROR(SetInputs(subject.steps[i], *executable));
    check.Begin(i, subject.steps[i].symbols);
    WEFT_RETURN_IF_ERROR(
        executable->Run(subject.steps[i].symbols, options.cancel));
    WEFT_RETURN_IF_ERROR(check.status());
  }
  return Watched{check.run(), check.found(), check.node()};
}

// Whether the graph has the like of another one's node: its op, for operands of
// those types, giving that value.
bool Has(const Graph& graph, const OpDef* op, const TensorTypes& types,
         absl::string_view value) {
  return std::any_of(
      graph.order().begin(), graph.order().end(), [&](NodeId id) {
        const Node& node = graph.node(id);
        return node.op == op && graph.InputTypes(node) == types &&
               graph.value(node.outputs[0]).name == value;
      });
}

// Names the application that made the node: the first that must be done for the
// graph to have it.
absl::Status FindMaker(const DiffSubject& subject, const DiffOptions& options,
                       const DiffStage& stage, const std::string& target,
                       NodeId id, Divergence& found) {
  const Graph& graph = *stage.graph.graph;
  const Node& node = graph.node(id);
  const std::string& name = graph.value(node.outputs[0]).name;
  const std::vector<Application>& all = stage.graph.applications;
  const auto has = [&](size_t n) -> absl::StatusOr<bool> {
    WEFT_ASSIGN_OR_RETURN(
        const DiffGraph some,
        MakeDiffGraph(subject, options, stage.pass, FirstOf(all, n)));
    return Has(*some.graph, node.op, graph.InputTypes(node), name);
  };
  size_t low = 0, high = all.size();
  WEFT_ASSIGN_OR_RETURN(const bool as_built, has(0));
  if (as_built || all.empty()) return absl::OkStatus();
  while (low + 1 < high) {
    const size_t middle = low + (high - low) / 2;
    WEFT_ASSIGN_OR_RETURN(const bool enough, has(middle));
    (enough ? high : low) = middle;
  }
  found.culprit = all[high - 1].text;
  DiffStage without;
  without.pass = stage.pass;
  WEFT_ASSIGN_OR_RETURN(
      without.graph,
      MakeDiffGraph(subject, options, stage.pass, AllBut(all[high - 1])));
  DiffReport unused;
  WEFT_RETURN_IF_ERROR(RunStage(subject, options, nullptr, without, unused));
  WEFT_ASSIGN_OR_RETURN(const Watched again,
                        Watch(subject, options, without, target));
  found.without = !again.run.diverges
                      ? "everything agrees in this run"
                      : absl::StrCat("then the first is ", again.found.node);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunKernels(const DiffSubject& subject, const DiffOptions& options,
                        const DiffStage& stage, const std::string& name,
                        const std::string& target, DiffReport& report) {
  const std::string title = absl::StrCat(name, ", ", target);
  if (options.progress) options.progress(title);
  WEFT_ASSIGN_OR_RETURN(Watched watched,
                        Watch(subject, options, stage, target));
  watched.run.name = watched.found.run = title;
  watched.run.against = stage.name();
  const bool codes = name == "fast" ||
                     (name == "packed" && options.numerics == Numerics::kFast);
  const double drift = codes ? kDriftOfCodes : kDrift;
  if (watched.run.diverges && watched.found.kind == Divergence::Kind::kKernel) {
    WEFT_RETURN_IF_ERROR(FindMaker(subject, options, stage, target,
                                   watched.node, watched.found));
  } else if (!watched.run.diverges && watched.run.worst.nmse > drift) {
    watched.run.diverges = true;
    watched.found.kind = Divergence::Kind::kDrift;
    watched.found.node = watched.run.worst_value;
    watched.found.step = watched.run.worst_step;
    watched.found.difference = watched.run.worst;
    watched.found.tolerance = drift;
    watched.found.cause =
        "every kernel agrees with its reference for its own operands; errors "
        "grow from node to node";
  }
  report.runs.push_back(watched.run);
  if (watched.run.diverges)
    report.divergences.push_back(std::move(watched.found));
  return absl::OkStatus();
}

}  // namespace weft::inline v0
