// Products with matrices that each token picks.
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/small_vector.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/experts.h"
#include "ops/gradient_ops.h"
#include "ops/matmul.h"
#include "ops/op_helpers.h"
#include "ops/quantize.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace {

const Dim kT = Dim::Symbol("T", 7);

// Operands by what they are; ids and bias null where they are not given.
template <class T>
struct Operands {
  Operands(absl::Span<const T> in, const Attrs& attrs) : x(in[0]), w(in[1]) {
    size_t next = 2;
    if (attrs.Int("has_ids") != 0) ids = &in[next++];
    if (attrs.Int("has_bias") != 0) bias = &in[next++];
  }
  const T& x;
  const T& w;
  const T* ids = nullptr;
  const T* bias = nullptr;
};

absl::StatusOr<TensorTypes> InferMatMulById(const Call& call) {
  const Operands<TensorType> o(call.in, call.attrs);
  const bool by_id = o.ids != nullptr;
  WEFT_RETURN_IF_ERROR(
      call.Require(o.x.dtype == DType::kF32 && o.w.dtype == DType::kF32 &&
                       (!by_id || o.ids->dtype == DType::kI32) &&
                       (o.bias == nullptr || o.bias->dtype == DType::kF32),
                   "C1: wanted f32 operands and i32 ids"));
  const Shape &x = o.x.shape, &w = o.w.shape;
  WEFT_RETURN_IF_ERROR(
      call.Require(w.rank() == 3 && (x.rank() == 3 || (by_id && x.rank() == 2)),
                   absl::StrCat("C2: x ", x.ToString(), " and w ", w.ToString(),
                                " are no [T, J, K] and [E, N, K]")));
  WEFT_RETURN_IF_ERROR(
      call.Require(x.dim(-1) == w.dim(2),
                   absl::StrCat("C3: inner dims differ (", x.dim(-1).ToString(),
                                " vs ", w.dim(2).ToString(), ")")));
  const Dim tokens = x.dim(0);
  Dim picks = w.dim(0);
  if (by_id && o.ids->shape.rank() == 2) picks = o.ids->shape.dim(1);
  WEFT_RETURN_IF_ERROR(
      call.Require(!by_id || o.ids->shape == Shape({tokens, picks}),
                   absl::StrCat("C4: the ids have shape ",
                                by_id ? o.ids->shape.ToString() : std::string(),
                                ", not [", tokens.ToString(), ", J]")));
  WEFT_RETURN_IF_ERROR(
      call.Require(x.rank() == 2 || x.dim(1) == picks,
                   absl::StrCat("C4: x has ", x.dim(1).ToString(),
                                " rows a token, wanted ", picks.ToString())));
  WEFT_RETURN_IF_ERROR(call.Require(
      o.bias == nullptr || o.bias->shape == Shape({w.dim(0), w.dim(1)}),
      "C5: the bias is no [E, N]"));
  return OneType(DType::kF32, {tokens, picks, w.dim(1)});
}

absl::Status MatMulByIdReference(const RefCall& call) {
  const Operands<const HostTensor*> o(call.in, call.attrs);
  const HostTensor &x = *o.x, &w = *o.w;
  const int64_t picks = call.out[0]->dim(1), n = w.dim(1), k = w.dim(2);
  float* y = call.out[0]->f32();
  for (int64_t p = 0; p < x.dim(0) * picks; ++p) {
    const int64_t id = o.ids == nullptr ? p % picks : (*o.ids)->i32()[p];
    WEFT_RETURN_IF_ERROR(CheckIndex("ids", p, id, w.dim(0)));
    const float* row = x.f32() + (x.rank() == 2 ? p / picks : p) * k;
    for (int64_t i = 0; i < n; ++i) {
      const float* weights = w.f32() + (id * n + i) * k;
      double sum = o.bias == nullptr ? 0.0 : (*o.bias)->f32()[id * n + i];
      for (int64_t j = 0; j < k; ++j)
        sum += static_cast<double>(row[j]) * weights[j];
      *y++ = static_cast<float>(sum);
    }
  }
  return absl::OkStatus();
}

// ---- Gradient ----

absl::StatusOr<TensorTypes> InferOuterById(const Call& call) {
  for (const size_t i : {0, 1})
    WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", i, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 2, DType::kI32));
  const Shape &g = call.in[0].shape, &x = call.in[1].shape,
              &ids = call.in[2].shape;
  const bool fits = g.rank() == 3 && ids == Shape({g.dim(0), g.dim(1)}) &&
                    (x.rank() == 2 || x.rank() == 3) && x.dim(0) == g.dim(0) &&
                    (x.rank() == 2 || x.dim(1) == g.dim(1));
  WEFT_RETURN_IF_ERROR(call.Require(
      fits, absl::StrCat("C2: g ", g.ToString(), ", x ", x.ToString(),
                         " and ids ", ids.ToString())));
  return OneType(DType::kF32, {call.attrs.GetShape("matrices").dim(0),
                               g.dim(-1), x.dim(-1)});
}

absl::Status OuterByIdReference(const RefCall& call) {
  const HostTensor &g = *call.in[0], &x = *call.in[1], &ids = *call.in[2];
  const int64_t picks = g.dim(1), n = g.dim(2), k = x.dim(-1);
  std::vector<double> sums(static_cast<size_t>(call.out[0]->elements()));
  for (int64_t p = 0; p < ids.elements(); ++p) {
    const int64_t id = ids.i32()[p];
    WEFT_RETURN_IF_ERROR(CheckIndex("ids", p, id, call.out[0]->dim(0)));
    const float* row = x.f32() + (x.rank() == 2 ? p / picks : p) * k;
    for (int64_t i = 0; i < n * k; ++i)
      sums[static_cast<size_t>(id * n * k + i)] +=
          static_cast<double>(g.f32()[p * n + i / k]) * row[i % k];
  }
  std::transform(sums.begin(), sums.end(), call.out[0]->f32(),
                 [](double sum) { return static_cast<float>(sum); });
  return absl::OkStatus();
}

// Of the bias: every pick's gradient, added to its row.
Value BiasGradient(Value g, const Value* ids, Dim matrices) {
  const Dim tokens = g.dim(0), n = g.dim(2);
  if (ids == nullptr) return SumTo(g, {g.dim(1), n});
  Value sum;
  for (int64_t j = 0; j < g.dim(1).bound(); ++j) {
    const Value part =
        ScatterRows(Reshape(Slice(g, 1, j, j + 1), {tokens, n}),
                    Reshape(Slice(*ids, 1, j, j + 1), {tokens}), matrices);
    sum = IsSet(sum) ? sum + part : part;
  }
  return sum;
}

Values MatMulByIdRule(const GradientCall& c) {
  const Operands<Value> o(c.in, c.attrs);
  const Value g = c.grad[0], x = o.x, w = o.w;
  Value dx = MatMulById(g, Transpose(w), o.ids ? *o.ids : Value());
  if (x.rank() == 2)
    dx = Reshape(SumTo(dx, {x.dim(0), Dim(1), x.dim(1)}), x.shape());
  const Value dw =
      o.ids ? OuterById(g, x, *o.ids, w.dim(0))
            : MatMul(Transpose(Permute(g, {1, 0, 2})), Permute(x, {1, 0, 2}));
  Values gradients = {dx, dw};
  if (o.ids) gradients.push_back(Value());
  if (o.bias) gradients.push_back(BiasGradient(g, o.ids, w.dim(0)));
  return gradients;
}

Value EmitById(const OpDef& op, Value x, Value w, Value ids, Value bias,
               Where at) {
  SmallVector<Value, 4> in = {x, w};
  const bool has_ids = ids.graph() != nullptr;
  const bool has_bias = bias.graph() != nullptr;
  if (has_ids) in.push_back(ids);
  if (has_bias) in.push_back(bias);
  return EmitNode(op, in, {{"has_ids", has_ids}, {"has_bias", has_bias}}, at);
}

Sample QSample(absl::string_view name, DType type, int64_t rows, int64_t k,
               bool quantize) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            Value x = g.Normal({kT, k});
            if (quantize) x = Quantize(x, PerScaleFor(type));
            const Value w = g.Weight(type, {5, rows, k});
            return {QMatMulById(x, w, g.Ids({kT, 2}, 5), {})};
          }};
}

std::vector<Sample> QSamples() {
  std::vector<Sample> samples = {
      QSample("f32", DType::kF32, 33, 96, false),
      QSample("f16", DType::kF16, 3, 37, false),
      QSample("q4_k", DType::kQ4_K, 33, 512, false),
      QSample("q4_k_fast", DType::kQ4_K, 33, 512, true),
      QSample("mxfp4", DType::kMXFP4, 131, 96, false),
      QSample("mxfp4_fast", DType::kMXFP4, 131, 96, true)};
  samples.push_back({"rows_and_bias", [](SampleGraph& g) -> Values {
                       const Value w = g.Weight(DType::kQ8_0, {3, 40, 64});
                       return {QMatMulById(g.Normal({kT, 2, 64}), w,
                                           g.Ids({kT, 2}, 3),
                                           g.Normal({3, 40}))};
                     }});
  // More tokens than one gathering takes.
  samples.push_back(
      {"many", [](SampleGraph& g) -> Values {
         const Dim t = Dim::Symbol("T", 150);
         const Value w = g.Weight(DType::kF16, {2, 5, 32});
         return {QMatMulById(g.Normal({t, 32}), w, g.Ids({t, 1}, 2), {})};
       }});
  samples.push_back({"heads", [](SampleGraph& g) -> Values {
                       const Value w = g.Weight(DType::kF16, {3, 17, 32});
                       return {QMatMulById(g.Normal({kT, 3, 32}), w, {}, {})};
                     }});
  return samples;
}

}  // namespace

const OpDef kMatMulById = {
    .name = "matmul_by_id",
    .doc =
        "y[t,j] = x[t,j] w[ids[t,j]]^T + bias[ids[t,j]].\n"
        "x f32[T, J, K] or f32[T, K], w f32[E, N, K], ids i32[T, J] "
        "(optional), bias f32[E, N] (optional) -> f32[T, J, N]\n"
        "Without ids, j takes matrix j. At run time, OutOfRange for an id "
        "outside [0, E).\n"
        "C1: the operands are f32, ids i32.\n"
        "C2: the ranks are these.\n"
        "C3: the inner dims K are equal.\n"
        "C4: ids and x have one row for each token and pick.\n"
        "C5: the bias is [E, N].",
    .infer = InferMatMulById,
    .reference = MatMulByIdReference,
    .samples = []() -> std::vector<Sample> {
      return {{"ids",
               [](SampleGraph& g) -> Values {
                 const Value w = g.Normal({4, 17, 33});
                 return {MatMulById(g.Normal({kT, 33}), w, g.Ids({kT, 3}, 4),
                                    g.Normal({4, 17}))};
               }},
              {"heads", [](SampleGraph& g) -> Values {
                 const Value w = g.Normal({3, 9, 20});
                 return {MatMulById(g.Normal({kT, 3, 20}), w)};
               }}};
    },
    .gradient = MatMulByIdRule,
    .tolerance = 2e-5,  // as of qmatmul
};

const OpDef kOuterById = {
    .name = "outer_by_id",
    .doc =
        "y[e] = sum over t, j with ids[t,j] = e of g[t,j]^T x[t,j].\n"
        "g f32[T, J, N], x f32[T, J, K] or f32[T, K], ids i32[T, J] -> "
        "f32[E, N, K]; E is the attribute `matrices`. At run time, OutOfRange "
        "for an id outside [0, E).\n"
        "C1: g and x are f32, ids i32.\n"
        "C2: the shapes are these.",
    .infer = InferOuterById,
    .reference = OuterByIdReference,
    .samples = []() -> std::vector<Sample> {
      return {{"tokens",
               [](SampleGraph& g) -> Values {
                 return {OuterById(g.Normal({7, 3, 17}), g.Normal({7, 33}),
                                   g.Ids({7, 3}, 4), Dim(4))};
               }},
              {"rows", [](SampleGraph& g) -> Values {
                 return {OuterById(g.Normal({7, 2, 37}), g.Normal({7, 2, 20}),
                                   g.Ids({7, 2}, 3), Dim(3))};
               }}};
    },
};

const OpDef kQMatMulById = {
    .name = "qmatmul_by_id",
    .doc =
        "Matmul by id on weights as stored: y[t,j] = x[t,j] w[ids[t,j]]^T + "
        "bias[ids[t,j]]. x f32 or 8-bit [T, J, K] or [T, K], w [E, N, K] in "
        "any stored format, ids i32[T, J] and bias f32[E, N] when given. "
        "Tokens of one matrix are taken together; others are not read.",
    .expand = [](const ExpandCall& c) -> Values {
      const Operands<Value> o(c.in, c.attrs);
      return {MatMulById(Dequant(o.x), Dequant(o.w), o.ids ? *o.ids : Value(),
                         o.bias ? *o.bias : Value())};
    },
    .samples = QSamples,
    .tolerance = 2e-5,  // as of qmatmul
};

Value MatMulById(Value x, Value w, Value ids, Value bias, Where at) {
  return EmitById(kMatMulById, x, w, ids, bias, at);
}

Value OuterById(Value g, Value x, Value ids, Dim matrices, Where at) {
  return EmitNode(kOuterById, {g, x, ids}, {{"matrices", Shape({matrices})}},
                  at);
}

Value LinearById(Value x, Value w, Value ids, Value bias, Where at) {
  return MatMulById(x, Dequant(w, at), ids, bias, at);
}

Value QMatMulById(Value x, Value w, Value ids, Value bias, Where at) {
  return EmitById(kQMatMulById, x, w, ids, bias, at);
}

Value WeightedSum(Value x, Value weights, Where at) {
  const Value row =
      Reshape(weights, {weights.dim(0), Dim(1), weights.dim(1)}, at);
  return Reshape(MatMul(row, x, at), {x.dim(0), x.dim(2)}, at);
}

}  // namespace weft::inline v0
