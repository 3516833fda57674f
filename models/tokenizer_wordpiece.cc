#include "models/tokenizer_wordpiece.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/bert_words.h"
#include "models/byte_trie.h"
#include "models/special_tokens.h"
#include "models/spm_merger.h"
#include "models/token_matcher.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

ByteTrie MakeTrie(const Vocab& vocab) {
  std::vector<ByteTrie::Entry> entries;
  // Backwards: of equal texts the last token counts.
  for (Token token = vocab.size(); token-- > 0;)
    entries.push_back({vocab.text(token), token});
  return ByteTrie(std::move(entries));
}

// The tokens that no text can do without.
struct Needed {
  Token begin, separator, unknown;
};

class WordPieceTokenizer final : public Tokenizer {
 public:
  WordPieceTokenizer(std::unique_ptr<const Vocab> vocab, TokenMatcher matcher,
                     const Needed& needed, const BertOptions& options)
      : vocab_(std::move(vocab)),
        matcher_(std::move(matcher)),
        trie_(MakeTrie(*vocab_)),
        needed_(needed),
        options_(options) {}

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
  void EncodeWord(absl::string_view word, std::vector<Token>& out) const;

  std::unique_ptr<const Vocab> vocab_;
  TokenMatcher matcher_;
  ByteTrie trie_;
  Needed needed_;
  BertOptions options_;
};

absl::StatusOr<std::vector<Token>> WordPieceTokenizer::DoEncode(
    absl::string_view text, const EncodeOptions& options) const {
  WEFT_RETURN_IF_ERROR(CheckText(*vocab_, text));
  std::vector<Token> out;
  if (options.add_special) out.push_back(needed_.begin);
  for (const TextPart& part : matcher_.Split(text, options.parse_special)) {
    if (part.token != kNoToken) {
      out.push_back(part.token);
      continue;
    }
    for (const std::string& word : BertWords(part.text, options_))
      EncodeWord(absl::StrCat(kSpmSpace, word), out);
  }
  if (options.add_special) out.push_back(needed_.separator);
  return out;
}

void WordPieceTokenizer::EncodeWord(absl::string_view word,
                                    std::vector<Token>& out) const {
  const size_t before = out.size();
  while (!word.empty()) {
    Token longest = kNoToken;
    size_t size = 0;
    ByteTrie::Node node = ByteTrie::kRoot;
    for (size_t i = 0; i < word.size(); ++i) {
      node = trie_.Step(node, word[i]);
      if (node == ByteTrie::kNone) break;
      if (trie_.Value(node) == ByteTrie::kNone) continue;
      longest = trie_.Value(node);
      size = i + 1;
    }
    if (longest == kNoToken) {
      out.resize(before);
      out.push_back(needed_.unknown);
      return;
    }
    out.push_back(longest);
    word.remove_prefix(size);
  }
}

absl::StatusOr<std::string> WordPieceTokenizer::DoPiece(Token token,
                                                        bool special) const {
  WEFT_RETURN_IF_ERROR(CheckToken(*vocab_, token));
  return SpacedPiece(*vocab_, token, special);
}

absl::StatusOr<std::string> WordPieceTokenizer::DoDecode(
    absl::Span<const Token> tokens, bool special) const {
  std::string text;
  for (const Token token : tokens) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece, DoPiece(token, special));
    text += piece;
  }
  return text;
}

absl::StatusOr<Token> Need(const Vocab& vocab, std::optional<Token> token,
                           absl::string_view key) {
  if (token) return *token;
  return MakeVocabError(
      StatusCode::kFailedPrecondition, vocab.source(),
      {"TOK-V6", key, "missing and the usual one outside the vocabulary",
       "a token's id"});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeWordPieceTokenizer(
    const GgufFile& file) {
  constexpr VocabDefaults kDefaults = {
      .bos = 101, .unknown = 100, .separator = 102, .add_bos = true};
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<const Vocab> vocab,
                        Vocab::Read(file, kDefaults));
  Needed needed;
  WEFT_ASSIGN_OR_RETURN(
      needed.begin, Need(*vocab, vocab->bos(), "tokenizer.ggml.bos_token_id"));
  WEFT_ASSIGN_OR_RETURN(
      needed.separator,
      Need(*vocab, vocab->separator(), "tokenizer.ggml.seperator_token_id"));
  WEFT_ASSIGN_OR_RETURN(
      needed.unknown,
      Need(*vocab, vocab->unknown(), "tokenizer.ggml.unknown_token_id"));
  BertOptions options;
  WEFT_ASSIGN_OR_RETURN(
      options.lower_case,
      ReadFlag(file, "tokenizer.ggml.normalizer.lowercase", true));
  WEFT_ASSIGN_OR_RETURN(
      options.strip_accents,
      ReadFlag(file, "tokenizer.ggml.normalizer.strip_accents",
               options.lower_case));
  WEFT_ASSIGN_OR_RETURN(TokenMatcher matcher, MakeSpecialMatcher(file, *vocab));
  return std::make_unique<WordPieceTokenizer>(
      std::move(vocab), std::move(matcher), needed, options);
}

}  // namespace weft::inline v0
