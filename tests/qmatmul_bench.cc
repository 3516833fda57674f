// Google Benchmark suites of products with weights of every format, at the five
// shapes of TinyLlama-1.1B:
//
//   qmatmul/FORMAT/SHAPE/TOKENS/TARGET/threads:N   as programs run them: 8-bit
//       activations, rounded in the step, and packed rows, where there are
//       such; up to 8 tokens times as many matrices in turn as caches cannot
//       hold
//   qmatmul_exact/...     f32 activations
//   qmatmul_unfused/...   rows decoded to a buffer of f32, which is multiplied
//   memory/FORMAT/{warm,cold}/{large,small}_pages/...
//       one token times a matrix of 2048 x 2048 again and again, or times as
//       many as fill 256 MB in turn
//
// `limits/TARGET/threads:N` (attention_bench.cc) is what to hold them to;
// tests/bench_report.py does, and draws it.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "backends/backend.h"
#include "benchmark/benchmark.h"
#include "graph/packed.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/optimize.h"
#include "tests/sample_data.h"
#include "tools/machine.h"

namespace weft::inline v0 {
namespace {

using benchmark::Counter;

constexpr uint64_t kSeed = 1;
// Of weights that are used in turn: more than caches hold.
constexpr int64_t kColdBytes = int64_t{256} << 20;

enum class Form { kFast, kExact, kUnfused };

struct Case {
  DType format;  // of the rows
  int64_t rows, k, tokens;
  int threads = 1;
  Form form = Form::kFast;
  int64_t matrices = 1;
  bool large_pages = true;  // of the weights
};

bool IsPacked(const Case& c) {
  return c.form != Form::kUnfused && CanPack(c.format);
}

int64_t MatrixBytes(const Case& c) {
  return c.rows * RowBytes(c.format, c.k).value_or(0);
}

// Weights in pages of one kind.
class WeightMemory {
 public:
  explicit WeightMemory(const Case& c)
      : bytes_(static_cast<size_t>(MatrixBytes(c) * c.matrices)),
        room_((bytes_ / kLargePage + 1) * kLargePage),
        at_(static_cast<std::byte*>(std::aligned_alloc(kLargePage, room_))) {
    if (at_ == nullptr) return;
    madvise(at_, room_, c.large_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    // 16 random rows, again and again: only their time matters.
    HostTensor rows(c.format, {kPackedRows, c.k});
    FillRandom(rows, kSeed);
    std::vector<std::byte> some = rows.bytes;
    if (IsPacked(c))
      PackRows(c.format, rows.bytes.data(), kPackedRows,
               static_cast<int64_t>(some.size()) / kPackedRows, some.data());
    for (size_t at = 0; at < bytes_; at += some.size())
      std::memcpy(at_ + at, some.data(), std::min(some.size(), bytes_ - at));
  }
  ~WeightMemory() { std::free(at_); }
  WeightMemory(const WeightMemory&) = delete;
  WeightMemory& operator=(const WeightMemory&) = delete;

  bool ok() const { return at_ != nullptr; }
  absl::Span<const std::byte> Matrix(int64_t i, int64_t bytes) const {
    return {at_ + i * bytes, static_cast<size_t>(bytes)};
  }

 private:
  static constexpr size_t kLargePage = size_t{2} << 20;
  size_t bytes_, room_;
  std::byte* at_;
};

// The graph that is run; what the passes make of a product is what models get.
absl::StatusOr<std::shared_ptr<const Graph>> Build(const Case& c,
                                                   bool pack_halves) {
  auto graph = std::make_shared<Graph>();
  const Value x = graph->Input("x", DType::kF32, {c.tokens, c.k});
  for (int64_t i = 0; i < c.matrices; ++i) {
    const Value w = graph->Weight(absl::StrCat(i), c.format, {c.rows, c.k});
    graph->Output(absl::StrCat("y", i), c.form == Form::kUnfused
                                            ? MatMulTransposed(x, Dequant(w), 1)
                                            : Linear(x, w));
  }
  if (c.form == Form::kUnfused) {
    if (!graph->status().ok()) return graph->status();
    return graph;
  }
  const auto numerics =
      c.form == Form::kFast ? Numerics::kFast : Numerics::kExact;
  const auto report = Optimize(
      *graph,
      {.numerics = numerics, .pack_weights = true, .pack_halves = pack_halves});
  if (!report.ok()) return report.status();
  return graph;
}

absl::StatusOr<std::unique_ptr<Executable>> Compile(
    const Case& c, const std::string& target, const WeightMemory& memory) {
  const auto backend =
      MakeBackend("cpu", {.threads = c.threads, .target = target});
  if (!backend.ok()) return backend.status();
  const auto graph = Build(c, (*backend)->PacksHalves());
  if (!graph.ok()) return graph.status();
  auto executable = (*backend)->Compile(
      *graph,
      [&](const Node& w) -> absl::StatusOr<absl::Span<const std::byte>> {
        return memory.Matrix(std::stoll(w.name), MatrixBytes(c));
      });
  if (!executable.ok()) return executable;
  const auto x = (*executable)->Input("x");
  if (!x.ok()) return x.status();
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal;
  auto* const values = reinterpret_cast<float*>(x->data());
  std::generate_n(values, c.tokens * c.k, [&] { return normal(random); });
  return executable;
}

void Run(benchmark::State& state, const Case& c, const std::string& target) {
  const WeightMemory memory(c);
  if (!memory.ok()) return state.SkipWithError("no memory");
  const auto executable = Compile(c, target, memory);
  if (!executable.ok())
    return state.SkipWithError(executable.status().ToString().c_str());
  for (auto _ : state)
    if (const absl::Status s = (*executable)->Run({}); !s.ok())
      return state.SkipWithError(s.ToString().c_str());
  const auto rate = [&](double n) {
    return Counter(1e-9 * n, Counter::kIsIterationInvariantRate);
  };
  const auto matrices = static_cast<double>(c.matrices);
  state.counters["GOP/s"] =
      rate(2 * matrices * static_cast<double>(c.tokens * c.rows * c.k));
  state.counters["GB/s"] = rate(matrices * static_cast<double>(MatrixBytes(c)));
  const MemoryUse& use = (*executable)->plan().memory;
  state.counters["MB"] = 1e-6 * static_cast<double>(use.arena + use.scratch);
}

void Register(const std::string& name, const std::string& target,
              const Case& c) {
  auto* bench = benchmark::RegisterBenchmark(
      absl::StrCat(name, "/", target, "/threads:", c.threads).c_str(),
      [=](benchmark::State& state) { Run(state, c, target); });
  bench->Unit(benchmark::kMicrosecond);
  // Processor time of the one thread: other programs do not count.
  if (c.threads > 1) bench->UseRealTime();
}

struct Matrix {
  const char* name;
  int64_t rows, k;
};
constexpr Matrix kMatrices[] = {{"qkv", 6144, 2048},
                                {"attn_out", 2048, 2048},
                                {"gate_up", 11264, 2048},
                                {"down", 2048, 5632},
                                {"lm_head", 32000, 2048}};
constexpr int64_t kTokens[] = {1, 2, 4, 8, 32, 128, 512};

void RegisterProducts(const DTypeInfo& format, const std::string& target) {
  for (const Matrix& m : kMatrices)
    for (const int64_t tokens : kTokens) {
      const std::string of =
          absl::StrCat("/", format.name, "/", m.name, "/", tokens);
      Case c = {format.type, m.rows, m.k, tokens};
      // As a model's, no matrix is in the caches when few tokens come to it.
      if (tokens <= 8)
        c.matrices = (kColdBytes + MatrixBytes(c) - 1) / MatrixBytes(c);
      for (const int threads : {1, 2}) {
        Case fast = c;
        fast.threads = threads;
        Register(absl::StrCat("qmatmul", of), target, fast);
      }
      Case other = c;
      other.form = Form::kExact;
      Register(absl::StrCat("qmatmul_exact", of), target, other);
      other.form = Form::kUnfused;
      other.matrices = 1;
      Register(absl::StrCat("qmatmul_unfused", of), target, other);
    }
}

void RegisterMemory(const DTypeInfo& format, const std::string& target) {
  for (const bool cold : {false, true})
    for (const bool large : {true, false})
      for (const int threads : {1, 2}) {
        Case c = {format.type, 2048, 2048, 1, threads};
        if (cold) c.matrices = kColdBytes / MatrixBytes(c);
        c.large_pages = large;
        Register(absl::StrCat("memory/", format.name, cold ? "/cold" : "/warm",
                              large ? "/large_pages" : "/small_pages"),
                 target, c);
      }
}

// For whoever reads the numbers later.
void Describe() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  const std::string command(std::istreambuf_iterator<char>(in), {});
  benchmark::AddCustomContext(
      "command", absl::StrReplaceAll(command, {{std::string(1, '\0'), " "}}));
  benchmark::AddCustomContext("seed", absl::StrCat(kSeed));
  const Machine machine = DescribeMachine();
  benchmark::AddCustomContext("cpu", machine.cpu);
  benchmark::AddCustomContext("system", machine.system);
  benchmark::AddCustomContext("compiler", machine.compiler);
}

const bool registered = [] {
  Describe();
  for (const std::string& target : (*MakeBackend("cpu"))->Targets())
    for (const DTypeInfo& format : AllDTypes()) {
      if (!IsDecodable(format.type)) continue;
      RegisterProducts(format, target);
      RegisterMemory(format, target);
    }
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
