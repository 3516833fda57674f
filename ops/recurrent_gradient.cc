// What the gradients of causal_conv and selective_scan are made of.
#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// ---- Sequences ----

// The token before each one in its sequence, -1 where one starts.
absl::StatusOr<std::vector<int64_t>> Predecessors(const HostTensor& slot,
                                                  const HostTensor& pos) {
  std::vector<int64_t> before(static_cast<size_t>(slot.elements()));
  std::vector<int64_t> last;  // by slot
  for (int64_t t = 0; t < slot.elements(); ++t) {
    const int64_t s = slot.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("slot", t, s, slot.elements()));
    last.resize(std::max(last.size(), static_cast<size_t>(s) + 1), -1);
    int64_t& at = last[static_cast<size_t>(s)];
    if (pos.i32()[t] == 0) at = -1;
    if (pos.i32()[t] != 0 && at < 0)
      return absl::OutOfRangeError(absl::StrCat(
          "token ", t, " is at position ", pos.i32()[t],
          " of a sequence that began before the step: no gradient goes there"));
    before[static_cast<size_t>(t)] = at;
    at = t;
  }
  return before;
}

// Operand i is f32 of that shape; the last two are i32[T].
absl::Status RequireAll(const Call& call, absl::Span<const Shape> shapes,
                        Dim tokens) {
  for (size_t i = 0; i < call.in.size(); ++i) {
    const bool index = i >= shapes.size();
    const Shape want = index ? Shape({tokens}) : shapes[i];
    const DType dtype = index ? DType::kI32 : DType::kF32;
    WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", i, dtype));
    WEFT_RETURN_IF_ERROR(call.Require(
        call.in[i].shape == want,
        absl::StrCat("C2: operand ", i, " has shape ",
                     call.in[i].shape.ToString(), ", not ", want.ToString())));
  }
  return absl::OkStatus();
}

// ---- The convolution ----

absl::StatusOr<TensorTypes> InferConv(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 2));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 1, 2));
  const Shape &x = call.in[0].shape, &w = call.in[1].shape;
  const Shape shapes[] = {x, {x.dim(1), w.dim(1)}, x};
  WEFT_RETURN_IF_ERROR(RequireAll(call, shapes, x.dim(0)));
  return TensorTypes{{DType::kF32, x}, {DType::kF32, w}};
}

absl::Status ConvReference(const RefCall& call) {
  const HostTensor &x = *call.in[0], &w = *call.in[1], &g = *call.in[2];
  WEFT_ASSIGN_OR_RETURN(const std::vector<int64_t> before,
                        Predecessors(*call.in[3], *call.in[4]));
  const int64_t d = x.dim(1), k = w.dim(1);
  std::vector<double> of_x(static_cast<size_t>(x.elements()), 0.0);
  std::vector<double> of_w(static_cast<size_t>(w.elements()), 0.0);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    // The last column meets the token itself, the one before its predecessor.
    int64_t from = t;
    for (int64_t j = k - 1; j >= 0 && from >= 0; --j) {
      for (int64_t i = 0; i < d; ++i) {
        const double grad = g.f32()[t * d + i];
        of_x[static_cast<size_t>(from * d + i)] += grad * w.f32()[i * k + j];
        of_w[static_cast<size_t>(i * k + j)] += grad * x.f32()[from * d + i];
      }
      from = before[static_cast<size_t>(from)];
    }
  }
  std::copy(of_x.begin(), of_x.end(), call.out[0]->f32());
  std::copy(of_w.begin(), of_w.end(), call.out[1]->f32());
  return absl::OkStatus();
}

// ---- The scan ----

absl::StatusOr<TensorTypes> InferScan(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 2));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 2, 2));
  const Shape &x = call.in[0].shape, &a = call.in[2].shape;
  const Shape of_tokens = {x.dim(0), a.dim(1)};
  const Shape shapes[] = {x, x, {x.dim(1), a.dim(1)}, of_tokens, of_tokens, x};
  WEFT_RETURN_IF_ERROR(RequireAll(call, shapes, x.dim(0)));
  return TensorTypes{{DType::kF32, x},
                     {DType::kF32, x},
                     {DType::kF32, a},
                     {DType::kF32, of_tokens},
                     {DType::kF32, of_tokens}};
}

// One channel of a scan, forth and back. Sums over channels are the caller's.
class ScanChannel {
 public:
  ScanChannel(const RefCall& call, const std::vector<int64_t>& before)
      : x_(*call.in[0]),
        delta_(*call.in[1]),
        a_(*call.in[2]),
        b_(*call.in[3]),
        c_(*call.in[4]),
        g_(*call.in[5]),
        before_(before),
        d_(x_.dim(1)),
        n_(a_.dim(1)),
        states_(before.size() * static_cast<size_t>(n_)),
        flows_(states_.size()) {}

  // The states after each token.
  void Forward(int64_t i) {
    for (size_t t = 0; t < before_.size(); ++t)
      for (int64_t j = 0; j < n_; ++j)
        states_[At(t, j)] = Decay(t, i, j) * Before(t, j) +
                            Step(t, i) * b_.f32()[At(t, j)] * X(t, i);
  }

  // Adds to the gradients, backwards: `flows_` holds those of the states. Those
  // of b and c are sums over channels.
  void Backward(int64_t i, HostTensor& x, HostTensor& delta, HostTensor& a,
                std::vector<double>& b, std::vector<double>& c) {
    std::fill(flows_.begin(), flows_.end(), 0.0);
    std::vector<double> of_a(static_cast<size_t>(n_), 0.0);
    for (size_t t = before_.size(); t-- > 0;) {
      const double grad = g_.f32()[Row(t, i)], step = Step(t, i);
      double of_x = 0, of_step = 0;
      for (int64_t j = 0; j < n_; ++j) {
        const size_t at = At(t, j);
        c[at] += grad * states_[at];
        const double flow = flows_[at] + grad * c_.f32()[at];
        const double kept = Decay(t, i, j) * Before(t, j);
        of_a[static_cast<size_t>(j)] += flow * step * kept;
        of_step += flow * (kept * A(i, j) + X(t, i) * b_.f32()[at]);
        of_x += flow * step * b_.f32()[at];
        b[at] += flow * step * X(t, i);
        if (before_[t] >= 0)
          flows_[At(static_cast<size_t>(before_[t]), j)] +=
              flow * Decay(t, i, j);
      }
      x.f32()[Row(t, i)] = static_cast<float>(of_x);
      // The slope of softplus is the logistic function.
      delta.f32()[Row(t, i)] = static_cast<float>(
          of_step / (1 + std::exp(-double{delta_.f32()[Row(t, i)]})));
    }
    for (int64_t j = 0; j < n_; ++j)
      a.f32()[i * n_ + j] = static_cast<float>(of_a[static_cast<size_t>(j)]);
  }

 private:
  size_t At(size_t t, int64_t j) const {
    return t * static_cast<size_t>(n_) + static_cast<size_t>(j);
  }
  size_t Row(size_t t, int64_t i) const {
    return t * static_cast<size_t>(d_) + static_cast<size_t>(i);
  }
  double X(size_t t, int64_t i) const { return x_.f32()[Row(t, i)]; }
  double A(int64_t i, int64_t j) const { return a_.f32()[i * n_ + j]; }
  double Step(size_t t, int64_t i) const {
    const double x = delta_.f32()[Row(t, i)];
    return x > 30 ? x : std::log1p(std::exp(x));
  }
  double Decay(size_t t, int64_t i, int64_t j) const {
    return std::exp(Step(t, i) * A(i, j));
  }
  double Before(size_t t, int64_t j) const {
    return before_[t] < 0 ? 0 : states_[At(static_cast<size_t>(before_[t]), j)];
  }

  const HostTensor &x_, &delta_, &a_, &b_, &c_, &g_;
  const std::vector<int64_t>& before_;
  const int64_t d_, n_;
  std::vector<double> states_, flows_;
};

absl::Status ScanReference(const RefCall& call) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<int64_t> before,
                        Predecessors(*call.in[6], *call.in[7]));
  ScanChannel channel(call, before);
  std::vector<double> b(static_cast<size_t>(call.in[3]->elements()), 0.0);
  std::vector<double> c = b;
  for (int64_t i = 0; i < call.in[0]->dim(1); ++i) {
    channel.Forward(i);
    channel.Backward(i, *call.out[0], *call.out[1], *call.out[2], b, c);
  }
  std::copy(b.begin(), b.end(), call.out[3]->f32());
  std::copy(c.begin(), c.end(), call.out[4]->f32());
  return absl::OkStatus();
}

Values ConvSample(SampleGraph& g, int64_t length, int64_t d, int64_t k) {
  const Step step = WindowsOf(g, 2, length);
  const Value x = g.Normal({2 * length, d});
  return CausalConvGradient(x, g.Normal({d, k}), g.Normal(x.shape()), step);
}

std::vector<Sample> ConvSamples() {
  return {
      {"windows", [](SampleGraph& g) { return ConvSample(g, 3, 5, 4); }},
      {"channels", [](SampleGraph& g) { return ConvSample(g, 6, 131, 2); }}};
}

Values ScanSample(SampleGraph& g, int64_t length, int64_t d, int64_t n) {
  ScanInputs in;
  in.x = g.Normal({2 * length, d});
  in.delta = g.Uniform(in.x.shape(), -4, 4);
  in.a = g.Uniform({d, n}, -4, -0.1);
  in.b = g.Normal({2 * length, n});
  in.c = g.Normal({2 * length, n});
  return SelectiveScanGradient(in, g.Normal(in.x.shape()),
                               WindowsOf(g, 2, length));
}

std::vector<Sample> ScanSamples() {
  return {
      {"windows", [](SampleGraph& g) { return ScanSample(g, 3, 5, 3); }},
      {"channels", [](SampleGraph& g) { return ScanSample(g, 4, 131, 16); }}};
}

}  // namespace

Step WindowsOf(SampleGraph& g, int64_t windows, int64_t length) {
  std::vector<int32_t> pos, slot(static_cast<size_t>(windows * length), 0);
  for (int64_t i = 0; i < windows * length; ++i)
    pos.push_back(static_cast<int32_t>(i % length));
  return {g.graph().Constant(HostTensor::FromInts({windows * length}, pos)),
          g.graph().Constant(HostTensor::FromInts({windows * length}, slot))};
}

const OpDef kCausalConvGradient = {
    .name = "causal_conv_gradient",
    .doc =
        "The gradients of x and of w of a causal_conv.\n"
        "x f32[T, D], w f32[D, K], g f32[T, D], slot i32[T], pos i32[T] -> "
        "f32[T, D], f32[D, K]; g is the gradient of its result. At run time, "
        "OutOfRange for a sequence that began before the step and for a slot "
        "not below T.\n"
        "C1: x and w have rank 2.\n"
        "C2: the operands have these types.",
    .infer = InferConv,
    .reference = ConvReference,
    .samples = ConvSamples,
    .n_outputs = 2,
};

const OpDef kSelectiveScanGradient = {
    .name = "selective_scan_gradient",
    .doc =
        "The gradients of x, delta, a, b and c of a selective_scan.\n"
        "x f32[T, D], delta f32[T, D], a f32[D, N], b f32[T, N], c f32[T, N], "
        "g f32[T, D], slot i32[T], pos i32[T] -> of x, delta, a, b, c; g is "
        "the gradient of its result. At run time, OutOfRange for a sequence "
        "that began before the step and for a slot not below T.\n"
        "C1: x and a have rank 2.\n"
        "C2: the operands have these types.",
    .infer = InferScan,
    .reference = ScanReference,
    .samples = ScanSamples,
    .n_outputs = 5,
};

Values CausalConvGradient(Value x, Value w, Value g, const Step& step,
                          Where at) {
  return x.graph()->EmitAll(kCausalConvGradient, {x, w, g, step.slot, step.pos},
                            {}, at);
}

Values SelectiveScanGradient(const ScanInputs& in, Value g, const Step& step,
                             Where at) {
  return in.x.graph()->EmitAll(
      kSelectiveScanGradient,
      {in.x, in.delta, in.a, in.b, in.c, g, step.slot, step.pos}, {}, at);
}

}  // namespace weft::inline v0
