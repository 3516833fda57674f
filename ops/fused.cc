#include "ops/fused.h"

#include "absl/strings/str_cat.h"

#include "graph/sample.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/op_helpers.h"
#include "ops/quantize.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {
namespace {

const Dim kT = Dim::Symbol("T", 7);

Value Activate(Value x, absl::string_view name) {
  const OpDef* op = FindActivation(name);
  if (op == nullptr || x.poisoned()) return x;
  return x.graph()->Emit(*op, {x}, {}, Where());
}

// The result of an op that quantises what it computed when the attribute
// "quantized" is set: to how many values share a scale.
Value Result(Value y, const Attrs& attrs) {
  const double per_scale = attrs.Float("quantized");
  return per_scale != 0 ? Quantize(y, per_scale) : y;
}

// `attrs`, and "quantized" where it is set.
Attrs WithQuantized(Attrs attrs, FloatAttr quantized) {
  if (quantized.is_capture() || quantized.value() != 0)
    attrs.Add("quantized", quantized);
  return attrs;
}

}  // namespace

const OpDef kQMatMul = {
    .name = "qmatmul",
    .doc =
        "Linear layer on a weight as stored: y = activation(x w^T + bias). "
        "x f32[..., K] or 8-bit (q8_a for weights in blocks of 256, q8_a32 for "
        "blocks of 32) or bf16 (for bf16), w [N, K] in any stored format, bias "
        "f32[N] when given; "
        "blocks are decoded in registers. With 8-bit activations the products "
        "are summed as integers.",
    .expand = [](const ExpandCall& c) -> Values {
      Value y = MatMul(Dequant(c.in[0]), Transpose(Dequant(c.in[1])));
      if (c.in.size() > 2) y = y + c.in[2];
      return {Activate(y, c.attrs.String("activation"))};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const DTypeInfo& info : AllDTypes()) {
            if (info.decode == nullptr) continue;
            const DType type = info.type;
            // Three blocks of 32, or two groups of 256 of which the second may
            // be short.
            const int64_t k = info.block_values == 256  ? 512
                              : info.block_values == 32 ? 352
                                                        : 96;
            for (const int64_t rows : {3, 33}) {
              samples.push_back(
                  {absl::StrCat(Name(type), "_", rows), [=](SampleGraph& g) {
                     return Values{
                         QMatMul(g.Normal({kT, k}), g.Weight(type, {rows, k}))};
                   }});
              if (!WantsQuantized(type)) continue;
              samples.push_back(
                  {absl::StrCat(Name(type), "_fast_", rows),
                   [=](SampleGraph& g) {
                     return Values{
                         QMatMul(Quantize(g.Normal({kT, k}), PerScaleFor(type)),
                                 g.Weight(type, {rows, k}))};
                   }});
            }
          }
          samples.push_back({"f16_odd", [](SampleGraph& g) {
                               return Values{
                                   QMatMul(g.Normal({5, 37}),
                                           g.Weight(DType::kF16, {11, 37}))};
                             }});
          samples.push_back({"bias_gelu", [](SampleGraph& g) {
                               return Values{
                                   QMatMul(g.Normal({kT, 64}),
                                           g.Weight(DType::kQ8_0, {19, 64}),
                                           g.Normal({19}), "gelu_tanh")};
                             }});
          return samples;
        },
    // Sums of K products in another order than the reference's f64 sum:
    // sqrt(K) roundings of 6e-8 each, on results of order 10.
    .tolerance = 2e-5,
};

Value QMatMul(Value x, Value w, Value bias, absl::string_view activation,
              Where at) {
  if (IsSet(bias))
    return x.graph()->Emit(kQMatMul, {x, w, bias}, {{"activation", activation}},
                           at);
  return x.graph()->Emit(kQMatMul, {x, w}, {{"activation", activation}}, at);
}

const OpDef kMatMulTransposed = {
    .name = "matmul_transposed",
    .doc =
        "matmul of f32 operands of which one, number `transposed`, is read by "
        "columns: y = a^T b or a b^T for each batch. Gradients are such "
        "products.",
    .expand = [](const ExpandCall& c) -> Values {
      if (c.attrs.Int("transposed") == 0)
        return {MatMul(Transpose(c.in[0]), c.in[1])};
      return {MatMul(c.in[0], Transpose(c.in[1]))};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          // Tiles and their edges, rows that are few, and batches.
          for (const int64_t m : {1, 7, 50})
            for (const int64_t n : {33, 264})
              samples.push_back(
                  {absl::StrCat("sizes_", m, "_", n), [=](SampleGraph& g) {
                     return Values{MatMulTransposed(g.Normal({67, m}),
                                                    g.Normal({67, n}), 0),
                                   MatMulTransposed(g.Normal({m, 131}),
                                                    g.Normal({n, 131}), 1)};
                   }});
          samples.push_back({"batches", [](SampleGraph& g) -> Values {
                               return {
                                   MatMulTransposed(g.Normal({2, 3, kT, 9}),
                                                    g.Normal({3, kT, 17}), 0),
                                   MatMulTransposed(g.Normal({2, 1, 5, 16}),
                                                    g.Normal({3, 6, 16}), 1)};
                             }});
          return samples;
        },
};

Value MatMulTransposed(Value a, Value b, int operand, Where at) {
  return a.graph()->Emit(kMatMulTransposed, {a, b}, {{"transposed", operand}},
                         at);
}

const OpDef kQGather = {
    .name = "qgather",
    .doc =
        "Rows of a table as stored: y[t] = decode(w[ids[t]]). w [N, K] in "
        "any stored format, ids i32[T], result f32[T, K].",
    .expand = [](const ExpandCall& c) -> Values {
      return {GatherRows(Dequant(c.in[0]), c.in[1])};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const DType type : {DType::kF32, DType::kF16, DType::kBF16,
                                   DType::kQ8_0, DType::kQ4_0})
            samples.push_back({std::string(Name(type)), [=](SampleGraph& g) {
                                 return Values{QGather(g.Weight(type, {10, 96}),
                                                       g.Ids({kT}, 10))};
                               }});
          return samples;
        },
    .tolerance = 0,  // decoding is exact
};

Value QGather(Value w, Value ids, Where at) {
  return w.graph()->Emit(kQGather, {w, ids}, {}, at);
}

const OpDef kRmsNormMul = {
    .name = "rms_norm_mul",
    .doc =
        "RMS norm with weight: y = x / sqrt(mean(x^2) + eps) * w. "
        "x f32[..., n], w f32[n].",
    .expand = [](const ExpandCall& c) -> Values {
      return {
          Result(RmsNorm(c.in[0], c.attrs.Float("eps")) * c.in[1], c.attrs)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const int64_t n : {1, 3, 64, 257})
            samples.push_back({absl::StrCat("n", n), [=](SampleGraph& g) {
                                 return Values{RmsNormMul(g.Normal({kT, n}),
                                                          g.Normal({n}), 1e-5)};
                               }});
          samples.push_back({"heads", [](SampleGraph& g) {
                               return Values{RmsNormMul(g.Normal({kT, 4, 16}),
                                                        g.Normal({16}), 1e-6)};
                             }});
          for (const int per_scale : {256, 32, 1})
            samples.push_back(
                {absl::StrCat("quantized_", per_scale), [=](SampleGraph& g) {
                   return Values{RmsNormMul(g.Normal({kT, 320}),
                                            g.Normal({320}), 1e-5, per_scale)};
                 }});
          return samples;
        },
    .in_place = 1,
};

Value RmsNormMul(Value x, Value w, FloatAttr eps, FloatAttr quantized,
                 Where at) {
  return x.graph()->Emit(kRmsNormMul, {x, w},
                         WithQuantized({{"eps", eps}}, quantized), at);
}

const OpDef kAddRmsNorm = {
    .name = "add_rms_norm",
    .doc =
        "Residual and norm in one pass: sum = a + b; normed = sum / "
        "sqrt(mean(sum^2) + eps) * w. a, b f32[..., n] of one shape, w "
        "f32[n]; two results.",
    .expand = [](const ExpandCall& c) -> Values {
      const Value sum = c.in[0] + c.in[1];
      return {sum,
              Result(RmsNorm(sum, c.attrs.Float("eps")) * c.in[2], c.attrs)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const int64_t n : {1, 3, 64, 257})
            samples.push_back({absl::StrCat("n", n), [=](SampleGraph& g) {
                                 return AddRmsNorm(g.Normal({kT, n}),
                                                   g.Normal({kT, n}),
                                                   g.Normal({n}), 1e-5);
                               }});
          for (const int per_scale : {256, 32, 1})
            samples.push_back(
                {absl::StrCat("quantized_", per_scale), [=](SampleGraph& g) {
                   return AddRmsNorm(g.Normal({kT, 320}), g.Normal({kT, 320}),
                                     g.Normal({320}), 1e-5, per_scale);
                 }});
          return samples;
        },
    .n_outputs = 2,
    .in_place = 3,
};

Values AddRmsNorm(Value a, Value b, Value w, FloatAttr eps, FloatAttr quantized,
                  Where at) {
  return a.graph()->EmitAll(kAddRmsNorm, {a, b, w},
                            WithQuantized({{"eps", eps}}, quantized), at);
}

const OpDef kLayerNormMulAdd = {
    .name = "layer_norm_mul_add",
    .doc =
        "Layer norm with weight and bias: y = (x - mean) / sqrt(var + eps) "
        "* w + b. x f32[..., n], w and b f32[n].",
    .expand = [](const ExpandCall& c) -> Values {
      return {
          Result(LayerNorm(c.in[0], c.attrs.Float("eps")) * c.in[1] + c.in[2],
                 c.attrs)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const int64_t n : {1, 3, 64, 257})
            samples.push_back(
                {absl::StrCat("n", n), [=](SampleGraph& g) {
                   return Values{LayerNormMulAdd(
                       g.Normal({kT, n}), g.Normal({n}), g.Normal({n}), 1e-5)};
                 }});
          for (const int per_scale : {256, 32, 1})
            samples.push_back(
                {absl::StrCat("quantized_", per_scale), [=](SampleGraph& g) {
                   return Values{
                       LayerNormMulAdd(g.Normal({kT, 320}), g.Normal({320}),
                                       g.Normal({320}), 1e-5, per_scale)};
                 }});
          return samples;
        },
    .in_place = 1,
};

Value LayerNormMulAdd(Value x, Value w, Value b, FloatAttr eps,
                      FloatAttr quantized, Where at) {
  return x.graph()->Emit(kLayerNormMulAdd, {x, w, b},
                         WithQuantized({{"eps", eps}}, quantized), at);
}

const OpDef kGated = {
    .name = "gated",
    .doc =
        "Gated activation: y = activation(gate) * up. Both f32 of one "
        "shape.",
    .expand = [](const ExpandCall& c) -> Values {
      return {Result(Activate(c.in[0], c.attrs.String("activation")) * c.in[1],
                     c.attrs)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const OpDef* op : Activations())
            for (const int64_t n : {3, 172})
              samples.push_back(
                  {absl::StrCat(op->name, "_", n), [=](SampleGraph& g) {
                     return Values{
                         Gated(g.Normal({kT, n}), g.Normal({kT, n}), op->name)};
                   }});
          for (const int per_scale : {256, 32, 1})
            samples.push_back(
                {absl::StrCat("quantized_", per_scale), [=](SampleGraph& g) {
                   return Values{Gated(g.Normal({kT, 1300}),
                                       g.Normal({kT, 1300}), "silu",
                                       per_scale)};
                 }});
          return samples;
        },
    .in_place = 3,
};

Value Gated(Value gate, Value up, absl::string_view activation,
            FloatAttr quantized, Where at) {
  return gate.graph()->Emit(
      kGated, {gate, up},
      WithQuantized({{"activation", activation}}, quantized), at);
}

const OpDef kGatedQMatMul = {
    .name = "gated_qmatmul",
    .doc =
        "The first half of a gated feed-forward layer: "
        "y = activation(x gate^T) * (x up^T). x as in qmatmul; gate and up "
        "[N, K] of one stored format.",
    .expand = [](const ExpandCall& c) -> Values {
      const Value x = Dequant(c.in[0]);
      const Value gate = MatMul(x, Transpose(Dequant(c.in[1])));
      const Value up = MatMul(x, Transpose(Dequant(c.in[2])));
      return {
          Result(Activate(gate, c.attrs.String("activation")) * up, c.attrs)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          // Of plain rows up to 64 are a task, of blocks up to 256.
          const auto Add = [&](std::string name, DType type, int64_t rows,
                               bool fast, absl::string_view activation) {
            samples.push_back({std::move(name), [=](SampleGraph& g) {
                                 Value x = g.Normal({kT, 512});
                                 if (fast) x = Quantize(x, PerScaleFor(type));
                                 return Values{GatedQMatMul(
                                     x, g.Weight(type, {rows, 512}),
                                     g.Weight(type, {rows, 512}), activation)};
                               }});
          };
          for (const DType type :
               {DType::kF32, DType::kF16, DType::kQ8_0, DType::kQ4_K})
            for (const int64_t rows : {3, 33, WantsQuantized(type) ? 300 : 70})
              for (const bool fast : {false, true})
                if (!fast || WantsQuantized(type))
                  Add(absl::StrCat(Name(type), fast ? "_fast_" : "_", rows),
                      type, rows, fast, "silu");
          for (const OpDef* op : Activations())
            Add(std::string(op->name), DType::kQ8_0, 33, false, op->name);
          // 1040: more blocks of 256 than the threads of a test.
          for (const int per_scale : {256, 32, 1})
            for (const int64_t rows : {33, 300, 1040}) {
              const int64_t k = rows == 1040 ? 256 : 512;
              samples.push_back(
                  {absl::StrCat("quantized_", per_scale, "_", rows),
                   [=](SampleGraph& g) {
                     const DType type =
                         per_scale == 256 ? DType::kQ4_K : DType::kQ8_0;
                     return Values{GatedQMatMul(
                         g.Normal({kT, k}), g.Weight(type, {rows, k}),
                         g.Weight(type, {rows, k}), "silu", per_scale)};
                   }});
            }
          return samples;
        },
    // As qmatmul, of which a result is the product of two.
    .tolerance = 4e-5,
};

Value GatedQMatMul(Value x, Value gate, Value up, absl::string_view activation,
                   FloatAttr quantized, Where at) {
  return x.graph()->Emit(kGatedQMatMul, {x, gate, up},
                         WithQuantized({{"activation", activation}}, quantized),
                         at);
}

}  // namespace weft::inline v0
