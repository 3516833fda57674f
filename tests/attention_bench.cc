// Google Benchmark of fused attention: 32 query heads in 4 groups, of size 64
// as TinyLlama-1.1B has them and of others, over lengths and KV formats;
// decoding (1 token) and prefill (512 tokens that end the context). Beside it,
// in the same sitting, the chain of ops that it stands for, with the memory of
// both, and what the machine reaches with nothing but f32 multiply-adds and
// with nothing but 8-bit multiply-adds or reading:
//   weft-kernel-bench --benchmark_filter='^(attention|limits)/.*/AVX2'
#include <algorithm>
#include <cmath>
#include <map>
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

using benchmark::Counter;

// The rates are the probe's own: best of several tries.
void RunLimits(benchmark::State& state, const std::string& target,
               int threads) {
  constexpr int64_t kBytes = int64_t{256} << 20;
  const auto backend =
      MakeBackend("cpu", {.threads = threads, .target = target});
  auto probe = backend.ok()
                   ? (*backend)->MakeProbe(kBytes)
                   : absl::StatusOr<std::unique_ptr<Probe>>(backend.status());
  if (!probe.ok()) {
    state.SkipWithError(probe.status().ToString().c_str());
    return;
  }
  double bytes = 0;
  std::map<std::string, double> peaks;
  for (auto _ : state) {
    bytes = std::max(bytes, (*probe)->Read().bytes_per_second);
    for (const Peak& peak : (*probe)->Peaks()) {
      double& best = peaks[std::string(Name(peak.arithmetic))];
      best = std::max(best, peak.operations_per_second);
    }
  }
  state.counters["GB/s"] = 1e-9 * bytes;
  for (const auto& [name, operations] : peaks)
    state.counters[name + " GOP/s"] = 1e-9 * operations;
}

struct Case {
  DType kv;
  int64_t context, tokens;
  int threads;
  int64_t size = 64;  // of a head
  bool fused = true;
};

constexpr int64_t kHeads = 32, kGroups = 4;

double BytesOfLayer(const Case& c) {
  return static_cast<double>(c.context * kGroups * 2 *
                             RowBytes(c.kv, c.size).value_or(0));
}

// So many that decoding cannot live on a cache of a core.
int64_t Layers(const Case& c) {
  return c.tokens > 1
             ? 1
             : std::clamp<int64_t>(static_cast<int64_t>(64e6 / BytesOfLayer(c)),
                                   1, 16);
}

void Build(const Case& c, SampleGraph& g) {
  FusedAttention a;
  a.q = g.Normal({c.tokens, kHeads, c.size});
  a.step = {g.Positions({c.tokens}, c.context - c.tokens),
            g.Ids({c.tokens}, 1)};
  a.options.scale = 1 / std::sqrt(static_cast<double>(c.size));
  const Value row = g.Normal({c.tokens, kGroups, c.size});
  const auto filled = [&] {
    return Append(g.State(c.kv, {1, c.context, kGroups, c.size}), row, a.step);
  };
  for (int64_t layer = 0; layer < Layers(c); ++layer) {
    a.k = filled();
    a.v = filled();
    g.graph().Output(
        absl::StrCat("y", layer),
        c.fused ? Attention(a) : Attend(a.q, a.k, a.v, a.step, a.options));
  }
}

void RunAttention(benchmark::State& state, const Case& c,
                  const std::string& target) {
  auto sample = std::make_shared<SampleGraph>();
  Build(c, *sample);
  const SampleData data(*sample, /*seed=*/1);
  const auto backend =
      MakeBackend("cpu", {.threads = c.threads, .target = target});
  auto executable =
      backend.ok() ? (*backend)->Compile(
                         std::shared_ptr<const Graph>(sample, &sample->graph()),
                         data.weights())
                   : backend.status();
  if (!executable.ok() || !data.SetInputs(**executable).ok()) {
    state.SkipWithError(executable.status().ToString().c_str());
    return;
  }
  // Writes all positions: what nobody has written is one page of zeros.
  (*executable)->ResetStates();
  for (auto _ : state)
    if (const absl::Status s = (*executable)->Run({}); !s.ok()) {
      state.SkipWithError(s.ToString().c_str());
      return;
    }
  const MemoryUse& memory = (*executable)->plan().memory;
  state.counters["MB"] =
      1e-6 * static_cast<double>(memory.arena + memory.scratch);
  const double layers = static_cast<double>(Layers(c));
  // Each token sees itself and what lies before it.
  const double pairs =
      static_cast<double>(c.tokens * c.context - c.tokens * (c.tokens - 1) / 2);
  state.counters["GFLOPS"] = Counter(4e-9 * pairs * kHeads * c.size * layers,
                                     Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(1e-9 * BytesOfLayer(c) * layers,
                                   Counter::kIsIterationInvariantRate);
  state.counters["us/layer"] = Counter(
      1e-6 * layers, Counter::kIsIterationInvariantRate | Counter::kInvert);
}

// "attention/f16/decode/4096/AVX2/threads:1"; "attention128/..." for heads of
// that size, "attention_chain/..." for the ops one by one.
std::string NameOf(const Case& c, const std::string& target) {
  const std::string what =
      absl::StrCat("attention", c.fused ? "" : "_chain",
                   c.size == 64 ? "" : absl::StrCat(c.size));
  const std::string step = c.tokens == 1     ? "decode"
                           : c.tokens == 512 ? "prefill"
                                             : absl::StrCat(c.tokens);
  return absl::StrCat(what, "/", Name(c.kv), "/", step, "/", c.context, "/",
                      target, "/threads:", c.threads);
}

void Register(const Case& c, const std::string& target) {
  auto* bench = benchmark::RegisterBenchmark(
      NameOf(c, target).c_str(),
      [=](benchmark::State& state) { RunAttention(state, c, target); });
  bench->Unit(benchmark::kMicrosecond);
  // Processor time of the one thread: other programs do not count.
  if (c.threads > 1) bench->UseRealTime();
}

const bool registered = [] {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    for (const int threads : {1, 2})
      benchmark::RegisterBenchmark(
          absl::StrCat("limits/", target, "/threads:", threads).c_str(),
          [=](benchmark::State& state) { RunLimits(state, target, threads); })
          ->Unit(benchmark::kMicrosecond);
    for (const DType kv :
         {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0})
      for (const int64_t context : {512, 4096, 16384})
        for (const int64_t tokens : {1, 512})
          for (const int threads : {1, 2})
            Register({kv, context, tokens, threads}, target);
    for (const int64_t size : {128, 256})
      for (const int64_t tokens : {1, 512})
        Register({DType::kF16, 4096, tokens, 1, size}, target);
    // The chain copies the keys for each token: 512 tokens would take 17 GB.
    for (const bool fused : {true, false})
      Register({DType::kF16, 512, 32, 1, 64, fused}, target);
    Register({DType::kF16, 4096, 1, 1, 64, false}, target);
  }
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
