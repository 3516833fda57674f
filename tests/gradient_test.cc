// Gradient rules against central differences, and what Gradient() refuses.
//
// References compute in double and round each result to f32 once. Losses are
// added up in double from those results, and differences are of sixth order
// over steps of 1/128: what is left is rounding, 2^-24 * 128 of the results'
// size. Directions are multiples
// of 1/64, so that inputs up to 256 move by exactly what was asked for.
#include "ops/gradient.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "graph/interpret.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/gradient_ops.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/quantize.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

using Tensors = std::map<std::string, HostTensor, std::less<>>;

// A sample, the weights of its results in the loss, and the gradient.
struct Checked {
  SampleGraph sample;
  Values results, weights;
  std::vector<Value> inputs;  // f32, differentiated
  std::vector<Value> gradients;
};

// rotate has no gradient for its table of angles, and no op for its state.
bool HasGradient(const OpDef* op, Value input, size_t index) {
  if (input.graph()->producer(input.id()).op->kind == OpKind::kState)
    return false;
  return op != &kRotate || index == 0;
}

absl::Status Build(const OpDef* op, const Sample& sample, Checked& c) {
  for (const Value& y : sample.build(c.sample))
    if (y.dtype() == DType::kF32) c.results.push_back(y);
  size_t index = 0;
  for (const SampleGraph::Filled& f : c.sample.filled())
    if (f.value.dtype() == DType::kF32 && HasGradient(op, f.value, index++))
      c.inputs.push_back(f.value);
  Value loss;
  for (Value& y : c.results) {
    // A loss cannot read -inf.
    if (op == &kMask) y = Softmax(y);
    c.weights.push_back(c.sample.Normal(y.shape()));
    const Value part = SumTo(y * c.weights.back(), {1});
    loss = loss.graph() == nullptr ? part : loss + part;
  }
  absl::StatusOr<std::vector<Value>> gradients = Gradient(loss, c.inputs);
  if (!gradients.ok()) return gradients.status();
  c.gradients = *std::move(gradients);
  c.sample.graph().Output("loss", loss);
  return c.sample.graph().Finish();
}

Interpretation RunGraph(Graph& graph, const Tensors& data) {
  absl::StatusOr<Interpretation> run = Interpret(
      graph, {},
      [&](const Graph&, const Node& node) -> absl::StatusOr<HostTensor> {
        return data.at(node.name);
      });
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *std::move(run) : Interpretation();
}

// Sum of weights * results, in double, and the root of the sum of their
// squares.
struct Loss {
  double sum = 0, size = 0;
};
Loss LossOf(Checked& c, const Tensors& data) {
  const Interpretation run = RunGraph(c.sample.graph(), data);
  Loss loss;
  for (size_t i = 0; i < c.results.size(); ++i) {
    const auto& y = run.values[static_cast<size_t>(c.results[i].id())];
    const auto& w = run.values[static_cast<size_t>(c.weights[i].id())];
    for (int64_t j = 0; j < y.elements(); ++j) {
      const double part = static_cast<double>(y.f32()[j]) * w.f32()[j];
      loss.sum += part;
      loss.size += part * part;
    }
  }
  loss.size = std::sqrt(loss.size);
  return loss;
}

const std::string& NameOf(Value v) { return v.graph()->producer(v.id()).name; }

double LossAt(Checked& c, const Tensors& data, const std::string& name,
              const std::vector<double>& direction, double step) {
  Tensors moved = data;
  for (size_t i = 0; i < direction.size(); ++i)
    moved.at(name).f32()[i] += static_cast<float>(step * direction[i]);
  return LossOf(c, moved).sum;
}

void CheckInput(Checked& c, const Tensors& data, size_t input,
                std::mt19937_64& random) {
  const std::string name = NameOf(c.inputs[input]);
  const Interpretation run = RunGraph(c.sample.graph(), data);
  const HostTensor& g =
      run.values[static_cast<size_t>(c.gradients[input].id())];
  std::vector<double> direction(static_cast<size_t>(g.elements()));
  double want = 0, norm = 0;
  for (size_t i = 0; i < direction.size(); ++i) {
    direction[i] =
        std::round(64 * std::normal_distribution<double>()(random)) / 64;
    want += direction[i] * g.f32()[i];
    norm += static_cast<double>(g.f32()[i]) * g.f32()[i];
  }
  const auto difference = [&](double step) {
    return (LossAt(c, data, name, direction, step) -
            LossAt(c, data, name, direction, -step)) /
           (2 * step);
  };
  constexpr double kStep = 1.0 / 128;
  const double got = 1.5 * difference(kStep) - 0.6 * difference(2 * kStep) +
                     0.1 * difference(3 * kStep);
  const double rounding = 0x1p-24 / kStep * LossOf(c, data).size;
  EXPECT_NEAR(got, want, 1e-4 * std::sqrt(norm) + 2 * rounding)
      << "of " << name;
}

void MoveAway(double bend, HostTensor& x) {
  for (int64_t i = 0; i < x.elements(); ++i)
    if (std::abs(x.f32()[i] - bend) < 0.2)
      x.f32()[i] += x.f32()[i] < bend ? -0.2f : 0.2f;
}

// The first `n` values of each row become f(0), f(1), ... in a random order.
template <class F>
void Shuffle(F f, HostTensor& x, std::mt19937_64& random) {
  const auto n = static_cast<size_t>(x.dim(-1));
  for (int64_t row = 0; row < x.OuterElements(); ++row) {
    float* values = x.f32() + static_cast<size_t>(row) * n;
    for (size_t i = 0; i < n; ++i)
      values[i] = static_cast<float>(f(static_cast<int>(i)));
    std::shuffle(values, values + n, random);
  }
}

// No direction may cross a bend, nor change what is picked.
void KeepSmooth(const OpDef* op, const Sample& sample, Tensors& data,
                std::mt19937_64& random) {
  if (absl::StartsWith(sample.name, "relu") || op == &kRelu)
    MoveAway(0, data.at("x0"));
  if (op == &kClampedSwiGlu)
    for (const char* name : {"x0", "x1"})
      for (const double bend : {-7.0, 7.0}) MoveAway(bend, data.at(name));
  // The norm of one number is its sign.
  if (op == &kAddRmsNorm && sample.name == "n1")
    for (auto& [name, x] : data)
      for (int64_t i = 0; i < x.elements(); ++i)
        x.f32()[i] = std::abs(x.f32()[i]) + 1;
  if (op != &kRoute) return;
  Shuffle([](int i) { return 0.25 * i; }, data.at("x0"), random);
  // The bias alone decides, of groups too: no two sums of powers are equal.
  if (data.count("x1") != 0)
    Shuffle([](int i) { return std::ldexp(1, i + 2); }, data.at("x1"), random);
}

void CheckSample(const OpDef* op, const Sample& sample) {
  SCOPED_TRACE(absl::StrCat(op->name, " ", sample.name));
  Checked c;
  const absl::Status built = Build(op, sample, c);
  ASSERT_TRUE(built.ok()) << built;
  const uint64_t seed = 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  const SampleData filled(c.sample, seed);
  Tensors data;
  for (const SampleGraph::Filled& f : c.sample.filled())
    data[NameOf(f.value)] = filled.Of(NameOf(f.value));
  std::mt19937_64 random(seed);
  KeepSmooth(op, sample, data, random);
  for (size_t i = 0; i < c.inputs.size(); ++i) CheckInput(c, data, i, random);
}

// Samples of indices have nothing to differentiate; caches, 8-bit activations
// and sequences that began in an earlier step no gradient.
bool HasSlopes(const Sample& sample) {
  SampleGraph g;
  bool result = false, operand = false;
  for (const Value& y : sample.build(g)) result |= y.dtype() == DType::kF32;
  for (const SampleGraph::Filled& f : g.filled())
    operand |= f.value.dtype() == DType::kF32;
  for (const NodeId id : g.graph().order()) {
    const OpDef* op = g.graph().node(id).op;
    if (op == &kQuantize || (op->writes_state && sample.name != "windows") ||
        g.graph().node(id).attrs.Float("quantized") != 0)
      return false;
  }
  return result && operand;
}

TEST(Gradient, EveryRuleIsTheLimitOfDifferences) {
  int rules = 0, fused = 0;
  for (const OpDef* op : AllOps()) {
    if (op->gradient == nullptr && op->expand == nullptr) continue;
    ++(op->gradient != nullptr ? rules : fused);
    for (const Sample& sample : op->samples())
      if (HasSlopes(sample)) CheckSample(op, sample);
  }
  EXPECT_GE(rules, 36);
  EXPECT_GE(fused, 9);
}

// A graph that was optimised has the gradient of the one that it was.
TEST(Gradient, OfAFusedGraphIsThatOfWhatItStandsFor) {
  Tensors data;
  data["x"] = HostTensor::FromFloats({2, 3}, {0.1f, 2, -1, 3, 0.5f, -0.25f});
  data["w"] = HostTensor::FromFloats({3}, {1, -2, 0.5f});
  std::vector<float> results[2];
  for (const bool fuse : {false, true}) {
    Graph g;
    const Value x = g.Input("x", DType::kF32, {2, 3});
    const Value w = g.Input("w", DType::kF32, {3});
    const Value h = RmsNorm(x, 1e-5) * w;
    g.Output("loss", SumTo(Silu(h) * h, {1}));
    if (fuse) {
      const auto report = Optimize(g);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(report->Count("rms_norm_mul"), 1);
      EXPECT_EQ(report->Count("gated"), 1);
    }
    const auto gradients = Gradient(Value(&g, g.outputs()[0].value), {x, w});
    ASSERT_TRUE(gradients.ok()) << gradients.status();
    ASSERT_TRUE(g.Finish().ok()) << g.status();
    const Interpretation run = RunGraph(g, data);
    for (const Value& v : *gradients)
      for (const float f : run.values[static_cast<size_t>(v.id())].ToFloats())
        results[fuse].push_back(f);
  }
  EXPECT_THAT(results[1],
              ::testing::Pointwise(::testing::FloatNear(1e-6f), results[0]));
}

// ---- What has no gradient ----

std::string ErrorOf(Value loss, absl::Span<const Value> parameters) {
  return Gradient(loss, parameters).status().ToString();
}

Where Line(uint32_t line) {
  Where at;
  at.file = "model.cc";
  at.line = line;
  return at;
}

TEST(Gradient, AnOpWithoutARuleIsNamedWithThePathToIt) {
  Graph g;
  const Value x = g.Input("x", DType::kF32, {4, 8});
  const Value late = After(x, x, Line(7));
  const Value loss = SumTo(Scale(late, 2), {1});
  const std::string error = ErrorOf(loss, {x});
  EXPECT_TRUE(absl::StrContains(error, "UNIMPLEMENTED: model.cc:7: after(x"))
      << error;
  EXPECT_TRUE(absl::StrContains(
      error, "after has no gradient rule; the loss reaches it by scale %"))
      << error;
  EXPECT_TRUE(absl::StrContains(error, " <- sum_to %")) << error;
}

TEST(Gradient, RefusesWhatIsNoLossOrHasNoPart) {
  Graph g;
  const Value x = g.Input("x", DType::kF32, {4, 8});
  const Value y = g.Input("y", DType::kF32, {4, 8});
  const Value ids = g.Input("ids", DType::kI32, {4});
  EXPECT_EQ(ErrorOf(x, {x}),
            "INVALID_ARGUMENT: gradient: the loss x f32[4,8] is not one f32 "
            "number");
  const Value loss = SumTo(x, {1});
  EXPECT_EQ(ErrorOf(loss, {y}),
            "INVALID_ARGUMENT: gradient: the loss does not depend on y "
            "f32[4,8]");
  EXPECT_EQ(ErrorOf(loss, {ids}),
            "INVALID_ARGUMENT: gradient: ids i32[4] is no f32 value of the "
            "loss's graph");
  EXPECT_EQ(ErrorOf(Value(), {x}),
            "INVALID_ARGUMENT: gradient: the loss is unset");
}

TEST(Gradient, ReadersOfOneValueAdd) {
  Graph g;
  const Value x = g.Constant(HostTensor::FromFloats({1}, {3}));
  const auto gradients = Gradient(x * x + Scale(x, 5), {x});
  ASSERT_TRUE(gradients.ok()) << gradients.status();
  const Interpretation run = RunGraph(g, {});
  EXPECT_EQ(run.values[static_cast<size_t>((*gradients)[0].id())].f32()[0], 11);
}

}  // namespace
}  // namespace weft::inline v0
