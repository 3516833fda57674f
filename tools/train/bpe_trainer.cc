#include "tools/train/bpe_trainer.h"

#include <algorithm>
#include <queue>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/spm_merger.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

// Longer pieces are whole phrases of a corpus that repeats itself.
constexpr size_t kMaxCharacters = 16;
// Longer runs of letters are no words but data; cut there, they cost no more.
constexpr size_t kMaxWordBytes = 64;
// The share of the corpus's characters that get a token; the rarest are bytes.
constexpr double kCoverage = 0.9999;

enum class CharClass { kBreak, kSpace, kLetter, kDigit, kPunctuation };

CharClass ClassOf(char first_byte) {
  const auto c = static_cast<unsigned char>(first_byte);
  if (c == ' ') return CharClass::kSpace;
  if (c < 0x20 || c == 0x7F) return CharClass::kBreak;
  if (absl::ascii_isdigit(c)) return CharClass::kDigit;
  if (c >= 0x80 || absl::ascii_isalpha(c)) return CharClass::kLetter;
  return CharClass::kPunctuation;
}

using CountedWord = std::pair<absl::string_view, int64_t>;

std::vector<absl::string_view> Characters(absl::string_view text) {
  std::vector<absl::string_view> characters;
  while (!text.empty()) {
    const size_t size = ReadUtf8(text).size;
    characters.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return characters;
}

// The characters that get a token, the most frequent first.
std::vector<std::string> CoveredCharacters(
    const std::vector<CountedWord>& words) {
  absl::flat_hash_map<absl::string_view, int64_t> counts;
  int64_t total = 0;
  for (const auto& [word, count] : words)
    for (const absl::string_view character : Characters(word)) {
      counts[character] += count;
      total += count;
    }
  std::vector<CountedWord> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<std::string> characters;
  int64_t covered = 0;
  for (const auto& [character, count] : sorted) {
    if (static_cast<double>(covered) > kCoverage * static_cast<double>(total))
      break;
    characters.emplace_back(character);
    covered += count;
  }
  return characters;
}

// Learns one piece after the other. Symbols are texts: a pair is known by what
// it makes, whichever two it is made of, as tokenizers see it.
class PieceLearner {
 public:
  PieceLearner(const std::vector<CountedWord>& words,
               const std::vector<std::string>& characters) {
    for (const std::string& character : characters)
      rank_[Index(Intern(character, 1))] = kCharacter;
    for (const auto& [word, count] : words) AddWord(word, count);
    for (size_t w = 0; w < words_.size(); ++w)
      for (const int32_t symbol : Pairs(words_[w])) {
        count_[Index(symbol)] += words_[w].count;
        Note(symbol, w);
      }
    for (size_t i = 0; i < count_.size(); ++i)
      if (count_[i] > 0) queue_.emplace(count_[i], -static_cast<int32_t>(i));
  }

  // The next piece; "" when no pair occurs twice.
  std::string Next() {
    while (!queue_.empty()) {
      const auto [count, negative] = queue_.top();
      const int32_t symbol = -negative;
      queue_.pop();
      if (rank_[Index(symbol)] != kNone) continue;
      const int64_t now = count_[Index(symbol)];
      if (now < 2) continue;
      if (now != count) {  // it has become rarer since
        queue_.emplace(now, negative);
        continue;
      }
      rank_[Index(symbol)] = learnt_++;
      std::vector<size_t> where;
      std::swap(where, where_[Index(symbol)]);
      for (const size_t word : where) Resegment(word);
      return texts_[Index(symbol)];
    }
    return "";
  }

 private:
  struct Word {
    std::vector<int32_t> symbols;
    int64_t count;
  };
  static constexpr int32_t kNone = -1, kCharacter = -2;

  static size_t Index(int32_t symbol) { return static_cast<size_t>(symbol); }

  int32_t Intern(const std::string& text, size_t characters) {
    const auto [at, is_new] =
        symbols_.try_emplace(text, static_cast<int32_t>(texts_.size()));
    if (is_new) {
      texts_.push_back(text);
      length_.push_back(characters);
      rank_.push_back(kNone);
      count_.push_back(0);
      where_.emplace_back();
    }
    return at->second;
  }

  // A word without a token for some character is as many words as that leaves.
  void AddWord(absl::string_view word, int64_t count) {
    Word part{{}, count};
    const auto end = [&] {
      if (part.symbols.size() > 1) words_.push_back(part);
      part.symbols.clear();
    };
    for (const absl::string_view character : Characters(word)) {
      const auto found = symbols_.find(character);
      if (found == symbols_.end())
        end();
      else
        part.symbols.push_back(found->second);
    }
    end();
  }

  int32_t Joined(int32_t left, int32_t right) {
    const uint64_t pair = uint64_t{static_cast<uint32_t>(left)} << 32 |
                          static_cast<uint32_t>(right);
    const auto found = joined_.find(pair);
    if (found != joined_.end()) return found->second;
    const int32_t symbol =
        Intern(absl::StrCat(texts_[Index(left)], texts_[Index(right)]),
               length_[Index(left)] + length_[Index(right)]);
    joined_.emplace(pair, symbol);
    return symbol;
  }

  // The pairs of a word, by what they make.
  std::vector<int32_t> Pairs(const Word& word) {
    std::vector<int32_t> pairs;
    for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      const int32_t symbol = Joined(word.symbols[i], word.symbols[i + 1]);
      if (length_[Index(symbol)] <= kMaxCharacters) pairs.push_back(symbol);
    }
    return pairs;
  }

  void Note(int32_t symbol, size_t word) {
    std::vector<size_t>& where = where_[Index(symbol)];
    if (where.empty() || where.back() != word) where.push_back(word);
  }

  // Merges by rank, the leftmost of equals first, until there is nothing left.
  void Resegment(size_t w) {
    Word& word = words_[w];
    const std::vector<int32_t> before = Pairs(word);
    while (MergeBest(word.symbols)) {
    }
    const std::vector<int32_t> after = Pairs(word);
    for (const int32_t symbol : before) count_[Index(symbol)] -= word.count;
    for (const int32_t symbol : after) {
      count_[Index(symbol)] += word.count;
      // Only what is new in the word can have become more frequent.
      if (absl::c_linear_search(before, symbol)) continue;
      Note(symbol, w);
      queue_.emplace(count_[Index(symbol)], -symbol);
    }
  }

  bool MergeBest(std::vector<int32_t>& symbols) {
    size_t best = 0;
    int32_t best_rank = learnt_;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const int32_t rank = rank_[Index(Joined(symbols[i], symbols[i + 1]))];
      if (rank < 0 || rank >= best_rank) continue;
      best = i;
      best_rank = rank;
    }
    if (best_rank == learnt_) return false;
    symbols[best] = Joined(symbols[best], symbols[best + 1]);
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    return true;
  }

  absl::flat_hash_map<std::string, int32_t> symbols_;  // by text
  absl::flat_hash_map<uint64_t, int32_t> joined_;      // by pair
  // By symbol.
  std::vector<std::string> texts_;
  std::vector<size_t> length_;  // in characters
  std::vector<int32_t> rank_;
  std::vector<int64_t> count_;
  std::vector<std::vector<size_t>> where_;  // words that had it at some time
  std::vector<Word> words_;
  // Counts as they were and negative symbols: of equals the oldest comes first.
  std::priority_queue<std::pair<int64_t, int32_t>> queue_;
  int32_t learnt_ = 0;
};

}  // namespace

void WordCounts::Add(absl::string_view text) {
  std::string word(kSpmSpace);
  CharClass last = CharClass::kSpace;
  const auto end = [&] {
    if (!word.empty()) ++words_[word];
    word.clear();
  };
  while (!text.empty()) {
    const size_t size = ReadUtf8(text).size;
    const CharClass now = ClassOf(text[0]);
    const bool goes_on =
        now != CharClass::kSpace && word.size() < kMaxWordBytes &&
        (last == CharClass::kSpace ||
         (now == last && now != CharClass::kDigit && now != CharClass::kBreak));
    if (!goes_on) end();
    if (now == CharClass::kSpace)
      word = std::string(kSpmSpace);
    else if (now == CharClass::kBreak)
      end();
    else
      word.append(text.data(), size);
    last = now;
    text.remove_prefix(size);
  }
  end();
}

absl::StatusOr<NewVocab> TrainSpm(const WordCounts& counts, int64_t size) {
  std::vector<CountedWord> words(counts.words().begin(), counts.words().end());
  std::sort(words.begin(), words.end());
  const std::vector<std::string> characters = CoveredCharacters(words);
  NewVocab vocab;
  vocab.AddSpecialsAndBytes();
  const int64_t pieces =
      size - kSpecialsAndBytes - static_cast<int64_t>(characters.size());
  if (pieces < 0)
    return absl::InvalidArgumentError(absl::StrCat(
        "--vocab_size is ", size, "; expected at least ", size - pieces,
        ": 3 special ones, 256 bytes and the corpus's ", characters.size(),
        " characters"));
  float score = 0;
  PieceLearner learner(words, characters);
  for (int64_t i = 0; i < pieces; ++i) {
    std::string piece = learner.Next();
    if (piece.empty()) break;
    vocab.Add(std::move(piece), score--, TokenType::kNormal);
  }
  for (const std::string& character : characters)
    vocab.Add(character, score--, TokenType::kNormal);
  return vocab;
}

}  // namespace weft::inline v0
