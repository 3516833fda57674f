#include "models/special_tokens.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "models/byte_tokens.h"
#include "models/spm_merger.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// What the matcher may be built of: it takes 20 times as much. The richest
// vocabularies have less than 100 kB of special tokens.
constexpr size_t kMaxSpecialBytes = 1u << 20;

// The value of a string key in lower case, "" where there is none.
std::string LowerName(const GgufFile& file, absl::string_view key) {
  return absl::AsciiStrToLower(file.GetString(key).value_or(""));
}

bool ContainsAny(absl::string_view text,
                 std::initializer_list<absl::string_view> parts) {
  for (const absl::string_view part : parts)
    if (absl::StrContains(text, part)) return true;
  return false;
}

// Which tokens swallow white space.
struct Stripping {
  absl::string_view before;  // the token of this text, the space before it
  bool phi3 = false;         // all but some, the space after them

  explicit Stripping(const GgufFile& file) {
    const std::string name = LowerName(file, "general.name");
    if (ContainsAny(LowerName(file, "tokenizer.ggml.pre"),
                    {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
        ContainsAny(LowerName(file, "general.architecture"),
                    {"nomic-bert-moe", "jina-bert-v3"})) {
      before = "<mask>";
    } else if (ContainsAny(name, {"phi-3", "phi3"})) {
      phi3 = true;
    } else if (absl::StrContains(name, "modern-bert")) {
      before = "[MASK]";
    }
  }

  bool After(absl::string_view text) const {
    return phi3 && text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
  }
};

}  // namespace

absl::StatusOr<TokenMatcher> MakeSpecialMatcher(const GgufFile& file,
                                                const Vocab& vocab) {
  const Stripping stripping(file);
  std::vector<SpecialText> specials;
  size_t bytes = 0;
  for (Token token = 0; token < vocab.size(); ++token) {
    const TokenType type = vocab.type(token);
    const bool only_parsed =
        type == TokenType::kControl || type == TokenType::kUnknown;
    if (!only_parsed && type != TokenType::kUserDefined) continue;
    const absl::string_view text = vocab.text(token);
    specials.push_back({text, token, only_parsed, stripping.After(text),
                        !text.empty() && text == stripping.before});
    bytes += text.size();
  }
  if (bytes > kMaxSpecialBytes) {
    return MakeVocabError(
        StatusCode::kResourceExhausted, vocab.source(),
        {"TOK-V20", "text of all special tokens", absl::StrCat(bytes, " bytes"),
         absl::StrCat("at most ", kMaxSpecialBytes)});
  }
  return TokenMatcher(std::move(specials));
}

absl::Status CheckText(const Vocab& vocab, absl::string_view text) {
  if (text.size() <= Tokenizer::kMaxTextBytes) return absl::OkStatus();
  return MakeVocabError(
      StatusCode::kResourceExhausted, vocab.source(),
      {"TOK-V19", "text to encode", absl::StrCat(text.size(), " bytes"),
       absl::StrCat("at most ", Tokenizer::kMaxTextBytes)});
}

absl::Status CheckToken(const Vocab& vocab, Token token) {
  if (vocab.Contains(token)) return absl::OkStatus();
  return MakeVocabError(
      StatusCode::kOutOfRange, vocab.source(),
      {"TOK-P1", "token", absl::StrCat(token),
       absl::StrCat("0 to n_vocab - 1, n_vocab being ", vocab.size())});
}

absl::StatusOr<bool> ReadFlag(const GgufFile& file, absl::string_view key,
                              bool fallback) {
  if (!file.Has(key)) return fallback;
  return file.GetBool(key);
}

std::string SpacedPiece(const Vocab& vocab, Token token, bool special) {
  const absl::string_view text = vocab.text(token);
  switch (vocab.type(token)) {
    case TokenType::kNormal:
      return absl::StrReplaceAll(text, {{kSpmSpace, " "}});
    case TokenType::kUnknown:
    case TokenType::kControl:
      return special ? std::string(text) : std::string();
    case TokenType::kUserDefined:
      return std::string(text);
    case TokenType::kByte:
      return std::string(1, ParseByteToken(text).value_or('\0'));
    case TokenType::kUnused:
      break;
  }
  return std::string();
}

}  // namespace weft::inline v0
