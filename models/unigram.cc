#include "models/unigram.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

// What SentencePiece takes from the lowest score for an unknown character.
constexpr float kUnknownPenalty = 10;

ByteTrie MakeTrie(const Vocab& vocab) {
  std::vector<ByteTrie::Entry> entries;
  // Backwards: of equal texts the last token counts.
  for (Token token = vocab.size(); token-- > 0;) {
    const TokenType type = vocab.type(token);
    if (type == TokenType::kNormal || type == TokenType::kUserDefined ||
        type == TokenType::kUnused) {
      entries.push_back({vocab.text(token), token});
    }
  }
  return ByteTrie(std::move(entries));
}

float LowestScore(const Vocab& vocab) {
  float lowest = std::numeric_limits<float>::max();
  for (Token token = 0; token < vocab.size(); ++token)
    if (vocab.type(token) == TokenType::kNormal)
      lowest = std::min(lowest, vocab.score(token));
  return lowest == std::numeric_limits<float>::max() ? 0 : lowest;
}

// The best way to write a text up to some byte.
struct Best {
  double score = -std::numeric_limits<double>::infinity();
  Token token = kNoToken;  // the last one
  uint32_t begin = 0;      // where that begins

  void Offer(double offered, Token last, size_t from) {
    if (offered > score) *this = {offered, last, static_cast<uint32_t>(from)};
  }
};

}  // namespace

Unigram::Unigram(const Vocab& vocab)
    : vocab_(vocab),
      trie_(MakeTrie(vocab)),
      unknown_score_(LowestScore(vocab) - kUnknownPenalty) {}

std::vector<Unigram::Piece> Unigram::Cut(absl::string_view text) const {
  std::vector<Best> best(text.size() + 1);
  best[0].score = 0;
  for (size_t begin = 0; begin < text.size();) {
    const Utf8Prefix prefix = ReadUtf8(text.substr(begin));
    const size_t character =
        prefix.kind == Utf8Prefix::kCharacter ? prefix.size : 1;
    const double score = best[begin].score;
    bool is_token = false;  // the single character
    ByteTrie::Node node = ByteTrie::kRoot;
    for (size_t end = begin; end < text.size();) {
      node = trie_.Step(node, text[end++]);
      if (node == ByteTrie::kNone) break;
      const Token token = trie_.Value(node);
      if (token == ByteTrie::kNone) continue;
      is_token = is_token || end == begin + character;
      const bool is_user = vocab_.type(token) == TokenType::kUserDefined;
      const double added = is_user ? 0 : vocab_.score(token);
      best[end].Offer(score + added, token, begin);
    }
    if (!is_token)
      best[begin + character].Offer(score + unknown_score_, kNoToken, begin);
    begin += character;
  }
  std::vector<Piece> pieces;
  for (size_t end = text.size(); end > 0; end = best[end].begin)
    pieces.push_back(
        {best[end].token, static_cast<uint32_t>(end - best[end].begin)});
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

}  // namespace weft::inline v0
