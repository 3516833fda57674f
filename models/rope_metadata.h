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

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_ROPE_METADATA_H_
