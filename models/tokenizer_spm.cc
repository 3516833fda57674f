#include "models/tokenizer_spm.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "graph/status_macros.h"
#include "models/byte_tokens.h"
#include "models/special_tokens.h"
#include "models/spm_merger.h"
#include "models/token_matcher.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

class SpmTokenizer final : public Tokenizer {
 public:
  SpmTokenizer(std::unique_ptr<const Vocab> vocab, const ByteTokens& bytes,
               TokenMatcher matcher, bool add_space)
      : vocab_(std::move(vocab)),
        bytes_(bytes),
        matcher_(std::move(matcher)),
        boundaries_(*vocab_),
        add_space_(add_space) {}

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
  absl::Status EncodePlain(absl::string_view text, bool add_space,
                           SpmMerger& merger, std::vector<Token>& out) const;

  std::unique_ptr<const Vocab> vocab_;
  ByteTokens bytes_;
  TokenMatcher matcher_;
  SpmBoundaries boundaries_;
  bool add_space_;
};

absl::StatusOr<std::vector<Token>> SpmTokenizer::DoEncode(
    absl::string_view text, const EncodeOptions& options) const {
  WEFT_RETURN_IF_ERROR(CheckText(*vocab_, text));
  std::vector<Token> out;
  if (options.add_special && vocab_->add_bos() && bos()) out.push_back(*bos());
  SpmMerger merger(*vocab_, boundaries_);
  bool after_special = true;  // the beginning counts, with BOS or without
  for (const TextPart& part : matcher_.Split(text, options.parse_special)) {
    if (part.token != kNoToken) {
      out.push_back(part.token);
    } else {
      WEFT_RETURN_IF_ERROR(
          EncodePlain(part.text, add_space_ && after_special, merger, out));
    }
    after_special = part.token != kNoToken;
  }
  if (options.add_special && vocab_->add_eos() && eos()) out.push_back(*eos());
  return out;
}

absl::Status SpmTokenizer::EncodePlain(absl::string_view text, bool add_space,
                                       SpmMerger& merger,
                                       std::vector<Token>& out) const {
  const std::string escaped =
      absl::StrCat(add_space ? kSpmSpace : absl::string_view(),
                   absl::StrReplaceAll(text, {{" ", kSpmSpace}}));
  return merger.Run(escaped, [this, &out](absl::string_view symbol) {
    const Token token = vocab_->Find(symbol);
    if (token == kNoToken) return bytes_.Append(*vocab_, symbol, out);
    out.push_back(token);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::string> SpmTokenizer::DoPiece(Token token,
                                                  bool special) const {
  WEFT_RETURN_IF_ERROR(CheckToken(*vocab_, token));
  return SpacedPiece(*vocab_, token, special);
}

absl::StatusOr<std::string> SpmTokenizer::DoDecode(
    absl::Span<const Token> tokens, bool special) const {
  std::string text;
  bool drop_space = add_space_;
  for (const Token token : tokens) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece, DoPiece(token, special));
    const bool drop = drop_space && absl::StartsWith(piece, " ");
    text.append(piece, drop ? 1 : 0, std::string::npos);
    drop_space = false;
  }
  return text;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeSpmTokenizer(
    const GgufFile& file) {
  constexpr VocabDefaults kDefaults = {
      .bos = 1, .eos = 2, .unknown = 0, .add_bos = true, .add_eos = false};
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<const Vocab> vocab,
                        Vocab::Read(file, kDefaults));
  WEFT_ASSIGN_OR_RETURN(const ByteTokens bytes, ByteTokens::Find(file, *vocab));
  WEFT_ASSIGN_OR_RETURN(TokenMatcher matcher, MakeSpecialMatcher(file, *vocab));
  WEFT_ASSIGN_OR_RETURN(
      const bool add_space,
      ReadFlag(file, "tokenizer.ggml.add_space_prefix", true));
  return std::make_unique<SpmTokenizer>(std::move(vocab), bytes,
                                        std::move(matcher), add_space);
}

}  // namespace weft::inline v0
