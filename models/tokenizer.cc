#include "models/tokenizer.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/no_throw.h"
#include "models/tokenizer_bpe.h"
#include "models/tokenizer_spm.h"
#include "models/tokenizer_unigram.h"
#include "models/tokenizer_wordpiece.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr absl::string_view kModel = "tokenizer.ggml.model";
constexpr absl::string_view kPre = "tokenizer.ggml.pre";

using Maker =
    absl::StatusOr<std::unique_ptr<Tokenizer>> (*)(const GgufFile& file);

// All kinds of tokenizers, by the value of tokenizer.ggml.model.
constexpr struct {
  absl::string_view model;
  Maker make;
} kKinds[] = {
    {"llama", MakeSpmTokenizer},  {"gpt2", MakeBpeTokenizer},
    {"gemma4", MakeBpeTokenizer}, {"bert", MakeWordPieceTokenizer},
    {"t5", MakeUnigramTokenizer},
};

std::string KindList() {
  return absl::StrJoin(kKinds, ", ", [](std::string* out, const auto& kind) {
    absl::StrAppend(out, "\"", kind.model, "\"");
  });
}

// The value of a key that has to be a string, if there.
absl::StatusOr<absl::string_view> ReadName(const GgufFile& file,
                                           absl::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const GgufType type, file.TypeOf(key));
  if (type == GgufType::kString) return file.GetString(key);
  return MakeVocabError(
      StatusCode::kFailedPrecondition, file,
      {"TOK-V14", key, absl::StrCat("of type ", Name(type)), "a string"});
}

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeKind(const GgufFile& file) {
  const std::string expected = absl::StrCat("a supported kind: ", KindList());
  if (!file.Has(kModel)) {
    return MakeVocabError(
        StatusCode::kFailedPrecondition, file,
        {"TOK-V14", kModel, "missing",
         absl::StrCat(expected, "; of a directory, the file tokenizer.json")});
  }
  WEFT_ASSIGN_OR_RETURN(const absl::string_view model, ReadName(file, kModel));
  // Only some kinds look at it, but what it is must not depend on the kind.
  if (file.Has(kPre)) WEFT_RETURN_IF_ERROR(ReadName(file, kPre).status());
  for (const auto& kind : kKinds) {
    if (model == kind.model) return kind.make(file);
  }
  if (model == "no_vocab" || model == "none") {
    return MakeVocabError(
        StatusCode::kFailedPrecondition, file,
        {"TOK-V14", kModel, absl::StrCat(QuoteInput(model), ", no vocabulary"),
         expected});
  }
  return MakeVocabError(StatusCode::kUnimplemented, file,
                        {"TOK-V14", kModel, QuoteInput(model), expected});
}

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenizer::Encode(
    absl::string_view text, const EncodeOptions& options) const {
  return NoThrow([&] { return DoEncode(text, options); });
}

absl::StatusOr<std::string> Tokenizer::Piece(Token token, bool special) const {
  return NoThrow([&] { return DoPiece(token, special); });
}

absl::StatusOr<std::string> Tokenizer::Decode(absl::Span<const Token> tokens,
                                              bool special) const {
  return NoThrow([&] { return DoDecode(tokens, special); });
}

absl::StatusOr<std::unique_ptr<Tokenizer>> MakeTokenizer(const GgufFile& file) {
  return NoThrow([&] { return MakeKind(file); });
}

}  // namespace weft::inline v0
