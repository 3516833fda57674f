// Normalisations over the fastest dimension. Weights and biases are ordinary
// products and sums: RmsNorm(x, eps) * w.
#ifndef WEFT_OPS_NORM_H_
#define WEFT_OPS_NORM_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kRmsNorm, kLayerNorm;

// y = x / sqrt(mean(x^2) + eps). f32[..., n] -> f32[..., n].
Value RmsNorm(Value x, FloatAttr eps,
              Where at = std::source_location::current());
// y = (x - mean(x)) / sqrt(variance(x) + eps).
Value LayerNorm(Value x, FloatAttr eps,
                Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_NORM_H_
