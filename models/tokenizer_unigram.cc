#include "models/tokenizer_unigram.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "graph/status_macros.h"
#include "models/byte_tokens.h"
#include "models/byte_trie.h"
#include "models/char_map.h"
#include "models/special_tokens.h"
#include "models/spm_merger.h"
#include "models/token_matcher.h"
#include "models/unigram.h"
#include "models/utf8.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// User-defined tokens are not normalised.
ByteTrie MakeUserTrie(const Vocab& vocab) {
  std::vector<ByteTrie::Entry> entries;
  for (Token token = 0; token < vocab.size(); ++token)
    if (vocab.type(token) == TokenType::kUserDefined)
      entries.push_back({vocab.text(token), token});
  return ByteTrie(std::move(entries));
}

struct SpaceRules {
  bool add_prefix = false;    // before the first word
  bool remove_extra = false;  // one between words, none at the ends
};

// Bytes of the longest entry that `text` begins with, 0 for none.
size_t LongestPrefix(const ByteTrie& trie, absl::string_view text) {
  size_t longest = 0;
  ByteTrie::Node node = ByteTrie::kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = trie.Step(node, text[i]);
    if (node == ByteTrie::kNone) break;
    if (trie.Value(node) != ByteTrie::kNone) longest = i + 1;
  }
  return longest;
}

// Builds the normalised text.
class Normalizer {
 public:
  explicit Normalizer(const SpaceRules& rules) : rules_(rules) {}

  void Add(absl::string_view text) {
    for (const char c : text) {
      if (c == ' ') {
        in_word_ = false;
        if (!rules_.remove_extra) AddSpace();
        continue;
      }
      if (!in_word_ &&
          (rules_.remove_extra || (rules_.add_prefix && !prefixed_))) {
        AddSpace();
        prefixed_ = true;
      }
      in_word_ = true;
      out_ += c;
    }
  }
  std::string Take() { return std::move(out_); }

 private:
  void AddSpace() { out_.append(kSpmSpace.data(), kSpmSpace.size()); }

  const SpaceRules rules_;
  bool in_word_ = false;
  bool prefixed_ = false;
  std::string out_;
};

class UnigramTokenizer final : public Tokenizer {
 public:
  UnigramTokenizer(std::unique_ptr<const Vocab> vocab, TokenMatcher matcher,
                   CharMap map, const ByteTokens& bytes,
                   const SpaceRules& spaces)
      : vocab_(std::move(vocab)),
        matcher_(std::move(matcher)),
        map_(std::move(map)),
        bytes_(bytes),
        spaces_(spaces),
        user_trie_(MakeUserTrie(*vocab_)),
        unigram_(*vocab_) {}

  absl::StatusOr<std::vector<Token>> DoEncode(
      absl::string_view text, const EncodeOptions& options) const override;
  absl::StatusOr<std::string> DoPiece(Token token, bool special) const override;
  absl::StatusOr<std::string> DoDecode(absl::Span<const Token> tokens,
                                       bool special) const override;

  int32_t vocab_size() const override { return vocab_->size(); }
  std::optional<Token> bos() const override { return vocab_->bos(); }
  std::optional<Token> eos() const override { return vocab_->eos(); }
  bool IsEndOfGeneration(Token token) const override {
    return vocab_->IsEndOfGeneration(token);
  }
  absl::Span<const std::string> warnings() const override {
    return vocab_->warnings();
  }

 private:
  std::string Normalize(absl::string_view text) const;
  absl::Status EncodeText(absl::string_view text,
                          std::vector<Token>& out) const;

  std::unique_ptr<const Vocab> vocab_;
  TokenMatcher matcher_;
  CharMap map_;
  ByteTokens bytes_;
  SpaceRules spaces_;
  ByteTrie user_trie_;
  Unigram unigram_;
};

absl::StatusOr<std::vector<Token>> UnigramTokenizer::DoEncode(
    absl::string_view text, const EncodeOptions& options) const {
  WEFT_RETURN_IF_ERROR(CheckText(*vocab_, text));
  std::vector<Token> out;
  if (options.add_special && vocab_->add_bos() && bos()) out.push_back(*bos());
  for (const TextPart& part : matcher_.Split(text, options.parse_special)) {
    if (part.token != kNoToken) {
      out.push_back(part.token);
    } else {
      WEFT_RETURN_IF_ERROR(EncodeText(Normalize(part.text), out));
    }
  }
  if (options.add_special && vocab_->add_eos() && eos()) out.push_back(*eos());
  return out;
}

std::string UnigramTokenizer::Normalize(absl::string_view text) const {
  Normalizer normalizer(spaces_);
  while (!text.empty()) {
    size_t taken = LongestPrefix(user_trie_, text);
    if (taken > 0) {
      normalizer.Add(text.substr(0, taken));
    } else if (const CharMap::Match match = map_.Find(text); match.size > 0) {
      normalizer.Add(match.replacement);
      taken = match.size;
    } else {
      const Utf8Prefix prefix = ReadUtf8(text);
      const bool whole = prefix.kind == Utf8Prefix::kCharacter;
      taken = whole ? prefix.size : 1;
      normalizer.Add(whole ? text.substr(0, taken) : kReplacementCharacter);
    }
    text.remove_prefix(taken);
  }
  return normalizer.Take();
}

absl::Status UnigramTokenizer::EncodeText(absl::string_view text,
                                          std::vector<Token>& out) const {
  bool after_unknown = false;
  for (const Unigram::Piece& piece : unigram_.Cut(text)) {
    const bool is_unknown = piece.token == kNoToken && !bytes_.any();
    if (piece.token != kNoToken) {
      out.push_back(piece.token);
    } else if (!is_unknown) {
      WEFT_RETURN_IF_ERROR(
          bytes_.Append(*vocab_, text.substr(0, piece.size), out));
    } else if (!after_unknown) {
      out.push_back(*vocab_->unknown());
    }
    after_unknown = is_unknown;
    text.remove_prefix(piece.size);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> UnigramTokenizer::DoPiece(Token token,
                                                      bool special) const {
  WEFT_RETURN_IF_ERROR(CheckToken(*vocab_, token));
  return SpacedPiece(*vocab_, token, special);
}

absl::StatusOr<std::string> UnigramTokenizer::DoDecode(
    absl::Span<const Token> tokens, bool special) const {
  std::string text;
  bool drop_space = spaces_.add_prefix;
  for (const Token token : tokens) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece, DoPiece(token, special));
    const bool drop = drop_space && absl::StartsWith(piece, " ");
    text.append(piece, drop ? 1 : 0, std::string::npos);
    drop_space = false;
  }
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeUnigramTokenizer(
    const GgufFile& file) {
  constexpr VocabDefaults kDefaults = {.eos = 1, .unknown = 2, .add_eos = true};
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<const Vocab> vocab,
                        Vocab::Read(file, kDefaults));
  if (!vocab->unknown()) {
    return MakeVocabError(
        StatusCode::kFailedPrecondition, vocab->source(),
        {"TOK-V6", "tokenizer.ggml.unknown_token_id",
         "missing and the usual one outside the vocabulary", "a token's id"});
  }
  WEFT_ASSIGN_OR_RETURN(CharMap map, CharMap::Read(file));
  WEFT_ASSIGN_OR_RETURN(const ByteTokens bytes, ByteTokens::Find(file, *vocab));
  WEFT_ASSIGN_OR_RETURN(TokenMatcher matcher, MakeSpecialMatcher(file, *vocab));
  SpaceRules spaces;
  WEFT_ASSIGN_OR_RETURN(
      spaces.add_prefix,
      ReadFlag(file, "tokenizer.ggml.add_space_prefix", false));
  WEFT_ASSIGN_OR_RETURN(
      spaces.remove_extra,
      ReadFlag(file, "tokenizer.ggml.remove_extra_whitespaces", false));
  return std::make_unique<UnigramTokenizer>(
      std::move(vocab), std::move(matcher), std::move(map), bytes, spaces);
}

}  // namespace weft::inline v0
