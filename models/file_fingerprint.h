// What tells one model's file from another.
#ifndef WEFT_MODELS_FILE_FINGERPRINT_H_
#define WEFT_MODELS_FILE_FINGERPRINT_H_

#include <cstdint>

#include "models/gguf.h"

namespace weft::inline v0 {

// How much of the weights counts.
enum class WeightBytes {
  kSamples,  // 64 bytes at the beginning, in the middle and at the end of each
             // tensor: takes no time, and misses an edit elsewhere
  kAll,      // reads all of them: 0.2 s a GB that is in memory
};

// 64 bits of `start`, the file's metadata (the vocabulary and the template with
// them), its tensor table and its weights. Against mistakes, not against an
// adversary (see checksum.h).
uint64_t FileFingerprint(const GgufFile& file, WeightBytes which,
                         uint64_t start = 0);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_FILE_FINGERPRINT_H_
