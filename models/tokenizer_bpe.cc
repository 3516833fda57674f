#include "models/tokenizer_bpe.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "graph/status_macros.h"
#include "models/bpe_merger.h"
#include "models/bpe_merges.h"
#include "models/byte_text.h"
#include "models/byte_tokens.h"
#include "models/input_error.h"
#include "models/pre_tokenizers.h"
#include "models/regex_splitter.h"
#include "models/special_tokens.h"
#include "models/spm_merger.h"
#include "models/token_matcher.h"
#include "models/utf8.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr absl::string_view kPre = "tokenizer.ggml.pre";

// What a vocabulary is read into.
struct Parts {
  const PreTokenizer* pre;
  std::unique_ptr<const Vocab> vocab;
  BpeMerges merges;
  RegexSplitter splitter;
  TokenMatcher matcher;
  ByteTokens bytes;  // "<0x0A>", of raw text
  std::vector<std::string> warnings;
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(Parts parts) : parts_(std::move(parts)) {
    for (int byte = 0; byte < 256; ++byte) {
      const char text = static_cast<char>(byte);
      byte_tokens_[static_cast<size_t>(byte)] =
          vocab().Find(BytesToText(absl::string_view(&text, 1)));
    }
  }

  absl::StatusOr<std::vector<Token>> DoEncode(
      absl::string_view text, const EncodeOptions& options) const override;
  absl::StatusOr<std::string> DoPiece(Token token, bool special) const override;
  absl::StatusOr<std::string> DoDecode(absl::Span<const Token> tokens,
                                       bool special) const override;

  int32_t vocab_size() const override { return vocab().size(); }
  std::optional<Token> bos() const override { return vocab().bos(); }
  std::optional<Token> eos() const override { return vocab().eos(); }
  bool IsEndOfGeneration(Token token) const override {
    return vocab().IsEndOfGeneration(token);
  }
  absl::Span<const std::string> warnings() const override {
    return parts_.warnings;
  }

 private:
  using Symbols = std::vector<BpeMerger::Symbol>;
  struct Buffers {
    BpeMerger merger;
    Symbols symbols;
  };

  const Vocab& vocab() const { return *parts_.vocab; }
  Token FindWord(absl::string_view word) const;
  void MakeSymbols(absl::string_view word, Symbols& symbols) const;
  absl::Status EncodeText(absl::string_view text, Buffers& buffers,
                          std::vector<Token>& out) const;
  absl::Status EncodeWord(absl::string_view word, Buffers& buffers,
                          std::vector<Token>& out) const;
  absl::Status AppendBytes(absl::string_view bytes,
                           std::vector<Token>& out) const;

  Parts parts_;
  std::array<Token, 256> byte_tokens_;  // kNoToken where missing
};

absl::StatusOr<std::vector<Token>> BpeTokenizer::DoEncode(
    absl::string_view text, const EncodeOptions& options) const {
  WEFT_RETURN_IF_ERROR(CheckText(vocab(), text));
  std::vector<Token> out;
  if (options.add_special && vocab().add_bos() && bos()) out.push_back(*bos());
  Buffers buffers = {BpeMerger(parts_.merges), {}};
  for (const TextPart& part :
       parts_.matcher.Split(text, options.parse_special)) {
    if (part.token != kNoToken) {
      out.push_back(part.token);
    } else if (parts_.pre->raw_text) {
      WEFT_RETURN_IF_ERROR(EncodeText(
          absl::StrReplaceAll(part.text, {{" ", kSpmSpace}}), buffers, out));
    } else {
      WEFT_RETURN_IF_ERROR(EncodeText(part.text, buffers, out));
    }
  }
  if (options.add_special && vocab().add_eos() && eos()) out.push_back(*eos());
  return out;
}

absl::Status BpeTokenizer::EncodeText(absl::string_view text, Buffers& buffers,
                                      std::vector<Token>& out) const {
  WEFT_ASSIGN_OR_RETURN(const std::vector<uint32_t> ends,
                        parts_.splitter.Split(text));
  uint32_t begin = 0;
  for (const uint32_t end : ends) {
    WEFT_RETURN_IF_ERROR(
        EncodeWord(text.substr(begin, end - begin), buffers, out));
    begin = end;
  }
  return absl::OkStatus();
}

// The token that a word is without any merging, if there is one.
Token BpeTokenizer::FindWord(absl::string_view word) const {
  const PreTokenizer& pre = *parts_.pre;
  const bool lines = pre.newline_words && word[0] == '\n';
  if (!pre.ignore_merges && !lines) return kNoToken;
  if (pre.raw_text) return vocab().Find(word);
  // No text is shorter than its bytes: spares the copy of a long one.
  if (word.size() > vocab().longest()) return kNoToken;
  return vocab().Find(BytesToText(word));
}

void BpeTokenizer::MakeSymbols(absl::string_view word, Symbols& symbols) const {
  symbols.clear();
  for (uint32_t i = 0; i < word.size();) {
    if (!parts_.pre->raw_text) {
      const auto byte = static_cast<unsigned char>(word[i]);
      symbols.push_back({byte_tokens_[byte], i, 1});
      ++i;
      continue;
    }
    const Utf8Prefix prefix = ReadUtf8(word.substr(i));
    const uint32_t size = prefix.kind == Utf8Prefix::kCharacter
                              ? static_cast<uint32_t>(prefix.size)
                              : 1;
    symbols.push_back({vocab().Find(word.substr(i, size)), i, size});
    i += size;
  }
}

absl::Status BpeTokenizer::EncodeWord(absl::string_view word, Buffers& buffers,
                                      std::vector<Token>& out) const {
  if (const Token token = FindWord(word); token != kNoToken) {
    out.push_back(token);
    return absl::OkStatus();
  }
  MakeSymbols(word, buffers.symbols);
  buffers.merger.Run(buffers.symbols);
  for (const BpeMerger::Symbol& symbol : buffers.symbols) {
    if (symbol.token != kNoToken) {
      out.push_back(symbol.token);
    } else {
      WEFT_RETURN_IF_ERROR(
          AppendBytes(word.substr(symbol.begin, symbol.size), out));
    }
  }
  return absl::OkStatus();
}

absl::Status BpeTokenizer::AppendBytes(absl::string_view bytes,
                                       std::vector<Token>& out) const {
  if (parts_.pre->raw_text) return parts_.bytes.Append(vocab(), bytes, out);
  return MakeVocabError(
      StatusCode::kFailedPrecondition, vocab().source(),
      {"TOK-V10", "tokenizer.ggml.tokens",
       absl::StrCat("incomplete, byte token 0x",
                    absl::AsciiStrToUpper(absl::BytesToHexString(bytes)),
                    " missing"),
       absl::StrCat(QuoteInput(BytesToText(bytes)),
                    ", since the text has this byte")});
}

absl::StatusOr<std::string> BpeTokenizer::DoPiece(Token token,
                                                  bool special) const {
  WEFT_RETURN_IF_ERROR(CheckToken(vocab(), token));
  if (vocab().type(token) == TokenType::kNormal && !parts_.pre->raw_text)
    return TextToBytes(vocab().text(token));
  return SpacedPiece(vocab(), token, special);
}

absl::StatusOr<std::string> BpeTokenizer::DoDecode(
    absl::Span<const Token> tokens, bool special) const {
  std::string text;
  for (const Token token : tokens) {
    WEFT_ASSIGN_OR_RETURN(const std::string piece, DoPiece(token, special));
    text += piece;
  }
  return text;
}

// The pre-tokenizer that the file names, or the default with a warning.
const PreTokenizer* ChoosePre(const GgufFile& file, absl::string_view name,
                              std::vector<std::string>& warnings) {
  if (const PreTokenizer* pre = FindPreTokenizer(name)) return pre;
  const std::string what =
      name.empty() ? "missing" : absl::StrCat("unknown, ", QuoteInput(name));
  warnings.push_back(absl::StrCat(
      file.source(), ": ", kPre, " is ", what,
      "; texts are cut as \"default\" does, which the model may not be used "
      "to"));
  return FindPreTokenizer("default");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(
    const GgufFile& file) {
  const bool is_gemma4 =
      file.GetString("tokenizer.ggml.model").value_or("") == "gemma4";
  absl::string_view name = file.GetString(kPre).value_or("");
  if (is_gemma4 && FindPreTokenizer(name) == nullptr) name = "gemma4";
  std::vector<std::string> warnings;
  const PreTokenizer* pre = ChoosePre(file, name, warnings);

  VocabDefaults defaults = {.add_bos = pre->add_bos};
  if (!is_gemma4) defaults.bos = defaults.eos = 11;
  if (name == "glm4" || name == "chatglm-bpe") defaults.bos = kNoToken;
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<const Vocab> vocab,
                        Vocab::Read(file, defaults));
  warnings.insert(warnings.end(), vocab->warnings().begin(),
                  vocab->warnings().end());
  // Kimi's files may do without.
  BpeMerges merges;
  if (name != "kimi-k2" || file.Has("tokenizer.ggml.merges")) {
    WEFT_ASSIGN_OR_RETURN(merges, BpeMerges::Read(file, *vocab));
  }
  WEFT_ASSIGN_OR_RETURN(RegexSplitter splitter,
                        RegexSplitter::Compile(pre->splits));
  WEFT_ASSIGN_OR_RETURN(TokenMatcher matcher, MakeSpecialMatcher(file, *vocab));
  WEFT_ASSIGN_OR_RETURN(const ByteTokens bytes, ByteTokens::Find(file, *vocab));
  return std::make_unique<BpeTokenizer>(
      Parts{pre, std::move(vocab), std::move(merges), std::move(splitter),
            std::move(matcher), bytes, std::move(warnings)});
}

}  // namespace weft::inline v0
