#include "tools/synth_vocab.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "models/spm_merger.h"
#include "models/vocab.h"
#include "tools/normal.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kMaxLetters = 14;

// By how often English has them, so that early pieces meet ordinary text.
constexpr absl::string_view kLetters = "etaoinshrdlcumwfgypbvkxqjz";

// Joins pieces to longer ones, each of two that exist.
class PieceMaker {
 public:
  explicit PieceMaker(uint64_t seed) : key_(StreamKey(seed, "vocabulary")) {
    words_.push_back({std::string(kSpmSpace), 1});
    for (const char letter : kLetters)
      inner_.push_back({std::string(1, letter), 1});
  }

  // A new piece that the next rank belongs to.
  std::string Next() {
    while (true) {
      // As in real vocabularies, half of them begin a word.
      const bool is_word = ranks_.size() % 2 == 0;
      const Piece& left = Pick(is_word ? words_ : inner_);
      const Piece& right = Pick(inner_);
      Piece joined{left.text + right.text, left.letters + right.letters};
      if (joined.letters > kMaxLetters || ranks_.contains(joined.text) ||
          !MergesTo(joined, left, right))
        continue;
      ranks_.emplace(joined.text, ranks_.size());
      (is_word ? words_ : inner_).push_back(joined);
      return joined.text;
    }
  }

 private:
  struct Piece {
    std::string text;
    size_t letters;
  };

  static bool StartsWithSpace(const Piece& piece) {
    return piece.text.substr(0, kSpmSpace.size()) == kSpmSpace;
  }

  // Early pieces, which are short, more often than late ones.
  const Piece& Pick(const std::vector<Piece>& from) {
    const double u =
        static_cast<double>(RandomBits(key_, next_++) >> 11) * 0x1p-53;
    return from[static_cast<size_t>(u * u * static_cast<double>(from.size()))];
  }

  static std::vector<std::string> Characters(const Piece& piece) {
    std::vector<std::string> symbols;
    std::string text = piece.text;
    if (StartsWithSpace(piece)) {
      symbols.emplace_back(kSpmSpace);
      text.erase(0, kSpmSpace.size());
    }
    for (const char letter : text) symbols.emplace_back(1, letter);
    return symbols;
  }

  // Whether merging by rank, as tokenizers do, leads to just these two: then
  // the new piece, which ranks last, is what its text is encoded to.
  bool MergesTo(const Piece& joined, const Piece& left,
                const Piece& right) const {
    std::vector<std::string> symbols = Characters(joined);
    while (true) {
      size_t best = 0, best_rank = ranks_.size();
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = ranks_.find(symbols[i] + symbols[i + 1]);
        if (found == ranks_.end() || found->second >= best_rank) continue;
        best = i;
        best_rank = found->second;
      }
      if (best_rank == ranks_.size()) break;
      symbols[best] += symbols[best + 1];
      symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    return symbols.size() == 2 && symbols[0] == left.text &&
           symbols[1] == right.text;
  }

  uint64_t key_;
  uint64_t next_ = 0;
  std::vector<Piece> words_;                        // which begin with a space
  std::vector<Piece> inner_;                        // and the others
  absl::flat_hash_map<std::string, size_t> ranks_;  // of what was joined
};

}  // namespace

NewVocab MakeSynthVocab(int64_t size, uint64_t seed) {
  NewVocab vocab;
  vocab.AddSpecialsAndBytes();

  std::vector<std::string> characters = {std::string(kSpmSpace)};
  for (const char letter : kLetters) characters.emplace_back(1, letter);
  for (char c = '!'; c <= '~'; ++c)
    if (c < 'a' || c > 'z') characters.emplace_back(1, c);
  const size_t total = static_cast<size_t>(size);
  const size_t room = total - std::min(total, vocab.texts.size());
  characters.resize(std::min(characters.size(), room));

  // Scores fall by one, as those of trained vocabularies do.
  float score = 0;
  PieceMaker maker(seed);
  for (size_t i = characters.size(); i < room; ++i)
    vocab.Add(maker.Next(), score--, TokenType::kNormal);
  for (std::string& character : characters)
    vocab.Add(std::move(character), score--, TokenType::kNormal);
  return vocab;
}

}  // namespace weft::inline v0
