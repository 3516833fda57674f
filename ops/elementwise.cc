#include "ops/elementwise.h"

#include <utility>

#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferBinary(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_ASSIGN_OR_RETURN(Shape shape,
                        BroadcastDims(call, "C2", call.in[0].shape.dims(),
                                      call.in[1].shape.dims()));
  return OneType(DType::kF32, std::move(shape));
}

// y[index] = f(a[index], b[index]), operands stretched where their dim is 1.
template <class F>
absl::Status Zip(const RefCall& call, F f) {
  const HostTensor& a = *call.in[0];
  const HostTensor& b = *call.in[1];
  const Dims a_strides = BroadcastStrides(a.dims, call.out[0]->dims);
  const Dims b_strides = BroadcastStrides(b.dims, call.out[0]->dims);
  float* y = call.out[0]->f32();
  ForEachIndex(call.out[0]->dims, [&](absl::Span<const int64_t> index) {
    *y++ =
        f(a.f32()[Offset(index, a_strides)], b.f32()[Offset(index, b_strides)]);
  });
  return absl::OkStatus();
}

using BinaryFn = Value (*)(Value, Value, Where);

Sample BinarySample(absl::string_view name, BinaryFn op, Shape a, Shape b) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value x = g.Normal(a);
            const Value y = g.Normal(b);
            return {op(x, y, Where())};
          }};
}

// Odd sizes of the fastest dim end a vector loop in every way; the broadcast
// ones are a bias, a column, an outer sum and a scalar.
std::vector<Sample> BinarySamples(BinaryFn op) {
  const Dim t = Dim::Symbol("T", 8);
  return {BinarySample("same", op, {t, 257}, {t, 257}),
          BinarySample("row", op, {t, 64}, {64}),
          BinarySample("column", op, {3, 17}, {3, 1}),
          BinarySample("outer", op, {5, 1, 17}, {3, 1}),
          BinarySample("left_row", op, {17}, {t, 3, 17}),
          BinarySample("scalar", op, {2, 3}, {1})};
}

}  // namespace

const OpDef kAdd = {
    .name = "add",
    .doc =
        "y = a + b, broadcast as NumPy does.\n"
        "f32[...], f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: aligned at the fastest dimension, dims are equal or one is 1.",
    .infer = InferBinary,
    .reference =
        [](const RefCall& call) {
          return Zip(call, [](float a, float b) { return a + b; });
        },
    .samples = [] { return BinarySamples(Add); },
    .gradient = [](const GradientCall& c) -> Values {
      return {SumTo(c.grad[0], c.in[0].shape()),
              SumTo(c.grad[0], c.in[1].shape())};
    },
    .commutative = true,
    .in_place = 0b11,
};

const OpDef kSub = {
    .name = "sub",
    .doc =
        "y = a - b, broadcast as NumPy does.\n"
        "f32[...], f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: aligned at the fastest dimension, dims are equal or one is 1.",
    .infer = InferBinary,
    .reference =
        [](const RefCall& call) {
          return Zip(call, [](float a, float b) { return a - b; });
        },
    .samples = [] { return BinarySamples(Sub); },
    .gradient = [](const GradientCall& c) -> Values {
      return {SumTo(c.grad[0], c.in[0].shape()),
              Scale(SumTo(c.grad[0], c.in[1].shape()), -1)};
    },
    .in_place = 0b11,
};

const OpDef kMul = {
    .name = "mul",
    .doc =
        "y = a * b, broadcast as NumPy does.\n"
        "f32[...], f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: aligned at the fastest dimension, dims are equal or one is 1.",
    .infer = InferBinary,
    .reference =
        [](const RefCall& call) {
          return Zip(call, [](float a, float b) { return a * b; });
        },
    .samples = [] { return BinarySamples(Mul); },
    .gradient = [](const GradientCall& c) -> Values {
      return {SumTo(c.grad[0] * c.in[1], c.in[0].shape()),
              SumTo(c.grad[0] * c.in[0], c.in[1].shape())};
    },
    .commutative = true,
    .in_place = 0b11,
};

const OpDef kDiv = {
    .name = "div",
    .doc =
        "y = a / b, broadcast as NumPy does.\n"
        "f32[...], f32[...] -> f32[...]\n"
        "C1: the operands are f32.\n"
        "C2: aligned at the fastest dimension, dims are equal or one is 1.",
    .infer = InferBinary,
    .reference =
        [](const RefCall& call) {
          return Zip(call, [](float a, float b) { return a / b; });
        },
    .samples = []() -> std::vector<Sample> {
      // Divisors away from 0, where nothing has a tolerance.
      return {{"same",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 const Value a = g.Normal({t, 257});
                 return {Div(a, g.Uniform({t, 257}, 0.5, 2))};
               }},
              {"scalar", [](SampleGraph& g) -> Values {
                 const Value a = g.Normal({3, 17});
                 return {Div(a, g.Uniform({1}, -2, -0.5))};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      // d/db a / b = -y / b.
      const Value da = Div(c.grad[0], c.in[1]);
      return {SumTo(da, c.in[0].shape()),
              Scale(SumTo(da * c.out[0], c.in[1].shape()), -1)};
    },
    .in_place = 0b11,
};

const OpDef kScale = {
    .name = "scale",
    .doc =
        "y = x * factor, the factor rounded to f32.\n"
        "f32[...] -> f32[...]\n"
        "C1: x is f32.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
      return OneType(DType::kF32, call.in[0].shape);
    },
    .reference =
        [](const RefCall& call) {
          const float factor = static_cast<float>(call.attrs.Float("factor"));
          const HostTensor& x = *call.in[0];
          for (int64_t i = 0; i < x.elements(); ++i)
            call.out[0]->f32()[i] = x.f32()[i] * factor;
          return absl::OkStatus();
        },
    .samples = []() -> std::vector<Sample> {
      return {{"odd",
               [](SampleGraph& g) -> Values {
                 return {Scale(g.Normal({3, 257}), -0.25)};
               }},
              {"scores", [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 4);
                 return {Scale(g.Normal({t, 3, 1, 33}), 0.08838834764831845)};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {Scale(c.grad[0], c.attrs.Float("factor"))};
    },
    .in_place = 0b1,
};

Value Add(Value a, Value b, Where at) { return EmitNode(kAdd, {a, b}, {}, at); }
Value Sub(Value a, Value b, Where at) { return EmitNode(kSub, {a, b}, {}, at); }
Value Mul(Value a, Value b, Where at) { return EmitNode(kMul, {a, b}, {}, at); }

Value Div(Value a, Value b, Where at) { return EmitNode(kDiv, {a, b}, {}, at); }

Value Scale(Value x, FloatAttr factor, Where at) {
  return EmitNode(kScale, {x}, {{"factor", factor}}, at);
}

}  // namespace weft::inline v0
