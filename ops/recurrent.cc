#include "ops/recurrent.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// Operand `i` is f32 of that shape.
absl::Status RequireShape(const Call& call, absl::string_view id, size_t i,
                          const Shape& want) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, id, i, DType::kF32));
  return call.Require(
      call.in[i].shape == want,
      absl::StrCat(id, ": operand ", i, " has shape ",
                   call.in[i].shape.ToString(), ", not ", want.ToString()));
}

// The last two operands are slot and pos, i32[T].
absl::Status RequireStep(const Call& call, absl::string_view id, Dim tokens) {
  for (const size_t i : {call.in.size() - 2, call.in.size() - 1}) {
    WEFT_RETURN_IF_ERROR(RequireDType(call, id, i, DType::kI32));
    WEFT_RETURN_IF_ERROR(
        call.Require(call.in[i].shape == Shape({tokens}),
                     absl::StrCat(id, ": slot and pos are no i32[T]")));
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorTypes> InferConv(const Call& call) {
  const Shape &state = call.in[0].shape, &x = call.in[1].shape,
              &w = call.in[2].shape;
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 3));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 1, 2));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 2, 2));
  const Dim t = x.dim(0), d = x.dim(1), k = w.dim(1);
  WEFT_RETURN_IF_ERROR(
      call.Require(k.is_constant() && k.bound() >= 2 && d.is_constant(),
                   absl::StrCat("C2: a kernel of ", k.ToString())));
  WEFT_RETURN_IF_ERROR(
      RequireShape(call, "C3", 0, {state.dim(0), Dim(k.bound() - 1), d}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C3", 1, {t, d}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C3", 2, {d, k}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C3", 3, {d}));
  WEFT_RETURN_IF_ERROR(RequireStep(call, "C4", t));
  return TensorTypes{call.in[0], {DType::kF32, x}};
}

absl::Status ConvReference(const RefCall& call) {
  HostTensor& state = *call.out[0];
  const HostTensor &x = *call.in[1], &w = *call.in[2], &bias = *call.in[3],
                   &slot = *call.in[4], &pos = *call.in[5];
  const int64_t d = x.dim(1), k = w.dim(1), size = (k - 1) * d;
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const int64_t s = slot.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("slot", t, s, state.dim(0)));
    float* past = state.f32() + s * size;
    if (pos.i32()[t] == 0) std::fill_n(past, size, 0.0f);
    const float* now = x.f32() + t * d;
    for (int64_t i = 0; i < d; ++i) {
      double sum = bias.f32()[i];
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(w.f32()[i * k + j]) *
               (j < k - 1 ? past[j * d + i] : now[i]);
      call.out[1]->f32()[t * d + i] = static_cast<float>(sum);
    }
    std::copy(past + d, past + size, past);
    std::copy_n(now, d, past + size - d);
  }
  return absl::OkStatus();
}

absl::StatusOr<TensorTypes> InferScan(const Call& call) {
  const Shape &state = call.in[0].shape, &x = call.in[1].shape;
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 3));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 1, 2));
  const Dim t = x.dim(0), d = x.dim(1), n = state.dim(2);
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 0, {state.dim(0), d, n}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 1, {t, d}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 2, {t, d}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 3, {d, n}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 4, {t, n}));
  WEFT_RETURN_IF_ERROR(RequireShape(call, "C2", 5, {t, n}));
  WEFT_RETURN_IF_ERROR(RequireStep(call, "C3", t));
  return TensorTypes{call.in[0], {DType::kF32, x}};
}

double Softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }

absl::Status ScanReference(const RefCall& call) {
  HostTensor& state = *call.out[0];
  const HostTensor &x = *call.in[1], &delta = *call.in[2], &a = *call.in[3],
                   &b = *call.in[4], &c = *call.in[5], &slot = *call.in[6],
                   &pos = *call.in[7];
  const int64_t d = x.dim(1), n = a.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const int64_t s = slot.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("slot", t, s, state.dim(0)));
    float* h = state.f32() + s * d * n;
    if (pos.i32()[t] == 0) std::fill_n(h, d * n, 0.0f);
    for (int64_t i = 0; i < d; ++i) {
      const double step = Softplus(delta.f32()[t * d + i]);
      const double in = step * x.f32()[t * d + i];
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) {
        float& value = h[i * n + j];
        value = static_cast<float>(std::exp(step * a.f32()[i * n + j]) * value +
                                   in * b.f32()[t * n + j]);
        sum += static_cast<double>(value) * c.f32()[t * n + j];
      }
      call.out[1]->f32()[t * d + i] = static_cast<float>(sum);
    }
  }
  return absl::OkStatus();
}

// Tokens of two sequences, both of which go on (first > 0), or one that starts.
Step SampleStep(SampleGraph& g, Dim t, int64_t first) {
  return {g.Positions({t}, first), g.Ids({t}, 2)};
}

Values ConvSample(SampleGraph& g, int64_t d, int64_t k, int64_t first) {
  const Dim t = Dim::Symbol("T", 6);
  const Value state = g.State(DType::kF32, {2, k - 1, d});
  const Value x = g.Normal({t, d});
  const Value w = g.Normal({d, k});
  const Value bias = g.Normal({d});
  return {CausalConv(state, x, w, bias, SampleStep(g, t, first))};
}

Values ScanSample(SampleGraph& g, int64_t d, int64_t n, int64_t first) {
  const Dim t = Dim::Symbol("T", 6);
  const Value state = g.State(DType::kF32, {2, d, n});
  ScanInputs in;
  in.x = g.Normal({t, d});
  in.delta = g.Uniform({t, d}, -4, 4);
  in.a = g.Uniform({d, n}, -4, -0.1);
  in.b = g.Normal({t, n});
  in.c = g.Normal({t, n});
  return {SelectiveScan(state, in, SampleStep(g, t, first))};
}

// The same for sequences that begin in the step, which gradients ask for.
Values ConvWindows(SampleGraph& g) {
  return {CausalConv(g.State(DType::kF32, {1, 3, 5}), g.Normal({8, 5}),
                     g.Normal({5, 4}), g.Normal({5}), WindowsOf(g, 2, 4))};
}

Values ScanWindows(SampleGraph& g) {
  ScanInputs in;
  in.x = g.Normal({8, 5});
  in.delta = g.Uniform({8, 5}, -4, 4);
  in.a = g.Uniform({5, 3}, -4, -0.25);
  in.b = g.Normal({8, 3});
  in.c = g.Normal({8, 3});
  return {
      SelectiveScan(g.State(DType::kF32, {1, 5, 3}), in, WindowsOf(g, 2, 4))};
}

Values ConvGradient(const GradientCall& c) {
  const Value g = c.grad[1];
  const Values of = CausalConvGradient(c.in[1], c.in[2], g, {c.in[5], c.in[4]});
  return {Value(), of[0], of[1], SumTo(g, c.in[3].shape())};
}

Values ScanGradient(const GradientCall& c) {
  const Values of =
      SelectiveScanGradient({c.in[1], c.in[2], c.in[3], c.in[4], c.in[5]},
                            c.grad[1], {c.in[7], c.in[6]});
  return {Value(), of[0], of[1], of[2], of[3], of[4]};
}

}  // namespace

const OpDef kCausalConv = {
    .name = "causal_conv",
    .doc =
        "Convolution over the last K tokens of a sequence, by channel.\n"
        "state f32[slots, K-1, D], x f32[T, D], w f32[D, K], bias f32[D], "
        "slot i32[T], pos i32[T] -> the state, f32[T, D]\n"
        "y[t,d] = bias[d] + sum over k of w[d,k] * x[t-(K-1)+k, d]; what "
        "precedes the step is in the state, zeros where pos is 0. At run "
        "time, OutOfRange for a slot outside the state.\n"
        "C1: the ranks are these.\n"
        "C2: K >= 2 and D are constants.\n"
        "C3: the operands are f32 of these shapes.\n"
        "C4: slot and pos are i32[T].",
    .infer = InferConv,
    .reference = ConvReference,
    .samples = []() -> std::vector<Sample> {
      return {
          {"four", [](SampleGraph& g) { return ConvSample(g, 37, 4, 3); }},
          {"two", [](SampleGraph& g) { return ConvSample(g, 64, 2, 1); }},
          {"start", [](SampleGraph& g) { return ConvSample(g, 300, 4, 0); }},
          {"windows", ConvWindows}};
    },
    .gradient = ConvGradient,
    .n_outputs = 2,
    .writes_state = true,
};

const OpDef kSelectiveScan = {
    .name = "selective_scan",
    .doc =
        "A linear recurrence with coefficients that depend on the input.\n"
        "state f32[slots, D, N], x f32[T, D], delta f32[T, D], a f32[D, N], "
        "b f32[T, N], c f32[T, N], slot i32[T], pos i32[T] -> the state, "
        "f32[T, D]\n"
        "s[d,n] = exp(p a[d,n]) s[d,n] + p b[t,n] x[t,d], p = "
        "softplus(delta[t,d]); y[t,d] = sum over n of c[t,n] s[d,n]. s is "
        "zero where pos is 0. At run time, OutOfRange for a slot outside the "
        "state.\n"
        "C1: the ranks are these.\n"
        "C2: the operands are f32 of these shapes.\n"
        "C3: slot and pos are i32[T].",
    .infer = InferScan,
    .reference = ScanReference,
    .samples = []() -> std::vector<Sample> {
      return {
          {"mamba", [](SampleGraph& g) { return ScanSample(g, 40, 16, 5); }},
          {"odd", [](SampleGraph& g) { return ScanSample(g, 17, 37, 1); }},
          {"start", [](SampleGraph& g) { return ScanSample(g, 70, 8, 0); }},
          {"windows", ScanWindows}};
    },
    .gradient = ScanGradient,
    .n_outputs = 2,
    .writes_state = true,
};

Value CausalConv(Value state, Value x, Value w, Value bias, const Step& step,
                 Where at) {
  if (state.graph() == nullptr) return Value();
  return state.graph()->EmitAll(
      kCausalConv, {state, x, w, bias, step.slot, step.pos}, {}, at)[1];
}

Value SelectiveScan(Value state, const ScanInputs& in, const Step& step,
                    Where at) {
  if (state.graph() == nullptr) return Value();
  return state.graph()->EmitAll(
      kSelectiveScan,
      {state, in.x, in.delta, in.a, in.b, in.c, step.slot, step.pos}, {},
      at)[1];
}

}  // namespace weft::inline v0
