#include "ops/rules/rules.h"

namespace weft::inline v0 {

std::vector<Rule> FusionRules() {
  std::vector<Rule> rules;
  // First, so that its two products are not offered to the weight rules.
  rules.push_back(AttentionRule());
  rules.push_back(DequantMatMulRule());
  rules.push_back(TransposeMatMulRule());
  rules.push_back(TransposedRightRule());
  rules.push_back(TransposedLeftRule());
  rules.push_back(DequantGatherRule());
  rules.push_back(ByIdRule());
  rules.push_back(RmsNormMulRule());
  rules.push_back(LayerNormMulAddRule());
  rules.push_back(AddRmsNormRule());
  // Before the epilogues: silu(gate) * up must not lose its silu to a matmul.
  rules.push_back(GatedRule());
  rules.push_back(GatedMatMulRule());
  rules.push_back(MatMulBiasRule());
  rules.push_back(MatMulActivationRule());
  return rules;
}

std::vector<Rule> QuantizeRules() {
  std::vector<Rule> rules;
  rules.push_back(NormQuantizeRule());
  rules.push_back(AddNormQuantizeRule());
  rules.push_back(LayerNormQuantizeRule());
  rules.push_back(GatedQuantizeRule());
  return rules;
}

}  // namespace weft::inline v0
