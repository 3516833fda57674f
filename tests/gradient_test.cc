// Gradient rules against central differences, and what Gradient() refuses.
//
// References compute in double and round each result to f32 once. Losses are
// added up in double from those results, and differences are of sixth order
// over steps of 1/128: what is left is rounding, 2^-24 * 128 of the results'
// size. Directions are multiples
// of 1/64, so that inputs up to 256 move by exactly what was asked for.
#include "ops/gradient.h"

#include <cmath>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
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

// rotate has no gradient for its table of angles.
bool HasGradient(const OpDef* op, size_t input) {
  return op != &kRotate || input == 0;
}

absl::Status Build(const OpDef* op, const Sample& sample, Checked& c) {
  c.results = sample.build(c.sample);
  size_t index = 0;
  for (const SampleGraph::Filled& f : c.sample.filled())
    if (f.value.dtype() == DType::kF32 && HasGradient(op, index++))
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
  // No direction may cross the bend of relu.
  if (op == &kRelu)
    for (float& x : absl::MakeSpan(data.at("x0").f32(),
                                   data.at("x0").bytes.size() / sizeof(float)))
      x += x < 0 ? -0.2f : 0.2f;
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < c.inputs.size(); ++i) CheckInput(c, data, i, random);
}

// Samples of indices have nothing to differentiate.
bool IsOfFloats(const Sample& sample) {
  SampleGraph g;
  for (const Value& y : sample.build(g))
    if (y.dtype() != DType::kF32) return false;
  for (const SampleGraph::Filled& f : g.filled())
    if (f.value.dtype() == DType::kF32) return true;
  return false;
}

TEST(Gradient, EveryRuleIsTheLimitOfDifferences) {
  int rules = 0;
  for (const OpDef* op : AllOps()) {
    if (op->gradient == nullptr) continue;
    ++rules;
    for (const Sample& sample : op->samples())
      if (IsOfFloats(sample)) CheckSample(op, sample);
  }
  EXPECT_GE(rules, 29);
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
  const Value routed = Route(x, {.used = 2}, {}, Line(7)).weights;
  const Value loss = SumTo(Scale(routed, 2), {1});
  const std::string error = ErrorOf(loss, {x});
  EXPECT_TRUE(absl::StrContains(error, "UNIMPLEMENTED: model.cc:7: route(x"))
      << error;
  EXPECT_TRUE(absl::StrContains(
      error, "route has no gradient rule; the loss reaches it by scale %"))
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
