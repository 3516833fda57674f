#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/small_vector.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// The attributes of a rope_table node, in the order of RopeTable().
struct TableAttrs {
  explicit TableAttrs(const Attrs& attrs)
      : n_dims(attrs.Int("n_dims")),
        freq_base(attrs.Float("freq_base")),
        freq_scale(attrs.Float("freq_scale")),
        ext_factor(attrs.Float("ext_factor")),
        beta_fast(attrs.Float("beta_fast")),
        beta_slow(attrs.Float("beta_slow")),
        original_context(static_cast<double>(attrs.Int("original_context"))),
        magnitude(attrs.Float("magnitude")) {}

  int64_t n_dims;
  double freq_base, freq_scale, ext_factor, beta_fast, beta_slow;
  double original_context, magnitude;
};

absl::Status RequireYarn(const Call& call, const TableAttrs& a) {
  if (a.ext_factor == 0) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(call.Require(
      a.original_context > 0 && a.freq_base > 1,
      absl::StrCat("C5: YaRN wants original_context > 0 and freq_base > 1, "
                   "they are ",
                   a.original_context, " and ", a.freq_base)));
  return call.Require(
      a.beta_slow > 0 && a.beta_fast >= a.beta_slow,
      absl::StrCat("C5: YaRN wants beta_fast >= beta_slow > 0, they are ",
                   a.beta_fast, " and ", a.beta_slow));
}

absl::StatusOr<TensorTypes> InferRopeTable(const Call& call) {
  const TableAttrs a(call.attrs);
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kI32));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 1));
  WEFT_RETURN_IF_ERROR(call.Require(
      a.n_dims > 0 && a.n_dims % 2 == 0,
      absl::StrCat("C2: n_dims is ", a.n_dims, ", not positive and even")));
  const Dim half(a.n_dims / 2);
  if (call.in.size() > 1) {
    WEFT_RETURN_IF_ERROR(RequireDType(call, "C3", 1, DType::kF32));
    WEFT_RETURN_IF_ERROR(call.Require(
        call.in[1].shape == Shape({half}),
        absl::StrCat("C3: factors have shape ", call.in[1].shape.ToString(),
                     ", not [", half.ToString(), "]")));
  }
  WEFT_RETURN_IF_ERROR(call.Require(
      a.freq_base > 0 && a.freq_scale > 0,
      absl::StrCat("C4: freq_base is ", a.freq_base, " and freq_scale ",
                   a.freq_scale, ", not above 0")));
  WEFT_RETURN_IF_ERROR(RequireYarn(call, a));
  return OneType(DType::kF32, {call.in[0].shape.dim(0), half, 2});
}

// The pair whose angle makes `turns` turns over the original context: solves
// original_context * base^(-2 i / n_dims) = 2 pi turns for i.
double PairOfTurns(const TableAttrs& a, double turns) {
  const double ratio = a.original_context / (2 * std::numbers::pi * turns);
  return static_cast<double>(a.n_dims) * std::log(ratio) /
         (2 * std::log(a.freq_base));
}

// YaRN: 1 for pairs that turn fast and stay unscaled, 0 for slow ones that are
// interpolated, a straight ramp between.
double UnscaledShare(const TableAttrs& a, double pair) {
  const double low = std::max(0.0, std::floor(PairOfTurns(a, a.beta_fast)));
  const double high = std::min(static_cast<double>(a.n_dims - 1),
                               std::ceil(PairOfTurns(a, a.beta_slow)));
  // The ramp of zero width becomes a step.
  const double width = std::max(0.001, high - low);
  return 1 - std::clamp((pair - low) / width, 0.0, 1.0);
}

// The angle of pair i per unit of position.
double Frequency(const TableAttrs& a, int64_t i, double factor) {
  const double pair = static_cast<double>(i);
  const double unscaled =
      std::pow(a.freq_base, -2 * pair / static_cast<double>(a.n_dims)) / factor;
  const double scaled = a.freq_scale * unscaled;
  if (a.ext_factor == 0) return scaled;
  const double share = UnscaledShare(a, pair) * a.ext_factor;
  return scaled * (1 - share) + unscaled * share;
}

absl::Status RopeTableReference(const RefCall& call) {
  const TableAttrs a(call.attrs);
  const HostTensor& pos = *call.in[0];
  const float* factors = call.in.size() > 1 ? call.in[1]->f32() : nullptr;
  float* y = call.out[0]->f32();
  for (int64_t t = 0; t < pos.elements(); ++t)
    for (int64_t i = 0; i < a.n_dims / 2; ++i) {
      const double frequency = Frequency(a, i, factors ? factors[i] : 1.0);
      const double angle = pos.i32()[t] * frequency;
      *y++ = static_cast<float>(std::cos(angle) * a.magnitude);
      *y++ = static_cast<float>(std::sin(angle) * a.magnitude);
    }
  return absl::OkStatus();
}

std::vector<Sample> RopeTableSamples() {
  const auto sample = [](absl::string_view name, int64_t first,
                         RopeOptions options, bool factors) -> Sample {
    return {std::string(name), [=](SampleGraph& g) -> Values {
              const Value pos = g.Positions({Dim::Symbol("T", 5)}, first);
              const Value f =
                  factors ? g.Uniform({options.n_dims / 2}, 1.0, 8.0) : Value();
              return {RopeTable(pos, options, f)};
            }};
  };
  return {sample("plain", 0, {.n_dims = 64}, false),
          sample("odd", 3, {.n_dims = 34, .freq_base = 500000}, false),
          sample("linear", 7, {.n_dims = 16, .freq_scale = 0.25}, false),
          sample("factors", 90, {.n_dims = 64, .freq_base = 500000}, true),
          sample("yarn", 1000,
                 {.n_dims = 64,
                  .freq_scale = 0.25,
                  .ext_factor = 1,
                  .original_context = 4096,
                  .magnitude = 1.1386},
                 false)};
}

absl::StatusOr<TensorTypes> InferRotate(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", 0, 3));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", 1, 3));
  const Shape& x = call.in[0].shape;
  const Shape& table = call.in[1].shape;
  WEFT_RETURN_IF_ERROR(
      call.Require(table.dim(2) == Dim(2),
                   absl::StrCat("C2: the table's last dim is ",
                                table.dim(2).ToString(), ", not 2")));
  WEFT_RETURN_IF_ERROR(
      call.Require(x.dim(0) == table.dim(0),
                   absl::StrCat("C3: ", x.dim(0).ToString(), " tokens, ",
                                table.dim(0).ToString(), " in the table")));
  WEFT_RETURN_IF_ERROR(call.Require(
      x.dim(2).is_constant() && table.dim(1).is_constant() &&
          2 * table.dim(1).bound() <= x.dim(2).bound(),
      absl::StrCat("C4: the table rotates 2 * ", table.dim(1).ToString(),
                   " dimensions, heads have ", x.dim(2).ToString())));
  return OneType(DType::kF32, x);
}

// (a, b) -> (a cos - b sin, a sin + b cos) for each pair of a head.
void RotateHead(const float* x, int64_t d, const float* table, int64_t pairs,
                bool adjacent, float* y) {
  std::copy(x, x + d, y);
  for (int64_t i = 0; i < pairs; ++i) {
    const int64_t first = adjacent ? 2 * i : i;
    const int64_t second = adjacent ? 2 * i + 1 : i + pairs;
    const double cos = table[2 * i];
    const double sin = table[2 * i + 1];
    y[first] = static_cast<float>(x[first] * cos - x[second] * sin);
    y[second] = static_cast<float>(x[first] * sin + x[second] * cos);
  }
}

absl::Status RotateReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const HostTensor& table = *call.in[1];
  const bool adjacent = call.attrs.Int("adjacent") != 0;
  const int64_t heads = x.dim(1);
  const int64_t d = x.dim(2);
  const int64_t pairs = table.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t)
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t at = (t * heads + h) * d;
      RotateHead(x.f32() + at, d, table.f32() + t * pairs * 2, pairs, adjacent,
                 call.out[0]->f32() + at);
    }
  return absl::OkStatus();
}

// The transposed matrix turns the other way: the sine changes its sign. The
// table has no gradient, since positions have none.
Values RotateGradient(const GradientCall& c) {
  const Value sign = c.in[0].graph()->Constant(
      HostTensor::FromFloats({2}, {1.0f, -1.0f}), Where());
  return {Rotate(c.grad[0], c.in[1] * sign, c.attrs.Int("adjacent") != 0),
          Value()};
}

std::vector<Sample> RotateSamples() {
  const auto sample = [](absl::string_view name, int64_t heads, int64_t d,
                         int64_t n_dims, bool adjacent) -> Sample {
    return {std::string(name), [=](SampleGraph& g) -> Values {
              const Dim t = Dim::Symbol("T", 4);
              const Value x = g.Normal({t, heads, d});
              const Value table = g.Uniform({t, n_dims / 2, 2}, -1, 1);
              return {Rotate(x, table, adjacent)};
            }};
  };
  return {sample("adjacent", 3, 64, 64, true),
          sample("halves", 3, 64, 64, false),
          sample("adjacent_part", 2, 17, 6, true),
          sample("halves_part", 2, 80, 34, false),
          sample("one_pair", 1, 2, 2, false)};
}

}  // namespace

const OpDef kRopeTable = {
    .name = "rope_table",
    .doc =
        "Cosine and sine of each token's rotary angles.\n"
        "pos i32[T], factors f32[n_dims/2] (optional) -> "
        "f32[T, n_dims/2, 2]\n"
        "y[t,i] = magnitude * (cos a, sin a), a = pos[t] * w\n"
        "f = freq_base^(-2i / n_dims) / factors[i]\n"
        "w = freq_scale * f where ext_factor is 0, else\n"
        "w = (1 - r) * freq_scale * f + r * f (YaRN, arXiv:2309.00071),\n"
        "r = ext_factor * (1 - clamp((i - low) / (high - low), 0, 1)),\n"
        "low = max(0, floor(p(beta_fast))), "
        "high = min(n_dims - 1, ceil(p(beta_slow))),\n"
        "p(b) = n_dims ln(original_context / (2 pi b)) / "
        "(2 ln freq_base)\n"
        "C1: pos is i32 of rank 1.\n"
        "C2: n_dims is positive and even.\n"
        "C3: factors are f32[n_dims/2].\n"
        "C4: freq_base and freq_scale are above 0.\n"
        "C5: with ext_factor: original_context > 0, freq_base > 1, "
        "beta_fast >= beta_slow > 0.",
    .infer = InferRopeTable,
    .reference = RopeTableReference,
    .samples = RopeTableSamples,
    // The default holds for angles in double; at position 4096 an angle in
    // f32 would be off by 2e-4.
};

const OpDef kRotate = {
    .name = "rotate",
    .doc =
        "Rotates pairs of dimensions of each head by a table of angles.\n"
        "x f32[T, H, D], table f32[T, n/2, 2] -> f32[T, H, D]\n"
        "(a, b) -> (a cos - b sin, a sin + b cos); pair i is dimensions "
        "(2i, 2i+1) where adjacent, else (i, i + n/2); dimensions from n "
        "on pass through.\n"
        "C1: the operands are f32.\n"
        "C2: the shapes are [T, H, D] and [T, n/2, 2].\n"
        "C3: both have the same T.\n"
        "C4: n and D are constants, n <= D.",
    .infer = InferRotate,
    .reference = RotateReference,
    .samples = RotateSamples,
    .gradient = RotateGradient,
    .in_place = 0b1,
};

Value RopeTable(Value pos, const RopeOptions& options, Value factors,
                Where at) {
  SmallVector<Value, 2> inputs = {pos};
  if (factors.graph() != nullptr) inputs.push_back(factors);
  return EmitNode(kRopeTable, inputs,
                  {{"n_dims", options.n_dims},
                   {"freq_base", options.freq_base},
                   {"freq_scale", options.freq_scale},
                   {"ext_factor", options.ext_factor},
                   {"beta_fast", options.beta_fast},
                   {"beta_slow", options.beta_slow},
                   {"original_context", options.original_context},
                   {"magnitude", options.magnitude}},
                  at);
}

Value Rotate(Value x, Value table, bool adjacent, Where at) {
  return EmitNode(kRotate, {x, table}, {{"adjacent", adjacent}}, at);
}

Value Rope(Value x, Value pos, const RopeOptions& options, Value factors,
           Where at) {
  return Rotate(x, RopeTable(pos, options, factors, at), options.adjacent, at);
}

}  // namespace weft::inline v0
