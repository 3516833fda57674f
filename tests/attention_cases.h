// Attention as people write it: one chain of primitive ops per row.
#ifndef WEFT_TESTS_ATTENTION_CASES_H_
#define WEFT_TESTS_ATTENTION_CASES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "graph/sample.h"

namespace weft::inline v0 {

// How a chain is written out; the default is Attend()'s order of the parts.
struct AttentionChain {
  std::string name;
  // The attributes of the fused node.
  std::string fused;

  // Over states that were appended to, or over plain keys and values.
  bool cached = true;
  int64_t heads = 4;
  int64_t groups = 2;
  DType kv = DType::kF32;

  enum class ScaleOn { kScores, kQuery, kHeads, kKeys, kMasked, kNothing };
  ScaleOn scale_on = ScaleOn::kScores;
  double scale = 0.35;
  double softcap = 0;
  enum class Bias { kNone, kRight, kLeft, kAfterMask };
  Bias bias = Bias::kNone;
  bool causal = true;
  int64_t window = 0;
  double alibi = 0;

  // Keys are permuted by one Permute, or by a Permute and a Transpose.
  bool keys_in_two_steps = false;
  enum class Widen { kBefore, kBetween, kAfter, kByProduct };
  Widen widen = Widen::kBefore;
  bool restore = true;  // the result's order is [T, H, E] again

  Value Build(SampleGraph& g) const;
};

const std::vector<AttentionChain>& AttentionChains();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_ATTENTION_CASES_H_
