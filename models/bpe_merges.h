// The merges of byte-level BPE vocabularies.
#ifndef WEFT_MODELS_BPE_MERGES_H_
#define WEFT_MODELS_BPE_MERGES_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// What two neighbouring tokens make.
struct BpeMerge {
  uint32_t rank;  // the lowest goes first
  Token token;
};

// tokenizer.ggml.merges, by the tokens. Immutable once read.
class BpeMerges {
 public:
  // Errors, all TOK-V11: FailedPrecondition where the key is missing,
  // InvalidArgument where it is no array of strings, and for a merge that is
  // not two tokens' texts with one space between or that makes no token.
  // Where a merge comes twice the first counts.
  static absl::StatusOr<BpeMerges> Read(const GgufFile& file,
                                        const Vocab& vocab);

  // Null where the two do not merge. Any ids will do, kNoToken too.
  const BpeMerge* Find(Token left, Token right) const {
    const auto found = merges_.find(Key(left, right));
    return found == merges_.end() ? nullptr : &found->second;
  }

 private:
  static uint64_t Key(Token left, Token right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 |
           static_cast<uint32_t>(right);
  }

  absl::flat_hash_map<uint64_t, BpeMerge> merges_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BPE_MERGES_H_
