// Rotary options from a file's metadata.
#ifndef WEFT_MODELS_ROPE_METADATA_H_
#define WEFT_MODELS_ROPE_METADATA_H_

#include <cstdint>

#include "models/model_builder.h"
#include "ops/rope.h"

namespace weft::inline v0 {

// Reads rope.dimension_count, rope.freq_base and rope.scaling.*; defaults are
// those of the format's description. Adjacent pairs; BIND-A7 errors stick.
RopeOptions ReadRope(ModelBuilder& b, int64_t head_size);

// The same for layers with a window, where the file gives those a base of
// their own: rope.freq_base_swa, else `base`.
double ReadWindowFreqBase(ModelBuilder& b, double base);

// What rotated queries and keys are multiplied by: rope.scaling.attn_factor,
// above 0 and finite, else 1. Part of what ReadRope reads.
double ReadMagnitude(ModelBuilder& b);

// The divisors of the frequencies: rope_freqs, or rope_factors_long or
// rope_factors_short, whichever a session of this context needs. Unset when
// the file has none.
Value ReadRopeFactors(ModelBuilder& b, const RopeOptions& rope);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_ROPE_METADATA_H_
