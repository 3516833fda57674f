// Google Benchmark of a step of training: forward, backward and AdamW of the
// llama that the default model is (4 layers, 256 wide, 8 heads in 4 groups,
// feed-forward 768, 2048 tokens of vocabulary, tied embeddings), on windows of
// 256 tokens. Counts 6 operations a token and parameter of the products (2
// forward, 4 backward) and, of attention, the pairs that a token may see:
//   weft-kernel-bench --benchmark_filter=training
// training_checkpoints/ keeps the results of layers alone.
// "%OP" is the share of the step that an op's kernels took.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "benchmark/benchmark.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/optimizer.h"
#include "ops/windows.h"
#include "tests/llama_graph.h"

namespace weft::inline v0 {
namespace {

using benchmark::Counter;

constexpr int64_t kLength = 256;
constexpr LlamaGraphOptions kShape = {.layers = 4,
                                      .width = 256,
                                      .heads = 8,
                                      .groups = 4,
                                      .hidden = 768,
                                      .vocab = 2048,
                                      .context = kLength,
                                      .weights = DType::kF32,
                                      .kv = DType::kF32};

double OperationsPerToken() {
  constexpr int64_t kKv = kShape.width / kShape.heads * kShape.groups;
  constexpr int64_t kLayer = 2 * kShape.width * (kShape.width + kKv) +
                             3 * kShape.width * kShape.hidden;
  constexpr int64_t kMatrices =
      kShape.layers * kLayer + kShape.width * kShape.vocab;
  // Scores and mixing, 2 operations for each of `width`, of the keys that a
  // token sees on average.
  constexpr double kAttention =
      kShape.layers * 4.0 * kShape.width * (kLength + 1) / 2;
  return 6.0 * kMatrices + 3 * kAttention;
}

std::shared_ptr<Graph> BuildStep(int64_t windows, bool checkpoints,
                                 std::string& error) {
  Graph model;
  LlamaGraphOptions shape = kShape;
  shape.tokens = windows * kLength;
  BuildLlamaGraph(model, shape);
  auto g = std::make_shared<Graph>();
  std::vector<Parameter> parameters;
  WindowOptions options;
  options.windows = windows;
  options.length = kLength;
  options.checkpoint_layers = checkpoints;
  options.weight = [&](Graph& into, const Node& node) {
    // Tied: the output is the table of embeddings, the first weight.
    if (node.name == "output") return parameters.front().value;
    parameters.push_back(MakeParameter(
        into, node.name, model.value(node.outputs[0]).type.shape));
    return parameters.back().value;
  };
  const auto outputs = CopyForWindows(model, options, *g);
  if (!outputs.ok()) {
    error = outputs.status().ToString();
    return nullptr;
  }
  const Value targets = g->Input("targets", DType::kI32, {windows * kLength});
  const Value loss = CrossEntropy((*outputs)[0], targets);
  g->Output("loss", loss);
  absl::Status done = AddAdamW(loss, parameters);
  if (done.ok()) done = Optimize(*g).status();
  error = done.ToString();
  return done.ok() ? g : nullptr;
}

// Random tokens and small random weights.
void Fill(Executable& e, int64_t windows) {
  std::mt19937_64 random(1);
  const auto set = [&](absl::string_view name, auto value) {
    const auto bytes = e.Input(name);
    int32_t* out = reinterpret_cast<int32_t*>(bytes->data());
    for (int64_t i = 0; i < windows * kLength; ++i)
      out[i] = static_cast<int32_t>(value(i));
  };
  const auto token = [&](int64_t) { return random() % kShape.vocab; };
  set("tokens", token);
  set("targets", token);
  set("pos", [](int64_t i) { return i % kLength; });
  set("out_rows", [](int64_t i) { return i; });
  const float rate = 1e-4f;
  std::memcpy(e.Input("learning_rate")->data(), &rate, sizeof(rate));
  std::vector<std::byte> states(static_cast<size_t>(e.SlotBytes(0)));
  for (size_t at = 0; at < states.size(); at += sizeof(float)) {
    const float w = std::normal_distribution<float>(0, 0.05f)(random);
    std::memcpy(&states[at], &w, sizeof(w));
  }
  e.LoadSlot(0, 0, states);
}

void AddShares(const Executable& e, const Graph& g, const Profile& profile,
               benchmark::State& state) {
  std::map<std::string, double> shares;
  for (size_t i = 0; i < profile.steps.size(); ++i)
    shares[std::string(g.node(e.plan().steps[i].node).op->name)] +=
        100 * profile.steps[i].elapsed / profile.elapsed;
  for (const auto& [name, share] : shares)
    if (share > 0.5) state.counters[absl::StrCat("%", name)] = share;
}

double PeakOf(const Backend& backend) {
  double peak = 0;
  const auto probe = backend.MakeProbe(int64_t{64} << 20);
  if (!probe.ok()) return 0;
  for (int i = 0; i < 3; ++i)
    for (const Peak& p : (*probe)->Peaks())
      if (p.arithmetic == Arithmetic::kF32)
        peak = std::max(peak, p.operations_per_second);
  return peak;
}

void RunTraining(benchmark::State& state, const std::string& target,
                 int threads, bool checkpoints) {
  const int64_t windows = state.range(0);
  std::string error;
  const std::shared_ptr<Graph> g = BuildStep(windows, checkpoints, error);
  const auto backend =
      MakeBackend("cpu", {.threads = threads, .target = target});
  if (g == nullptr || !backend.ok()) {
    state.SkipWithError(error.c_str());
    return;
  }
  const double peak = PeakOf(**backend);
  auto made = (*backend)->Compile(
      g, [](const Node&) -> absl::StatusOr<absl::Span<const std::byte>> {
        return absl::NotFoundError("there are no weights");
      });
  if (!made.ok()) {
    state.SkipWithError(made.status().ToString().c_str());
    return;
  }
  Executable& e = **made;
  Fill(e, windows);
  Profile profile;
  if (!e.Run({}).ok() || !e.SetProfile(&profile).ok()) return;
  for (auto _ : state)
    if (const absl::Status s = e.Run({}); !s.ok()) {
      state.SkipWithError(s.ToString().c_str());
      return;
    }
  AddShares(e, *g, profile, state);
  const double tokens = static_cast<double>(windows * kLength) *
                        static_cast<double>(profile.runs);
  const double rate = tokens / profile.elapsed;
  state.counters["tokens/s"] = rate;
  state.counters["GFLOPS"] = 1e-9 * rate * OperationsPerToken();
  state.counters["peak"] = 1e-9 * peak;
  state.counters["of_peak"] = rate * OperationsPerToken() / peak;
  state.counters["MB"] = 1e-6 * static_cast<double>(e.plan().memory.total());
}

const bool registered = [] {
  for (const std::string& target : (*MakeBackend("cpu"))->Targets())
    for (const bool checkpoints : {false, true})
      for (const int threads : {1, 2})
        benchmark::RegisterBenchmark(
            absl::StrCat("training", checkpoints ? "_checkpoints/" : "/",
                         target, "/threads:", threads)
                .c_str(),
            [=](benchmark::State& s) {
              RunTraining(s, target, threads, checkpoints);
            })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime()
            ->Arg(8)
            ->Arg(16);
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
