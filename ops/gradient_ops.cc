#include "ops/gradient_ops.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// Two f32 operands of one shape, which is the result's.
absl::StatusOr<TensorTypes> InferPair(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(call.Require(
      call.in[0].shape == call.in[1].shape,
      absl::StrCat("C2: the operands' shapes are ", call.in[0].shape.ToString(),
                   " and ", call.in[1].shape.ToString())));
  return OneType(DType::kF32, call.in[0].shape);
}

absl::StatusOr<TensorTypes> InferRows(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C3", 0, 1));
  return InferPair(call);
}

// ---- Activations ----

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }

// d/dx x sigmoid(k x).
double GateSlope(double x, double k) {
  const double s = SigmoidOf(k * x);
  return s + k * x * s * (1 - s);
}

double SiluSlope(double x) { return GateSlope(x, 1); }
double GeluQuickSlope(double x) { return GateSlope(x, 1.702); }
double ReluSlope(double x) { return x > 0 ? 1 : 0; }
double TanhSlope(double x) { return 1 - std::tanh(x) * std::tanh(x); }
double SigmoidSlope(double x) { return SigmoidOf(x) * (1 - SigmoidOf(x)); }

// Phi(x) + x phi(x).
double GeluSlope(double x) {
  return 0.5 * std::erfc(-x / std::numbers::sqrt2) +
         x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
}

double GeluTanhSlope(double x) {
  const double root = std::sqrt(2 / std::numbers::pi);
  const double t = std::tanh(root * (x + 0.044715 * x * x * x));
  const double inner = root * (1 + 3 * 0.044715 * x * x);
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner;
}

struct Slope {
  const OpDef* op;
  double (*of)(double);
};
constexpr Slope kSlopes[] = {
    {&kSilu, SiluSlope},         {&kGelu, GeluSlope},
    {&kGeluTanh, GeluTanhSlope}, {&kGeluQuick, GeluQuickSlope},
    {&kRelu, ReluSlope},         {&kSigmoid, SigmoidSlope},
    {&kTanh, TanhSlope}};

double (*FindSlope(absl::string_view name))(double) {
  for (const Slope& slope : kSlopes)
    if (slope.op->name == name) return slope.of;
  return nullptr;
}

absl::Status ActivationReference(const RefCall& call) {
  const auto slope = FindSlope(call.attrs.String("activation"));
  const HostTensor& x = *call.in[0];
  for (int64_t i = 0; i < x.elements(); ++i)
    call.out[0]->f32()[i] =
        static_cast<float>(call.in[1]->f32()[i] * slope(x.f32()[i]));
  return absl::OkStatus();
}

std::vector<Sample> ActivationSamples() {
  std::vector<Sample> samples;
  for (const Slope& slope : kSlopes)
    samples.push_back(
        {std::string(slope.op->name), [&slope](SampleGraph& g) -> Values {
           const Dim t = Dim::Symbol("T", 3);
           const Value x = g.Normal({t, 257});
           const Value wide = g.Uniform({t, 17}, -30, 30);
           const absl::string_view name = slope.op->name;
           return {ActivationGradient(x, g.Normal({t, 257}), name),
                   ActivationGradient(wide, g.Normal({t, 17}), name)};
         }});
  return samples;
}

// ---- Rows ----

// y being the normalised row and r what x - mean was multiplied by:
// dx = r (g - mean(g) - y mean(g y)), without mean(g) where not centered.
void NormRow(const float* x, const float* g, int64_t n, double eps,
             bool centered, float* dx) {
  const double count = static_cast<double>(n);
  double mean = 0, mean_g = 0;
  for (int64_t i = 0; i < n && centered; ++i) {
    mean += x[i] / count;
    mean_g += g[i] / count;
  }
  double squares = 0, product = 0;
  for (int64_t i = 0; i < n; ++i) {
    squares += (x[i] - mean) * (x[i] - mean);
    product += (x[i] - mean) * g[i];
  }
  const double r = 1 / std::sqrt(squares / count + eps);
  for (int64_t i = 0; i < n; ++i)
    dx[i] = static_cast<float>(
        r * (g[i] - mean_g - (x[i] - mean) * r * r * product / count));
}

absl::Status NormReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const int64_t n = x.dim(-1);
  for (int64_t r = 0; r < x.OuterElements(); ++r)
    NormRow(x.f32() + r * n, call.in[1]->f32() + r * n, n,
            call.attrs.Float("eps"), call.attrs.Int("centered") != 0,
            call.out[0]->f32() + r * n);
  return absl::OkStatus();
}

absl::Status SoftmaxReference(const RefCall& call) {
  const HostTensor& y = *call.in[0];
  const int64_t n = y.dim(-1);
  for (int64_t r = 0; r < y.OuterElements(); ++r) {
    const float* p = y.f32() + r * n;
    const float* g = call.in[1]->f32() + r * n;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(p[i]) * g[i];
    for (int64_t i = 0; i < n; ++i)
      call.out[0]->f32()[r * n + i] = static_cast<float>(p[i] * (g[i] - sum));
  }
  return absl::OkStatus();
}

Sample NormSample(absl::string_view name, Shape shape, bool centered) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value x = g.Normal(shape);
            return {NormGradient(x, g.Normal(shape), 1e-5, centered)};
          }};
}

std::vector<Sample> SoftmaxSamples() {
  return {{"rows",
           [](SampleGraph& g) -> Values {
             const Shape shape = {Dim::Symbol("T", 4), 257};
             const Value y = g.Uniform(shape, 0, 0.01);
             return {SoftmaxGradient(y, g.Normal(shape))};
           }},
          {"one", [](SampleGraph& g) -> Values {
             const Value y = g.Uniform({3, 1}, 0, 1);
             return {SoftmaxGradient(y, g.Normal({3, 1}))};
           }}};
}

}  // namespace

const OpDef kActivationGradient = {
    .name = "activation_gradient",
    .doc =
        "y = g * f'(x), f being the activation of that name.\n"
        "x f32[...], g f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: they have one shape.\n"
        "C4: the activation exists.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      const absl::string_view name = call.attrs.String("activation");
      WEFT_RETURN_IF_ERROR(
          call.Require(FindSlope(name) != nullptr,
                       absl::StrCat("C4: no activation is named ", name)));
      return InferPair(call);
    },
    .reference = ActivationReference,
    .samples = ActivationSamples,
    .in_place = 0b11,
};

const OpDef kNormGradient = {
    .name = "norm_gradient",
    .doc =
        "The gradient of rms_norm, or of layer_norm where centered.\n"
        "x f32[..., n], g f32[..., n] -> f32[..., n]\n"
        "y = r (g - m - z mean(g z)), z = r (x - mean(x)), "
        "r = 1 / sqrt(mean((x - mean(x))^2) + eps), m = mean(g); not centered, "
        "m and mean(x) are left out.\n"
        "C1: the operands are f32.\n"
        "C2: they have one shape.\n"
        "C3: of rank >= 1.",
    .infer = InferRows,
    .reference = NormReference,
    .samples =
        [] {
          const Dim t = Dim::Symbol("T", 5);
          return std::vector<Sample>{NormSample("rms", {t, 257}, false),
                                     NormSample("centered", {t, 257}, true),
                                     NormSample("heads", {2, 3, 17}, false)};
        },
    .in_place = 0b11,
};

const OpDef kSoftmaxGradient = {
    .name = "softmax_gradient",
    .doc =
        "The gradient of the scores of a softmax whose result is y.\n"
        "y f32[..., n], g f32[..., n] -> f32[..., n]: y (g - sum(g y))\n"
        "C1: the operands are f32.\n"
        "C2: they have one shape.\n"
        "C3: of rank >= 1.",
    .infer = InferRows,
    .reference = SoftmaxReference,
    .samples = SoftmaxSamples,
    .in_place = 0b11,
};

Value ActivationGradient(Value x, Value g, absl::string_view activation,
                         Where at) {
  return EmitNode(kActivationGradient, {x, g}, {{"activation", activation}},
                  at);
}

Value NormGradient(Value x, Value g, FloatAttr eps, bool centered, Where at) {
  return EmitNode(kNormGradient, {x, g}, {{"eps", eps}, {"centered", centered}},
                  at);
}

Value SoftmaxGradient(Value y, Value g, Where at) {
  return EmitNode(kSoftmaxGradient, {y, g}, {}, at);
}

}  // namespace weft::inline v0
