#include "models/byte_tokens.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr absl::string_view kTokens = "tokenizer.ggml.tokens";

// "0A"
std::string Hex(char byte) {
  return absl::AsciiStrToUpper(
      absl::BytesToHexString(absl::string_view(&byte, 1)));
}

bool IsHexDigit(char c) {
  return absl::ascii_isxdigit(static_cast<unsigned char>(c));
}

}  // namespace

std::optional<char> ParseByteToken(absl::string_view text) {
  const bool is_byte = text.size() == 6 && absl::StartsWith(text, "<0x") &&
                       IsHexDigit(text[3]) && IsHexDigit(text[4]) &&
                       text[5] == '>';
  if (!is_byte) return std::nullopt;
  return absl::HexStringToBytes(text.substr(3, 2))[0];
}

absl::StatusOr<ByteTokens> ByteTokens::Find(const GgufFile& file,
                                            const Vocab& vocab) {
  ByteTokens bytes;
  // As llama.cpp does, by the text and whatever the type; files without types
  // exist.
  for (int byte = 0; byte < 256; ++byte) {
    bytes.tokens_[static_cast<size_t>(byte)] =
        vocab.Find(absl::StrCat("<0x", Hex(static_cast<char>(byte)), ">"));
  }
  for (Token token = 0; token < vocab.size(); ++token) {
    if (vocab.type(token) != TokenType::kByte) continue;
    const std::optional<char> byte = ParseByteToken(vocab.text(token));
    if (!byte) {
      return MakeVocabError(StatusCode::kInvalidArgument, file,
                            {"TOK-V10", kTokens, QuoteInput(vocab.text(token)),
                             "<0x00> to <0xFF> where the type is byte (6)",
                             static_cast<size_t>(token)});
    }
    Token& known = bytes.tokens_[static_cast<unsigned char>(*byte)];
    if (known == kNoToken) known = token;
  }
  for (int byte = 0; byte < 256; ++byte) {
    Token& token = bytes.tokens_[static_cast<size_t>(byte)];
    bytes.any_ = bytes.any_ || token != kNoToken;
    const char text = static_cast<char>(byte);
    if (token == kNoToken) token = vocab.Find(absl::string_view(&text, 1));
  }
  return bytes;
}

absl::Status ByteTokens::Append(const Vocab& vocab, absl::string_view character,
                                std::vector<Token>& out) const {
  const auto missing =
      std::find_if(character.begin(), character.end(),
                   [this](char byte) { return Of(byte) == kNoToken; });
  if (missing == character.end()) {
    for (const char byte : character) out.push_back(Of(byte));
    return absl::OkStatus();
  }
  if (!any_ && vocab.unknown()) {
    out.push_back(*vocab.unknown());
    return absl::OkStatus();
  }
  return MakeVocabError(
      StatusCode::kFailedPrecondition, vocab.source(),
      {"TOK-V10", kTokens,
       absl::StrCat("incomplete, byte token 0x", Hex(*missing), " missing"),
       "<0x00> to <0xFF>, since the text has this byte"});
}

}  // namespace weft::inline v0
