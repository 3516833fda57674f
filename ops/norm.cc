#include "ops/norm.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferNorm(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 1));
  const double eps = call.attrs.Float("eps");
  WEFT_RETURN_IF_ERROR(
      call.Require(eps >= 0, absl::StrCat("C3: eps is ", eps, ", below 0")));
  return OneType(DType::kF32, call.in[0].shape);
}

void RmsNormRow(const float* x, int64_t n, double eps, float* y) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const double rms = std::sqrt(squares / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] / rms);
}

void LayerNormRow(const float* x, int64_t n, double eps, float* y) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i)
    y[i] = static_cast<float>((x[i] - mean) / deviation);
}

absl::Status ForEachRow(const RefCall& call,
                        void (*row)(const float*, int64_t, double, float*)) {
  const HostTensor& x = *call.in[0];
  const int64_t n = x.dim(-1);
  for (int64_t r = 0; r < x.OuterElements(); ++r)
    row(x.f32() + r * n, n, call.attrs.Float("eps"),
        call.out[0]->f32() + r * n);
  return absl::OkStatus();
}

std::vector<Sample> NormSamples(Value (*norm)(Value, FloatAttr, Where)) {
  return {{"hidden",
           [norm](SampleGraph& g) -> Values {
             return {norm(g.Normal({Dim::Symbol("T", 5), 576}), 1e-5, Where())};
           }},
          {"heads",
           [norm](SampleGraph& g) -> Values {
             return {norm(g.Normal({2, 3, 17}), 1e-6, Where())};
           }},
          {"odd",
           [norm](SampleGraph& g) -> Values {
             return {norm(g.Uniform({3, 257}, 4, 6), 1e-6, Where())};
           }},
          {"one", [norm](SampleGraph& g) -> Values {
             return {norm(g.Normal({3, 1}), 1e-5, Where())};
           }}};
}

}  // namespace

const OpDef kRmsNorm = {
    .name = "rms_norm",
    .doc =
        "y = x / sqrt(mean(x^2) + eps) over the fastest dimension.\n"
        "f32[..., n] -> f32[..., n]; Zhang & Sennrich 2019, "
        "arXiv:1910.07467\n"
        "C1: x is f32.\n"
        "C2: x has rank >= 1.\n"
        "C3: eps >= 0.",
    .infer = InferNorm,
    .reference =
        [](const RefCall& call) { return ForEachRow(call, RmsNormRow); },
    .samples = [] { return NormSamples(RmsNorm); },
    .gradient = [](const GradientCall& c) -> Values {
      return {NormGradient(c.in[0], c.grad[0], c.attrs.Float("eps"), false)};
    },
    .in_place = 0b1,
};

const OpDef kLayerNorm = {
    .name = "layer_norm",
    .doc =
        "y = (x - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) over the "
        "fastest dimension.\n"
        "f32[..., n] -> f32[..., n]; Ba et al. 2016, arXiv:1607.06450\n"
        "C1: x is f32.\n"
        "C2: x has rank >= 1.\n"
        "C3: eps >= 0.",
    .infer = InferNorm,
    .reference =
        [](const RefCall& call) { return ForEachRow(call, LayerNormRow); },
    .samples = [] { return NormSamples(LayerNorm); },
    .gradient = [](const GradientCall& c) -> Values {
      return {NormGradient(c.in[0], c.grad[0], c.attrs.Float("eps"), true)};
    },
    .in_place = 0b1,
};

Value RmsNorm(Value x, FloatAttr eps, Where at) {
  return EmitNode(kRmsNorm, {x}, {{"eps", eps}}, at);
}

Value LayerNorm(Value x, FloatAttr eps, Where at) {
  return EmitNode(kLayerNorm, {x}, {{"eps", eps}}, at);
}

}  // namespace weft::inline v0
