#include "tests/rule_cases.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/attention_cases.h"

namespace weft::inline v0 {
namespace {

const Dim kT = Dim::Symbol("T", 5);

std::vector<DType> Decodable() {
  std::vector<DType> types;
  for (const DTypeInfo& info : AllDTypes())
    if (info.decode != nullptr) types.push_back(info.type);
  return types;
}

// Rows of whole blocks of every format.
constexpr int64_t kWidth = 256;
constexpr int64_t kRows = 19;

void AddLinear(std::vector<RuleCase>& cases) {
  for (const DType type : Decodable()) {
    const std::string name(Name(type));
    const bool f32 = type == DType::kF32;
    cases.push_back({f32 ? "transpose_matmul" : "dequant_matmul", name,
                     [type](SampleGraph& g) -> Values {
                       const Value x = g.Normal({kT, kWidth});
                       return {Linear(x, g.Weight(type, {kRows, kWidth}))};
                     }});
    if (f32) continue;
    cases.push_back({"dequant_gather", name, [type](SampleGraph& g) -> Values {
                       const Value ids = g.Ids({kT}, kRows);
                       const Value w = g.Weight(type, {kRows, kWidth});
                       return {GatherRows(Dequant(w), ids)};
                     }});
  }
  cases.push_back(
      {"transposed_right", "of_activations", [](SampleGraph& g) -> Values {
         const Value x = g.Normal({kT, 33});
         return {Linear(x, Tanh(g.Normal({kT, 33})))};
       }});
  cases.push_back({"transposed_right", "batches", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({2, kT, 33});
                     return {MatMul(x, Transpose(g.Normal({2, 7, 33})))};
                   }});
  cases.push_back({"transposed_left", "sums", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 33});
                     return {MatMul(Transpose(x), g.Normal({kT, 9}))};
                   }});
  cases.push_back({"dequant_matmul", "batched", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({3, kT, kWidth});
                     return {
                         Linear(x, g.Weight(DType::kQ8_0, {kRows, kWidth}))};
                   }});
  cases.push_back({"dequant_matmul", "tied", [](SampleGraph& g) -> Values {
                     const Value ids = g.Ids({kT}, kRows);
                     const Value w = g.Weight(DType::kQ4_0, {kRows, kWidth});
                     const Value x = GatherRows(Dequant(w), ids);
                     return {Linear(x, w)};
                   }});
}

void AddById(std::vector<RuleCase>& cases) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ4_K}) {
    cases.push_back({"matmul_by_id", absl::StrCat("experts_", Name(type)),
                     [type](SampleGraph& g) -> Values {
                       const Value x = g.Normal({kT, kWidth});
                       const Value w = g.Weight(type, {3, kRows, kWidth});
                       const Value ids = g.Ids({kT, 2}, 3);
                       const Value bias = g.Normal({3, kRows});
                       return {LinearById(x, w, ids, bias)};
                     }});
    cases.push_back({"matmul_by_id", absl::StrCat("heads_", Name(type)),
                     [type](SampleGraph& g) -> Values {
                       const Value x = g.Normal({kT, 3, kWidth});
                       return {
                           LinearById(x, g.Weight(type, {3, kRows, kWidth}))};
                     }});
  }
}

void AddEpilogues(std::vector<RuleCase>& cases) {
  cases.push_back({"matmul_bias", "right", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, kWidth});
                     const Value w = g.Weight(DType::kQ8_0, {kRows, kWidth});
                     return {Linear(x, w) + g.Normal({kRows})};
                   }});
  cases.push_back({"matmul_bias", "left", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 33});
                     const Value w = g.Weight(DType::kF32, {kRows, 33});
                     const Value b = g.Weight(DType::kF32, {kRows});
                     return {b + Linear(x, w)};
                   }});
  for (const OpDef* op : Activations())
    for (const bool biased : {false, true})
      cases.push_back({"matmul_activation",
                       absl::StrCat(op->name, biased ? "_with_bias" : ""),
                       [op, biased](SampleGraph& g) -> Values {
                         const Value x = g.Normal({kT, kWidth});
                         Value y =
                             Linear(x, g.Weight(DType::kF16, {kRows, kWidth}));
                         if (biased) y = y + g.Normal({kRows});
                         return {g.graph().Emit(*op, {y}, {}, Where())};
                       }});
}

void AddGates(std::vector<RuleCase>& cases) {
  for (const OpDef* op : Activations())
    cases.push_back(
        {"gated", std::string(op->name), [op](SampleGraph& g) -> Values {
           const Value gate = g.Normal({kT, 37});
           const Value up = g.Normal({kT, 37});
           return {up * g.graph().Emit(*op, {gate}, {}, Where())};
         }});
  cases.push_back({"gated", "by_itself", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 37});
                     return {x * Sigmoid(x)};
                   }});
  cases.push_back({"gated", "squared", [](SampleGraph& g) -> Values {
                     const Value s = Silu(g.Normal({kT, 37}));
                     return {s * s};
                   }});
  cases.push_back({"gated", "feed_forward", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 64});
                     const Value a = g.Weight(DType::kQ4_0, {96, 64});
                     const Value b = g.Weight(DType::kQ8_0, {96, 64});
                     const Value c = g.Weight(DType::kF16, {64, 96});
                     const Value gate = Linear(x, a);
                     const Value up = Linear(x, b);
                     return {x + Linear(SwiGlu(gate, up), c)};
                   }});
}

void AddGatedProducts(std::vector<RuleCase>& cases) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0})
    cases.push_back({"gated_matmul", std::string(Name(type)),
                     [type](SampleGraph& g) -> Values {
                       const Value x = g.Normal({kT, 64});
                       const Value gate = g.Weight(type, {96, 64});
                       const Value up = g.Weight(type, {96, 64});
                       return {SwiGlu(Linear(x, gate), Linear(x, up))};
                     }});
}

void AddNorms(std::vector<RuleCase>& cases) {
  cases.push_back({"rms_norm_mul", "rows", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 65});
                     return {RmsNorm(x, 1e-5) * g.Normal({65})};
                   }});
  cases.push_back({"rms_norm_mul", "heads", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 3, 16});
                     const Value w = g.Weight(DType::kF32, {16});
                     return {w * RmsNorm(x, 1e-6)};
                   }});
  cases.push_back({"layer_norm_mul_add", "rows", [](SampleGraph& g) -> Values {
                     const Value x = g.Normal({kT, 65});
                     const Value w = g.Normal({65});
                     return {g.Normal({65}) + LayerNorm(x, 1e-5) * w};
                   }});
  cases.push_back({"add_rms_norm", "alone", [](SampleGraph& g) -> Values {
                     const Value a = g.Normal({kT, 65});
                     const Value sum = a + g.Normal({kT, 65});
                     return {RmsNorm(sum, 1e-5) * g.Normal({65})};
                   }});
  cases.push_back({"add_rms_norm", "residual", [](SampleGraph& g) -> Values {
                     const Value a = g.Normal({kT, 65});
                     const Value sum = Exp(a) + g.Normal({kT, 65});
                     const Value h = RmsNorm(sum, 1e-5) * g.Normal({65});
                     return {sum, sum + Silu(h)};
                   }});
}

std::vector<RuleCase> Collect() {
  std::vector<RuleCase> cases;
  AddLinear(cases);
  AddById(cases);
  AddEpilogues(cases);
  AddGates(cases);
  AddGatedProducts(cases);
  AddNorms(cases);
  for (const AttentionChain& chain : AttentionChains())
    cases.push_back(
        {"attention", chain.name,
         [&chain](SampleGraph& g) -> Values { return {chain.Build(g)}; }});
  return cases;
}

}  // namespace

const std::vector<RuleCase>& RuleCases() {
  static const auto* const kCases = new std::vector<RuleCase>(Collect());
  return *kCases;
}

}  // namespace weft::inline v0
