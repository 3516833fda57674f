// Google Benchmark suite: every sample of every op on every instruction set
// that this machine can run.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "benchmark/benchmark.h"
#include "graph/sample.h"
#include "ops/fused.h"
#include "ops/ops.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

using Build = std::function<Values(SampleGraph&)>;

void Run(benchmark::State& state, const Build& build,
         const std::string& target) {
  // The graph must outlive the executable, which wants to share it.
  auto sample = std::make_shared<SampleGraph>();
  int n = 0;
  for (const Value& v : build(*sample))
    sample->graph().Output(absl::StrCat("y", n++), v);
  const SampleData data(*sample, /*seed=*/1);
  const auto backend = MakeBackend("cpu", {.threads = 1, .target = target});
  auto executable =
      backend.ok() ? (*backend)->Compile(
                         std::shared_ptr<const Graph>(sample, &sample->graph()),
                         data.weights())
                   : backend.status();
  if (!executable.ok() || !data.SetInputs(**executable).ok()) {
    state.SkipWithError(executable.status().ToString().c_str());
    return;
  }
  for (auto _ : state)
    if (const absl::Status s = (*executable)->Run({}); !s.ok()) {
      state.SkipWithError(s.ToString().c_str());
      return;
    }
}

void Register(const std::string& name, const std::string& target, Build build) {
  benchmark::RegisterBenchmark(
      absl::StrCat(name, "/", target).c_str(),
      [=](benchmark::State& state) { Run(state, build, target); })
      ->Unit(benchmark::kMicrosecond);
}

void RegisterAll() {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    for (const OpDef* op : AllOps())
      for (const Sample& sample : op->samples())
        Register(absl::StrCat("op/", op->name, "/", sample.name), target,
                 sample.build);
  }
}

const bool registered = [] {
  RegisterAll();
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
