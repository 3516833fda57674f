// Mixtures of experts, as files describe them.
#ifndef WEFT_MODELS_EXPERTS_H_
#define WEFT_MODELS_EXPERTS_H_

#include <cstdint>

#include "models/blocks.h"
#include "ops/experts.h"

namespace weft::inline v0 {

struct ExpertSizes {  // A mixture's sizes.
  int64_t count = 0;   // 0: there are none
  int64_t hidden = 0;  // of one expert
  RouteOptions route;
};

// Reads expert_count, expert_used_count, expert_group_*,
// expert_weights_{scale,norm} and expert_gating_func; BIND-A12 errors stick.
// hidden is expert_feed_forward_length, `hidden` when the file has none. Counts
// of zero are errors unless the model is `optional`ly dense.
ExpertSizes ReadExpertSizes(ModelBuilder& b, int64_t hidden,
                            bool optional = false);

struct ExpertWeights {  // A mixture's weights in one layer.
  Projection router;
  Value selection_bias;                 // f32[E]; may be unset
  Value gate, up, down;                 // [E, rows, columns], as stored
  Value gate_bias, up_bias, down_bias;  // f32[E, rows]; may be unset
};
// Those of a layer, with their biases where the file has them.
ExpertWeights ReadExperts(ModelBuilder& b, const ExpertSizes& sizes,
                          int64_t width, int64_t layer,
                          Where at = std::source_location::current());

// The SwiGLU of each token's experts, weighted: x f32[T, width] -> the same.
Value ExpertMlp(Value x, const ExpertWeights& w, const RouteOptions& route,
                Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_EXPERTS_H_
