// The merging of byte-level BPE vocabularies.
#ifndef WEFT_MODELS_BPE_MERGER_H_
#define WEFT_MODELS_BPE_MERGER_H_

#include <cstdint>
#include <vector>

#include "models/bpe_merges.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Merges the tokens of one word: of all neighbours that merge, the two of the
// lowest rank become one (the leftmost of equals), until there are none. Time
// O(n log n). Keeps its buffers between words; not thread-safe.
class BpeMerger {
 public:
  // A token, or kNoToken for bytes that have none, and its bytes of the word.
  struct Symbol {
    Token token;
    uint32_t begin;
    uint32_t size;
  };

  // `merges` must outlive the merger.
  explicit BpeMerger(const BpeMerges& merges) : merges_(merges) {}

  // Fewer than 2^31 symbols, merged in place.
  void Run(std::vector<Symbol>& symbols);

 private:
  // The neighbours of a symbol; -1 for none.
  struct Link {
    int32_t previous;
    int32_t next;
    uint32_t rank;  // of its merge with the next, kNever where there is none
  };
  static constexpr uint32_t kNever = UINT32_MAX;
  // A symbol that could merge with its next: its rank, then its index. One that
  // is out of date disagrees with the link.
  using Turn = uint64_t;

  bool FindTurn(int32_t left, Turn& turn);
  Turn TakeTurn();
  void Merge(int32_t left);
  Link& At(int32_t index) { return links_[static_cast<size_t>(index)]; }

  const BpeMerges& merges_;
  std::vector<Symbol>* symbols_ = nullptr;
  std::vector<Link> links_;
  std::vector<Turn> first_;  // falling
  std::vector<Turn> heap_;   // the smallest first
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BPE_MERGER_H_
