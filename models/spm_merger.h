// The merging of SentencePiece vocabularies.
#ifndef WEFT_MODELS_SPM_MERGER_H_
#define WEFT_MODELS_SPM_MERGER_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "graph/hash.h"
#include "models/vocab.h"

namespace weft::inline v0 {

// U+2581, which stands for a space in the texts of SentencePiece tokens.
inline constexpr absl::string_view kSpmSpace = "\xE2\x96\x81";

// The characters after which no token goes on with a space. Text can be merged
// apart on both sides of such a place: no merge spans it, so the result is the
// same. That is most beginnings of words, and it keeps what is merged at one
// time short.
class SpmBoundaries {
 public:
  explicit SpmBoundaries(const Vocab& vocab);
  // Whether some token has a space right after `character`.
  bool Joins(absl::string_view character) const;

 private:
  HashSet<uint32_t> joining_;
};

// Merges characters to tokens as SentencePiece's BPE does: of all neighbours
// whose texts together are a token's, the two that make the token of the
// highest score become one (the leftmost of equals), until there are none. Time
// O(n log n). Keeps its buffers between texts; not thread-safe.
class SpmMerger {
 public:
  // Gets a token's text, or a single character that is no token's. An error
  // ends the merging.
  using Sink = absl::FunctionRef<absl::Status(absl::string_view)>;

  // `vocab` and `boundaries` must outlive the merger.
  SpmMerger(const Vocab& vocab, const SpmBoundaries& boundaries)
      : vocab_(vocab), boundaries_(boundaries) {}

  // Gives `sink` the pieces of `text`, shorter than 2^31 bytes, from the left;
  // its spaces have been replaced by kSpmSpace. Any bytes are fine.
  absl::Status Run(absl::string_view text, Sink sink);

 private:
  // A piece in the list of pieces, by the bytes of the text that it takes.
  struct Symbol {
    uint32_t begin;
    uint32_t size;  // 0 when it has become part of the one before
    int32_t previous;
    int32_t next;   // -1 for none
    uint32_t turn;  // of merging with the next, kNever if they make none
  };
  static constexpr uint32_t kNever = UINT32_MAX;
  // A symbol that could merge with its next: its turn, then its index. The
  // smallest goes first. One that is out of date disagrees with the symbol.
  using Turn = uint64_t;

  absl::Status MergeStretch(Sink sink);
  std::optional<Turn> FindTurn(int32_t left);
  void AddTurn(int32_t left);
  Turn TakeTurn();
  void Merge(Turn turn);
  Symbol& At(int32_t index) { return symbols_[static_cast<size_t>(index)]; }

  const Vocab& vocab_;
  const SpmBoundaries& boundaries_;
  absl::string_view text_;
  std::vector<Symbol> symbols_;
  std::vector<Turn> first_;  // falling
  std::vector<Turn> heap_;   // the smallest first
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SPM_MERGER_H_
