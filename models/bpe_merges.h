// The merges of byte-level BPE vocabularies.
#ifndef WEFT_MODELS_BPE_MERGES_H_
#define WEFT_MODELS_BPE_MERGES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "models/gguf.h"
#include "models/name_index.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// What two neighbouring tokens make.
struct BpeMerge {
  uint64_t pair;  // the two, the left one in the upper half
  uint32_t rank;  // the lowest goes first
  Token token;
};
inline uint64_t IndexName(const BpeMerge& merge) { return merge.pair; }

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
    const std::optional<uint32_t> found = index_.Find(Pair(left, right));
    return found ? &(*merges_)[*found] : nullptr;
  }

 private:
  static uint64_t Pair(Token left, Token right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 |
           static_cast<uint32_t>(right);
  }

  // At an address of its own, which the index keeps.
  std::unique_ptr<std::vector<BpeMerge>> merges_ =
      std::make_unique<std::vector<BpeMerge>>();
  NameIndex<BpeMerge> index_{merges_.get()};
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BPE_MERGES_H_
