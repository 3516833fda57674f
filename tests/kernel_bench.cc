// Google Benchmark suites: every sample of every op, and the matrix products of
// a 1.1B-parameter llama in every format, on every instruction set that this
// machine can run. tools/dev bench runs them;
// --benchmark_filter=qmatmul/.*/AVX2 chooses.
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

// What one step does, for rates; 0 = not counted.
struct Work {
  double multiply_adds = 0;
  double bytes = 0;
};

using Build = std::function<Values(SampleGraph&)>;

void Run(benchmark::State& state, const Build& build,
         const std::string& target, const Work& work) {
  // The graph must outlive the executable, which wants to share it.
  auto sample = std::make_shared<SampleGraph>();
  int n = 0;
  for (const Value& v : build(*sample))
    sample->graph().Output(absl::StrCat("y", n++), v);
  const SampleData data(*sample, /*seed=*/1);
  const auto backend = MakeBackend("cpu", {.threads = 1, .target = target});
  auto executable =
      backend.ok()
          ? (*backend)->Compile(
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
  using benchmark::Counter;
  if (work.multiply_adds > 0)
    state.counters["GOP/s"] = Counter(2e-9 * work.multiply_adds,
                                      Counter::kIsIterationInvariantRate);
  if (work.bytes > 0)
    state.counters["GB/s"] =
        Counter(1e-9 * work.bytes, Counter::kIsIterationInvariantRate);
}

void Register(const std::string& name, const std::string& target, Build build,
              Work work = {}) {
  benchmark::RegisterBenchmark(
      absl::StrCat(name, "/", target).c_str(),
      [=](benchmark::State& state) { Run(state, build, target, work); })
      ->Unit(benchmark::kMicrosecond);
}

// The products of TinyLlama-1.1B: rows x row length.
struct Matrix {
  const char* name;
  int64_t rows, k;
};
constexpr Matrix kMatrices[] = {{"qkv", 6144, 2048},
                                {"attn_out", 2048, 2048},
                                {"gate_up", 11264, 2048},
                                {"down", 2048, 5632},
                                {"lm_head", 32000, 2048}};

void RegisterMatMuls(const std::string& target) {
  for (const DTypeInfo& format : AllDTypes()) {
    if (format.decode == nullptr) continue;
    for (const Matrix& m : kMatrices)
      for (const int64_t tokens : {1, 4, 32, 128}) {
        const DType type = format.type;
        const int64_t rows = m.rows, k = m.k;
        Register(absl::StrCat("qmatmul/", format.name, "/", m.name, "/",
                              tokens),
                 target,
                 [=](SampleGraph& g) {
                   return Values{QMatMul(g.Normal({tokens, k}),
                                         g.Weight(type, {rows, k}))};
                 },
                 {static_cast<double>(tokens * rows * k),
                  static_cast<double>(rows * RowBytes(type, k).value_or(0))});
      }
  }
}

void RegisterAll() {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    for (const OpDef* op : AllOps())
      for (const Sample& sample : op->samples())
        Register(absl::StrCat("op/", op->name, "/", sample.name), target,
                 sample.build);
    RegisterMatMuls(target);
  }
}

const bool registered = [] {
  RegisterAll();
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
