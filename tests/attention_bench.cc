// Google Benchmark of fused attention: 32 query heads in 4 groups of size 64,
// as TinyLlama-1.1B has them, over lengths and KV formats; decoding (1 token)
// and prefill (512 tokens that end the context). Beside it, what one thread
// reaches with nothing but f32 multiply-adds, in the same sitting:
//   weft-kernel-bench --benchmark_filter='^(attention|peak)/.*/AVX2'
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/attention_bench.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/target_names.h"
#include "benchmark/benchmark.h"
#include "graph/sample.h"
#include "ops/fused.h"
#include "ops/ops.h"
#include "tests/sample_data.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

template <size_t... kIs, class... Sums>
HWY_INLINE float Loop(std::index_sequence<kIs...>, int64_t n, Sums... sums) {
  const hn::CappedTag<float, 16> d;
  const auto a = hn::Set(d, 0.999f), b = hn::Set(d, 1e-3f);
  for (int64_t i = 0; i < n; ++i) ((sums = hn::MulAdd(sums, a, b)), ...);
  return hn::GetLane((sums + ...));
}

template <size_t... kIs>
HWY_INLINE float Start(std::index_sequence<kIs...> is, int64_t n) {
  const hn::CappedTag<float, 16> d;
  return Loop(is, n, hn::Set(d, static_cast<float>(kIs))...);
}

// n times 12 independent multiply-adds of a vector (registers of every target
// hold them, and they hide the latency of any); returns how many values that
// is.
int64_t MultiplyAdds(int64_t n) {
  benchmark::DoNotOptimize(Start(std::make_index_sequence<12>(), n));
  return 12 * n *
         static_cast<int64_t>(hn::Lanes(hn::CappedTag<float, 16>()));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace {
HWY_EXPORT(MultiplyAdds);

using benchmark::Counter;

void RunPeak(benchmark::State& state, const std::string& target) {
  const auto loop = cpu::PickTarget(HWY_DISPATCH_TABLE(MultiplyAdds),
                                    cpu::ParseTarget(target).value_or(0));
  double done = 0;
  for (auto _ : state) done += 2e-9 * static_cast<double>(loop(100000));
  state.counters["GFLOPS"] = Counter(done, Counter::kIsRate);
}

struct Case {
  DType kv;
  int64_t context, tokens;
  int threads;
};

constexpr int64_t kHeads = 32, kGroups = 4, kSize = 64;

double BytesOfLayer(const Case& c) {
  return static_cast<double>(c.context * kGroups * 2 *
                             RowBytes(c.kv, kSize).value_or(0));
}

// So many that decoding cannot live on a cache of a core.
int64_t Layers(const Case& c) {
  return c.tokens > 1 ? 1
                      : std::clamp<int64_t>(
                            static_cast<int64_t>(64e6 / BytesOfLayer(c)), 1,
                            16);
}

void Build(const Case& c, SampleGraph& g) {
  FusedAttention a;
  a.q = g.Normal({c.tokens, kHeads, kSize});
  a.step = {g.Positions({c.tokens}, c.context - c.tokens),
            g.Ids({c.tokens}, 1)};
  a.options.scale = 0.125;
  const Value row = g.Normal({c.tokens, kGroups, kSize});
  const auto filled = [&] {
    return Append(g.State(c.kv, {1, c.context, kGroups, kSize}), row, a.step);
  };
  for (int64_t layer = 0; layer < Layers(c); ++layer) {
    a.k = filled();
    a.v = filled();
    g.graph().Output(absl::StrCat("y", layer), Attention(a));
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
  const double layers = static_cast<double>(Layers(c));
  // Each token sees itself and what lies before it.
  const double pairs = static_cast<double>(c.tokens * c.context -
                                           c.tokens * (c.tokens - 1) / 2);
  state.counters["GFLOPS"] =
      Counter(4e-9 * pairs * kHeads * kSize * layers,
              Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(1e-9 * BytesOfLayer(c) * layers,
                                   Counter::kIsIterationInvariantRate);
  state.counters["us/layer"] =
      Counter(1e-6 * layers, Counter::kIsIterationInvariantRate |
                                 Counter::kInvert);
}

void Register(const Case& c, const std::string& target) {
  auto* bench = benchmark::RegisterBenchmark(
      absl::StrCat("attention/", Name(c.kv), "/",
                   c.tokens == 1 ? "decode" : "prefill", "/", c.context, "/",
                   target, "/threads:", c.threads)
          .c_str(),
      [=](benchmark::State& state) { RunAttention(state, c, target); });
  bench->Unit(benchmark::kMicrosecond);
  // Processor time of the one thread: other programs do not count.
  if (c.threads > 1) bench->UseRealTime();
}

const bool registered = [] {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets()) {
    benchmark::RegisterBenchmark(
        absl::StrCat("peak/f32_fma/", target).c_str(),
        [=](benchmark::State& state) { RunPeak(state, target); })
        ->Unit(benchmark::kMicrosecond);
    for (const DType kv : {DType::kF32, DType::kF16, DType::kBF16,
                           DType::kQ8_0, DType::kQ4_0})
      for (const int64_t context : {512, 4096, 16384})
        for (const int64_t tokens : {1, 512})
          for (const int threads : {1, 2})
            Register({kv, context, tokens, threads}, target);
  }
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
#endif  // HWY_ONCE
