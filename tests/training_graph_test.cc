// A whole model's gradient against central differences, and AdamW against its
// formula, both by the scalar references.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "graph/interpret.h"
#include "graph/print.h"
#include "gtest/gtest.h"
#include "ops/gradient.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/optimizer.h"
#include "ops/windows.h"
#include "tests/llama_graph.h"

namespace weft::inline v0 {
namespace {

using Tensors = std::map<std::string, HostTensor, std::less<>>;

absl::StatusOr<Interpretation> Interpreted(const Graph& graph,
                                           const Tensors& data) {
  return Interpret(
      graph, {},
      [&](const Graph&, const Node& node) -> absl::StatusOr<HostTensor> {
        return data.at(node.name);
      });
}

HostTensor Normal(const Shape& shape, double scale, std::mt19937_64& random) {
  HostTensor t(DType::kF32, shape.Bind({}));
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < t.elements(); ++i)
    t.f32()[i] = static_cast<float>(scale * normal(random));
  return t;
}

constexpr int64_t kWindows = 2, kLength = 5, kTokens = kWindows * kLength;

// A llama of two layers over two windows, and its loss.
struct Training {
  Graph graph;
  Value logits, loss;
  std::vector<Value> parameters;
  Tensors data;
};

struct Size {
  int64_t layers = 2, windows = kWindows;
  bool checkpoints = false;
};

void BuildTraining(Training& t, std::mt19937_64& random,
                   const Size& size = {}) {
  const int64_t n = size.windows * kLength;
  Graph model;
  BuildLlamaGraph(model, {.layers = size.layers,
                          .width = 16,
                          .heads = 4,
                          .groups = 2,
                          .hidden = 24,
                          .vocab = 30,
                          .context = kLength,
                          .tokens = n,
                          .weights = DType::kF32,
                          .kv = DType::kF32});
  WindowOptions options;
  options.windows = size.windows;
  options.length = kLength;
  options.checkpoint_layers = size.checkpoints;
  options.weight = [&](Graph& g, const Node& node) {
    const TensorType& type = model.value(node.outputs[0]).type;
    t.parameters.push_back(g.Input(node.name, type.dtype, type.shape));
    // Norms around 1, rows of embeddings that no norm divides by little,
    // matrices that keep sizes of order one.
    const bool is_table = node.name == "token_embd";
    HostTensor w = Normal(type.shape, is_table ? 1 : 0.25, random);
    if (type.shape.rank() == 1)
      for (int64_t i = 0; i < w.elements(); ++i) w.f32()[i] += 1;
    t.data[node.name] = std::move(w);
    return t.parameters.back();
  };
  const auto outputs = CopyForWindows(model, options, t.graph);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  t.logits = (*outputs)[0];
  const Value targets = t.graph.Input("targets", DType::kI32, {n});
  t.loss = CrossEntropy(t.logits, targets);
  std::vector<int32_t> tokens, wanted, pos, rows;
  for (int32_t i = 0; i < static_cast<int32_t>(n); ++i) {
    tokens.push_back(static_cast<int32_t>(random() % 30));
    wanted.push_back(static_cast<int32_t>(random() % 30));
    pos.push_back(i % kLength);
    rows.push_back(i);
  }
  t.data["tokens"] = HostTensor::FromInts({n}, tokens);
  t.data["targets"] = HostTensor::FromInts({n}, wanted);
  t.data["pos"] = HostTensor::FromInts({n}, pos);
  t.data["slot"] = HostTensor::FromInts({n}, pos);
  t.data["out_rows"] = HostTensor::FromInts({n}, rows);
}

// The loss in double, from the logits.
double LossOf(const Training& t, const Tensors& data) {
  const auto run = Interpreted(t.graph, data);
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return 0;
  const HostTensor& x = run->values[static_cast<size_t>(t.logits.id())];
  double loss = 0;
  for (int64_t r = 0; r < kTokens; ++r) {
    const float* row = x.f32() + r * x.dim(-1);
    double sum = 0;
    for (int64_t i = 0; i < x.dim(-1); ++i) sum += std::exp(double{row[i]});
    loss += std::log(sum) - row[data.at("targets").i32()[r]];
  }
  return loss / static_cast<double>(kTokens);
}

// The error is relative to the norm of each parameter's gradient. References
// compute in double and round each value of the graph to f32 once, about 2e-7
// of the loss: over a step of 0.006 3e-5, which the smallest gradients, of the
// norms' weights, show as 1e-5 to 6e-5. Where a loss bends so much that the
// seventh derivative shows, half the step leaves a 64th of that, and twice the
// rounding: the best of three counts.
TEST(TrainingGraph, LlamasGradientIsTheLimitOfDifferences) {
  const uint64_t seed = 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Training t;
  BuildTraining(t, random);
  const auto gradients = Gradient(t.loss, t.parameters);
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  t.graph.Output("loss", t.loss);
  ASSERT_TRUE(t.graph.Finish().ok()) << t.graph.status();
  const auto run = Interpreted(t.graph, t.data);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(t.parameters.size(), 21u);
  EXPECT_NEAR(run->values[static_cast<size_t>(t.loss.id())].f32()[0],
              LossOf(t, t.data), 1e-6);
  for (size_t p = 0; p < t.parameters.size(); ++p) {
    const std::string& name = t.graph.producer(t.parameters[p].id()).name;
    const HostTensor& g =
        run->values[static_cast<size_t>((*gradients)[p].id())];
    const HostTensor direction = Normal(t.parameters[p].shape(), 1, random);
    double want = 0, norm = 0;
    for (int64_t i = 0; i < g.elements(); ++i) {
      want += static_cast<double>(direction.f32()[i]) * g.f32()[i];
      norm += static_cast<double>(g.f32()[i]) * g.f32()[i];
    }
    const auto difference = [&](double step) {
      double sum = 0;
      for (const double sign : {1.0, -1.0}) {
        Tensors moved = t.data;
        for (int64_t i = 0; i < g.elements(); ++i)
          moved[name].f32()[i] +=
              static_cast<float>(sign * step * direction.f32()[i]);
        sum += sign * LossOf(t, moved);
      }
      return sum / (2 * step);
    };
    const auto sixth_order = [&](double step) {
      return 1.5 * difference(step) - 0.6 * difference(2 * step) +
             0.1 * difference(3 * step);
    };
    double got = 0;
    for (const double step : {0.006, 0.003, 0.0015}) {
      got = sixth_order(step);
      if (std::abs(got - want) <= 1e-4 * std::sqrt(norm)) break;
    }
    EXPECT_GT(norm, 0) << name;
    EXPECT_NEAR(got, want, 1e-4 * std::sqrt(norm)) << name;
  }
}

// The windows' logits are those of the model with its cache, one sequence for
// each window.
TEST(TrainingGraph, WindowsAreSequences) {
  std::mt19937_64 random(3);
  Training t;
  BuildTraining(t, random);
  t.graph.Output("logits", t.logits);
  ASSERT_TRUE(t.graph.Finish().ok()) << t.graph.status();
  const auto windows = Interpreted(t.graph, t.data);
  ASSERT_TRUE(windows.ok()) << windows.status();
  Graph model;
  BuildLlamaGraph(model, {.width = 16,
                          .heads = 4,
                          .groups = 2,
                          .hidden = 24,
                          .vocab = 30,
                          .context = kLength,
                          .tokens = kTokens,
                          .weights = DType::kF32,
                          .kv = DType::kF32});
  ASSERT_TRUE(model.Finish().ok());
  Tensors data = t.data;
  for (int64_t i = 0; i < kTokens; ++i)
    data["slot"].i32()[i] = static_cast<int32_t>(i / kLength);
  const auto run = Interpret(
      model, {{"T", kTokens}, {"R", kTokens}},
      [&](const Graph& g, const Node& node) -> absl::StatusOr<HostTensor> {
        const TensorType& type = g.value(node.outputs[0]).type;
        if (node.op->kind == OpKind::kState)
          return HostTensor(type.dtype, type.shape.Bind({}));
        return data.at(node.name);
      });
  ASSERT_TRUE(run.ok()) << run.status();
  const HostTensor& want =
      run->values[static_cast<size_t>(model.outputs()[0].value)];
  const HostTensor& got = windows->values[static_cast<size_t>(t.logits.id())];
  ASSERT_EQ(got.elements(), want.elements());
  for (int64_t i = 0; i < got.elements(); ++i)
    EXPECT_NEAR(got.f32()[i], want.f32()[i], 1e-5) << i;
}

// ---- Checkpoints ----

struct Ran {
  int64_t arena = 0;
  std::vector<std::vector<std::byte>> outputs;  // the loss, the gradients
};

Ran RunOnCpu(bool checkpoints) {
  std::mt19937_64 random(5);
  Training t;
  // Many tokens: activations outweigh parameters and gradients.
  BuildTraining(t, random,
                {.layers = 8, .windows = 40, .checkpoints = checkpoints});
  const auto gradients = Gradient(t.loss, t.parameters);
  EXPECT_TRUE(gradients.ok()) << gradients.status();
  if (!gradients.ok()) return {};
  // The gradients of the last layers are there first.
  t.graph.Output("0", t.loss);
  for (size_t i = gradients->size(); i > 0; --i)
    t.graph.Output(absl::StrCat(i), (*gradients)[i - 1]);
  const auto report = Optimize(t.graph);
  EXPECT_TRUE(report.ok()) << report.status();
  BackendOptions two;
  two.threads = 2;
  const auto backend = MakeBackend("cpu", two);
  const auto graph =
      std::shared_ptr<const Graph>(std::shared_ptr<void>(), &t.graph);
  auto made = (*backend)->Compile(
      graph, [](const Node&) -> absl::StatusOr<absl::Span<const std::byte>> {
        return absl::NotFoundError("no weights");
      });
  EXPECT_TRUE(made.ok()) << made.status();
  if (!made.ok()) return {};
  for (const auto& [name, tensor] : t.data) {
    const auto input = (*made)->Input(name);
    if (input.ok())
      std::copy(tensor.bytes.begin(), tensor.bytes.end(), input->begin());
  }
  const absl::Status ran = (*made)->Run({});
  EXPECT_TRUE(ran.ok()) << ran;
  Ran result;
  result.arena = (*made)->plan().memory.arena;
  for (size_t i = 0; i <= gradients->size(); ++i) {
    const auto out = *(*made)->Output(absl::StrCat(i));
    result.outputs.emplace_back(out.begin(), out.end());
  }
  return result;
}

TEST(Checkpoints, TakeLessMemoryAndGiveTheSameBits) {
  const Ran kept = RunOnCpu(false), again = RunOnCpu(true);
  ASSERT_GT(kept.outputs.size(), 70u);
  EXPECT_EQ(kept.outputs, again.outputs);
  EXPECT_LT(again.arena, kept.arena / 2);
}

// Each gradient of a chain without branches, and what is computed for it.
TEST(Checkpoints, ComputeAgainWhatLiesBetweenThem) {
  Graph g;
  const Value x = g.Input("x", DType::kF32, {2});
  const Value w = g.Input("w", DType::kF32, {2});
  const Value a = Checkpoint(Tanh(x * w));
  const Value b = Checkpoint(Sigmoid(Tanh(a)));
  const auto gradients = Gradient(SumTo(Tanh(b), {1}), {w});
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  g.Output("dw", (*gradients)[0]);
  ASSERT_TRUE(Optimize(g).ok());
  // The loss is no output: what is left of the forward pass are the two values
  // that are kept and what they come from, and again what the rules read.
  std::map<absl::string_view, int> ops;
  for (const NodeId id : g.order()) ++ops[g.node(id).op->name];
  EXPECT_EQ(ops["checkpoint"], 2);
  EXPECT_EQ(ops["tanh"], 4) << PrintText(g);     // a, within b, both again
  EXPECT_EQ(ops["after"], 2) << PrintText(g);    // of a, of x
  EXPECT_EQ(ops["sigmoid"], 1) << PrintText(g);  // its rule reads its operand
}

// The way forward reads weights as they are stored; the way back decodes them,
// one after the other.
TEST(Checkpoints, OneDecodedWeightAtATimeIsEnough) {
  constexpr int64_t kWidth = 256, kBytes = kWidth * kWidth * sizeof(float);
  Graph g;
  const Value x = g.Input("x", DType::kF32, {4, kWidth});
  Value h = x;
  for (int i = 0; i < 4; ++i)
    h = Linear(h,
               g.Weight(absl::StrCat("w", i), DType::kQ8_0, {kWidth, kWidth}));
  const auto gradients = Gradient(SumTo(h * h, {1}), {x});
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  g.Output("gradient", (*gradients)[0]);
  ASSERT_TRUE(Optimize(g).ok());
  const auto plan = (*MakeBackend("cpu"))->Plan(g);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_GT(plan->memory.arena, kBytes);
  EXPECT_LT(plan->memory.arena, 3 * kBytes / 2);
}

// ---- AdamW ----

// Two steps on loss = sum(w * x), whose gradient is x, by the formula.
TEST(Optimizer, AdamWFollowsItsFormula) {
  Graph g;
  const Parameter w = MakeParameter(g, "w", {2, 2});
  const Value x = g.Input("x", DType::kF32, {2, 2});
  const AdamWOptions o = {.beta1 = 0.8,
                          .beta2 = 0.9,
                          .eps = 1e-3,
                          .weight_decay = 0.5,
                          .clip_norm = 2};
  const Value loss = SumTo(w.value * x, {1});
  g.Output("loss", loss);
  const absl::Status added = AddAdamW(loss, {w}, o);
  ASSERT_TRUE(added.ok()) << added;
  ASSERT_TRUE(g.Finish().ok()) << g.status();
  Tensors data;
  data["x"] = HostTensor::FromFloats({2, 2}, {4, 0, -2, 4});  // norm 6
  data["learning_rate"] = HostTensor::FromFloats({1}, {0.1f});
  for (const char* name : {"w", "adamw.m.w", "adamw.v.w"})
    data[name] = HostTensor::FromFloats({1, 2, 2}, {1, 2, 3, 4});
  data["adamw.v.w"] = HostTensor::FromFloats({1, 2, 2}, {0, 0, 1, 9});
  data["adamw.steps"] = HostTensor::FromFloats({1, 1}, {0});
  double p[] = {1, 2, 3, 4}, m[] = {1, 2, 3, 4}, v[] = {0, 0, 1, 9};
  const double gradient[] = {4 / 3.0, 0, -2 / 3.0, 4 / 3.0};  // clipped to 2
  for (int step = 1; step <= 2; ++step) {
    const auto run = Interpreted(g, data);
    ASSERT_TRUE(run.ok()) << run.status();
    for (const NodeId id : g.order())
      if (g.node(id).op == &kAssign)
        data[g.producer(g.node(id).inputs[0]).name] =
            run->values[static_cast<size_t>(g.node(id).outputs[0])];
    EXPECT_EQ(data["adamw.steps"].f32()[0], static_cast<float>(step));
    for (int i = 0; i < 4; ++i) {
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * gradient[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * gradient[i] * gradient[i];
      const double m_hat = m[i] / (1 - std::pow(o.beta1, step));
      const double v_hat = v[i] / (1 - std::pow(o.beta2, step));
      p[i] -=
          0.1 * (m_hat / (std::sqrt(v_hat) + o.eps) + o.weight_decay * p[i]);
      EXPECT_NEAR(data["w"].f32()[i], p[i], 2e-5 * std::abs(p[i])) << i;
    }
  }
}

// The step of two runs is that of their mean gradient, and a run that adds to
// it leaves the parameter as it was.
TEST(Optimizer, AccumulatedRunsAreOneStep) {
  const std::vector<std::string> states = {"w", "adamw.m.w", "adamw.v.w",
                                           "adamw.steps", "adamw.g.w"};
  Tensors whole, parts;
  for (const int64_t runs : {1, 2}) {
    Graph g;
    const Parameter w = MakeParameter(g, "w", {2, 2});
    const Value x = g.Input("x", DType::kF32, {2, 2});
    const Value loss = SumTo(w.value * x, {1});
    g.Output("loss", loss);
    const absl::Status added = AddAdamW(loss, {w}, {.accumulate = runs});
    ASSERT_TRUE(added.ok()) << added;
    ASSERT_TRUE(g.Finish().ok()) << g.status();
    Tensors& data = runs == 1 ? whole : parts;
    data["learning_rate"] = HostTensor::FromFloats({1}, {0.1f});
    for (const std::string& name : states)
      data[name] = HostTensor::FromFloats({1, 2, 2}, {1, 2, 3, 4});
    data["adamw.steps"] = HostTensor::FromFloats({1, 1}, {3});
    data["adamw.g.w"] = HostTensor::FromFloats({1, 2, 2}, {0, 0, 0, 0});
    for (int64_t run = 0; run < runs; ++run) {
      const bool last = run + 1 == runs;
      data["apply"] = HostTensor::FromFloats({1}, {last ? 1.0f : 0.0f});
      const std::vector<float> of[] = {{1, 2, 0, 4}, {0, 0, -4, 4}};
      const std::vector<float> mean = {0.5f, 1, -2, 4};
      data["x"] = HostTensor::FromFloats(
          {2, 2}, runs == 1 ? mean : of[static_cast<size_t>(run)]);
      const auto result = Interpreted(g, data);
      ASSERT_TRUE(result.ok()) << result.status();
      const Tensors before = data;
      for (const NodeId id : g.order())
        if (g.node(id).op == &kAssign)
          data[g.producer(g.node(id).inputs[0]).name] =
              result->values[static_cast<size_t>(g.node(id).outputs[0])];
      for (const std::string& name : states)
        if (!last && name != "adamw.g.w") {
          EXPECT_EQ(data[name].bytes, before.at(name).bytes) << name;
        }
    }
  }
  for (const std::string& name : states)
    EXPECT_EQ(whole[name].ToFloats(), parts[name].ToFloats()) << name;
  Graph g;
  const Parameter w = MakeParameter(g, "w", {1});
  EXPECT_EQ(AddAdamW(w.value, {w}, {.accumulate = 0}).ToString(),
            "INVALID_ARGUMENT: adamw: a step of 0 runs; expected at least 1");
}

TEST(Optimizer, RatesWarmUpAndFallAlongACosine) {
  const RateSchedule s = {.peak = 1, .low = 0.2, .warm_up = 4, .steps = 15};
  EXPECT_DOUBLE_EQ(RateAt(s, 0), 0.25);
  EXPECT_DOUBLE_EQ(RateAt(s, 3), 1);
  EXPECT_DOUBLE_EQ(RateAt(s, 4), 1);
  EXPECT_DOUBLE_EQ(RateAt(s, 9), 0.6);
  EXPECT_DOUBLE_EQ(RateAt(s, 14), 0.2);
  EXPECT_DOUBLE_EQ(RateAt(s, 99), 0.2);
}

}  // namespace
}  // namespace weft::inline v0
