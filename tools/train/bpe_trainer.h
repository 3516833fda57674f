// Training of SentencePiece vocabularies by byte-pair encoding.
#ifndef WEFT_TOOLS_TRAIN_BPE_TRAINER_H_
#define WEFT_TOOLS_TRAIN_BPE_TRAINER_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/new_vocab.h"

namespace weft::inline v0 {

// The words of a corpus and how often each occurs. A word is a run of letters,
// of digits (one each) or of punctuation, with the space before it as
// kSpmSpace; no token reaches beyond one. Line feeds and other control
// characters are in no word: they stay bytes.
class WordCounts {
 public:
  // Counts a text, which gets a space in front as the tokenizer gives it one.
  void Add(absl::string_view text);

  const absl::flat_hash_map<std::string, int64_t>& words() const {
    return words_;
  }

 private:
  absl::flat_hash_map<std::string, int64_t> words_;
};

// A vocabulary of `size` tokens: specials and bytes, then pieces by the order
// in which they were learnt, the pair that occurs most often first (Gage 1994;
// Sennrich et al. 2015, arXiv:1508.07909; scores as in SentencePiece, which
// fall by one), then characters. Merging by score, as tokenizers do, gives the
// very pieces that training counted. Fewer than `size` tokens where the corpus
// has no more pairs that occur twice. A function of the counts alone.
// InvalidArgument when `size` has no room for the characters.
absl::StatusOr<NewVocab> TrainSpm(const WordCounts& counts, int64_t size);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_BPE_TRAINER_H_
