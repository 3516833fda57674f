#include "tools/diff_kernels.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/diff_reference.h"
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

absl::StatusOr<std::unique_ptr<Executable>> CompileFor(
    const DiffOptions& options, const DiffStage& stage,
    const std::string& target) {
  const BackendOptions where = {.threads = options.threads, .target = target};
  WEFT_ASSIGN_OR_RETURN(const auto backend, options.make_cpu
                                                ? options.make_cpu(where)
                                                : MakeBackend("cpu", where));
  return backend->Compile(stage.graph.graph, stage.weights);
}

// Runs the subject's steps; `see` is an observer that is told which of them.
// Ends early, without an error of its own, when `enough` says so.
absl::Status RunSteps(
    const DiffSubject& subject, const DiffOptions& options,
    Executable& executable,
    const std::function<void(size_t, size_t, bool, const ObservedValues&)>& see,
    const std::function<bool()>& enough) {
  const auto all = static_cast<double>(executable.plan().steps.size() *
                                       subject.steps.size());
  double done = 0;
  for (size_t i = 0; i < subject.steps.size(); ++i) {
    WEFT_RETURN_IF_ERROR(executable.SetObserver(
        [&](size_t step, bool is_done, const ObservedValues& values) {
          see(i, step, is_done, values);
          if (is_done && options.share) options.share(++done / all);
        }));
    WEFT_RETURN_IF_ERROR(SetInputs(subject.steps[i], executable));
    const absl::Status run =
        executable.Run(subject.steps[i].symbols, options.cancel);
    // What was found may be the cause of an error.
    if (!absl::IsCancelled(run) && enough()) return absl::OkStatus();
    WEFT_RETURN_IF_ERROR(run);
  }
  return absl::OkStatus();
}

// Looks for a kernel or a plan that is wrong.
absl::StatusOr<Watched> Watch(const DiffSubject& subject,
                              const DiffOptions& options, DiffStage& stage,
                              Executable& executable) {
  StepCheck check(stage, executable.plan());
  executable.ResetStates();
  WEFT_RETURN_IF_ERROR(RunSteps(
      subject, options, executable,
      [&](size_t i, size_t step, bool done, const ObservedValues& values) {
        if (!done && step == 0) check.Begin(i, subject.steps[i].symbols);
        check.See(step, done, values);
      },
      [&] { return check.run().diverges || !check.status().ok(); }));
  WEFT_RETURN_IF_ERROR(check.status());
  return Watched{check.run(), check.found(), check.node()};
}

// How far the values are off when each kernel has what those before it gave.
absl::StatusOr<DiffRun> Drift(const DiffSubject& subject,
                              const DiffOptions& options,
                              const DiffStage& stage, Executable& executable) {
  DiffRun run;
  const Graph& graph = *stage.graph.graph;
  executable.ResetStates();
  WEFT_RETURN_IF_ERROR(RunSteps(
      subject, options, executable,
      [&](size_t i, size_t step, bool done, const ObservedValues& values) {
        if (!done) return;
        const Node& node = graph.node(executable.plan().steps[step].node);
        for (const ValueId v : node.outputs) {
          const HostTensor& want = stage.values[i][static_cast<size_t>(v)];
          if (!want.bytes.empty())
            Count(graph, node, i, Compare(values.read(v), want), run);
        }
      },
      [] { return false; }));
  return run;
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
  without.weights = SourceFor(without.graph, subject);
  WEFT_RETURN_IF_ERROR(RunOnReferences(
      subject, options, without.graph, &stage, without.values,
      [](size_t, ValueId, const HostTensor&) { return absl::OkStatus(); }));
  WEFT_ASSIGN_OR_RETURN(const auto executable,
                        CompileFor(options, without, target));
  WEFT_ASSIGN_OR_RETURN(const Watched again,
                        Watch(subject, options, without, *executable));
  found.without = !again.run.diverges
                      ? "everything agrees in this run"
                      : absl::StrCat("then the first is ", again.found.node);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunKernels(const DiffSubject& subject, const DiffOptions& options,
                        DiffStage& stage, const std::string& name,
                        const std::string& target, DiffReport& report) {
  const std::string title = absl::StrCat(name, ", ", target);
  if (options.progress) options.progress(title);
  WEFT_ASSIGN_OR_RETURN(const auto executable,
                        CompileFor(options, stage, target));
  WEFT_ASSIGN_OR_RETURN(Watched watched,
                        Watch(subject, options, stage, *executable));
  if (!watched.run.diverges) {
    WEFT_ASSIGN_OR_RETURN(watched.run,
                          Drift(subject, options, stage, *executable));
  }
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
