// The functions of one number. Each is defined once, in double.
#include <cmath>
#include <iterator>
#include <numbers>

#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

double SigmoidOf(double x) { return 1 / (1 + std::exp(-x)); }
double SiluOf(double x) { return x * SigmoidOf(x); }
double ReluOf(double x) { return x < 0 ? 0 : x; }  // keeps NaN
double TanhOf(double x) { return std::tanh(x); }
double ExpOf(double x) { return std::exp(x); }

// x * Phi(x). erfc, since 1 + erf cancels for x far below 0.
double GeluOf(double x) {
  return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
}

// Hendrycks & Gimpel 2016, arXiv:1606.08415.
double GeluTanhOf(double x) {
  const double root = std::sqrt(2 / std::numbers::pi);
  return 0.5 * x * (1 + std::tanh(root * (x + 0.044715 * x * x * x)));
}

double GeluQuickOf(double x) { return x * SigmoidOf(1.702 * x); }

absl::StatusOr<TensorTypes> InferUnary(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  return OneType(DType::kF32, call.in[0].shape);
}

absl::Status Map(const RefCall& call, double (*f)(double)) {
  const HostTensor& x = *call.in[0];
  for (int64_t i = 0; i < x.elements(); ++i)
    call.out[0]->f32()[i] = static_cast<float>(f(x.f32()[i]));
  return absl::OkStatus();
}

using UnaryFn = Value (*)(Value, Where);

// Normal inputs cover the bend; the wide range both flat ends.
std::vector<Sample> UnarySamples(UnaryFn f) {
  return {{"normal",
           [f](SampleGraph& g) -> Values {
             return {f(g.Normal({Dim::Symbol("T", 5), 257}), Where())};
           }},
          {"wide",
           [f](SampleGraph& g) -> Values {
             return {f(g.Uniform({3, 17}, -30, 30), Where())};
           }},
          {"one", [f](SampleGraph& g) -> Values {
             return {f(g.Normal({1}), Where())};
           }}};
}

template <const OpDef& kOp>
Values SlopeTimes(const GradientCall& c) {
  return {ActivationGradient(c.in[0], c.grad[0], kOp.name)};
}

}  // namespace

const OpDef kSilu = {
    .name = "silu",
    .doc =
        "y = x * sigmoid(x).\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, SiluOf); },
    .samples = [] { return UnarySamples(Silu); },
    .gradient = SlopeTimes<kSilu>,
    .in_place = 0b1,
};

const OpDef kRelu = {
    .name = "relu",
    .doc =
        "y = max(x, 0).\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, ReluOf); },
    .samples = [] { return UnarySamples(Relu); },
    .gradient = SlopeTimes<kRelu>,
    .in_place = 0b1,
};

const OpDef kSigmoid = {
    .name = "sigmoid",
    .doc =
        "y = 1 / (1 + exp(-x)).\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, SigmoidOf); },
    .samples = [] { return UnarySamples(Sigmoid); },
    .gradient = SlopeTimes<kSigmoid>,
    .in_place = 0b1,
};

const OpDef kTanh = {
    .name = "tanh",
    .doc =
        "y = tanh(x).\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, TanhOf); },
    .samples = [] { return UnarySamples(Tanh); },
    .gradient = SlopeTimes<kTanh>,
    .in_place = 0b1,
};

const OpDef kExp = {
    .name = "exp",
    .doc =
        "y = exp(x).\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, ExpOf); },
    .samples = [] { return UnarySamples(Exp); },
    .gradient = [](const GradientCall& c) -> Values {
      return {c.grad[0] * c.out[0]};
    },
    .in_place = 0b1,
};

const OpDef kSqrt = {
    .name = "sqrt",
    .doc =
        "y = sqrt(x).\n"
        "f32[...] -> f32[...]; NaN below 0\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference =
        [](const RefCall& call) {
          return Map(call, [](double x) { return std::sqrt(x); });
        },
    .samples = []() -> std::vector<Sample> {
      return {{"positive",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 return {Sqrt(g.Uniform({t, 257}, 0.5, 4))};
               }},
              {"large", [](SampleGraph& g) -> Values {
                 return {Sqrt(g.Uniform({17}, 1, 100))};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {Scale(Div(c.grad[0], c.out[0]), 0.5)};
    },
    .in_place = 0b1,
};

const OpDef kGelu = {
    .name = "gelu",
    .doc =
        "y = x * Phi(x), with Phi(x) = (1 + erf(x / sqrt(2))) / 2.\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, GeluOf); },
    .samples = [] { return UnarySamples(Gelu); },
    .gradient = SlopeTimes<kGelu>,
    .in_place = 0b1,
};

const OpDef kGeluTanh = {
    .name = "gelu_tanh",
    .doc =
        "GELU by its tanh approximation.\n"
        "y = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, GeluTanhOf); },
    .samples = [] { return UnarySamples(GeluTanh); },
    .gradient = SlopeTimes<kGeluTanh>,
    .in_place = 0b1,
};

const OpDef kGeluQuick = {
    .name = "gelu_quick",
    .doc =
        "GELU by its sigmoid approximation.\n"
        "y = x * sigmoid(1.702 x)\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = InferUnary,
    .reference = [](const RefCall& call) { return Map(call, GeluQuickOf); },
    .samples = [] { return UnarySamples(GeluQuick); },
    .gradient = SlopeTimes<kGeluQuick>,
    .in_place = 0b1,
};

Value Silu(Value x, Where at) { return EmitNode(kSilu, {x}, {}, at); }
Value Relu(Value x, Where at) { return EmitNode(kRelu, {x}, {}, at); }
Value Sigmoid(Value x, Where at) { return EmitNode(kSigmoid, {x}, {}, at); }
Value Tanh(Value x, Where at) { return EmitNode(kTanh, {x}, {}, at); }
Value Exp(Value x, Where at) { return EmitNode(kExp, {x}, {}, at); }
Value Sqrt(Value x, Where at) { return EmitNode(kSqrt, {x}, {}, at); }
Value Gelu(Value x, Where at) { return EmitNode(kGelu, {x}, {}, at); }
Value GeluTanh(Value x, Where at) { return EmitNode(kGeluTanh, {x}, {}, at); }
Value GeluQuick(Value x, Where at) { return EmitNode(kGeluQuick, {x}, {}, at); }

namespace {

constexpr const OpDef* kActivations[] = {
    &kSilu, &kGelu, &kGeluTanh, &kGeluQuick, &kRelu, &kSigmoid, &kTanh};
// The same order.
constexpr double (*kActivationFns[])(double) = {
    SiluOf, GeluOf, GeluTanhOf, GeluQuickOf, ReluOf, SigmoidOf, TanhOf};
static_assert(std::size(kActivations) == std::size(kActivationFns));

}  // namespace

absl::Span<const OpDef* const> Activations() { return kActivations; }

const OpDef* FindActivation(absl::string_view name) {
  for (const OpDef* op : kActivations)
    if (op->name == name) return op;
  return nullptr;
}

float ActivationOf(absl::string_view name, float x) {
  for (size_t i = 0; i < std::size(kActivations); ++i)
    if (kActivations[i]->name == name)
      return static_cast<float>(kActivationFns[i](x));
  return 0;
}

}  // namespace weft::inline v0
