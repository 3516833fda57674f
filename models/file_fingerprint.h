// What tells one model's file from another.
#ifndef WEFT_MODELS_FILE_FINGERPRINT_H_
#define WEFT_MODELS_FILE_FINGERPRINT_H_

#include <cstdint>

#include "models/gguf.h"

namespace weft::inline v0 {

// 64 bits of `start`, the file's metadata (the vocabulary and the template with
// them), its tensor table and 64 bytes at the beginning, in the middle and at
// the end of each tensor: all of the weights would have to come from the disk.
uint64_t FileFingerprint(const GgufFile& file, uint64_t start = 0);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_FILE_FINGERPRINT_H_
