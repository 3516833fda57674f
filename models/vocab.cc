// The arrays of the vocabulary: texts, scores, types.
#include "models/vocab.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr absl::string_view kTokens = "tokenizer.ggml.tokens";
constexpr absl::string_view kScores = "tokenizer.ggml.scores";
constexpr absl::string_view kTypes = "tokenizer.ggml.token_type";

absl::Status MakeError(absl::StatusCode code, absl::string_view source,
                       std::optional<uint64_t> at, const VocabError& error) {
  std::string field(error.key);
  if (error.element) absl::StrAppend(&field, "[", *error.element, "]");
  return MakeInputError(code, source,
                        {.id = error.id,
                         .at = at,
                         .field = std::move(field),
                         .value = std::string(error.value),
                         .expected = std::string(error.expected)});
}

}  // namespace

absl::Status MakeVocabError(absl::StatusCode code, const GgufFile& file,
                            const VocabError& error) {
  return MakeError(code, file.source(),
                   file.OffsetOf(error.key, error.element.value_or(0)), error);
}

absl::Status MakeVocabError(absl::StatusCode code, absl::string_view source,
                            const VocabError& error) {
  return MakeError(code, source, std::nullopt, error);
}

absl::StatusOr<std::unique_ptr<const Vocab>> Vocab::Read(
    const GgufFile& file, const VocabDefaults& defaults) {
  std::unique_ptr<Vocab> vocab(new Vocab(file.source()));
  WEFT_RETURN_IF_ERROR(vocab->ReadTexts(file));
  WEFT_RETURN_IF_ERROR(vocab->ReadScores(file));
  WEFT_RETURN_IF_ERROR(vocab->ReadTypes(file));
  vocab->IndexTexts();
  WEFT_RETURN_IF_ERROR(vocab->ReadSpecial(file, defaults));
  return vocab;
}

absl::Status Vocab::ReadTexts(const GgufFile& file) {
  if (!file.Has(kTokens)) {
    return MakeVocabError(
        StatusCode::kFailedPrecondition, file,
        {"TOK-V1", kTokens, "missing", "the texts of all tokens"});
  }
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo info,
                        file.GetArrayInfo(kTokens));
  if (info.element != GgufType::kString) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V1", kTokens, absl::StrCat("an array of ", Name(info.element)),
         "element type string"});
  }
  if (info.count == 0) {
    return MakeVocabError(StatusCode::kInvalidArgument, file,
                          {"TOK-V1", kTokens, "empty", "at least 1 token"});
  }
  if (info.count > std::numeric_limits<Token>::max()) {
    return MakeVocabError(
        StatusCode::kResourceExhausted, file,
        {"TOK-V9", kTokens, absl::StrCat(info.count, " tokens"),
         "at most 2^31-1"});
  }
  WEFT_ASSIGN_OR_RETURN(texts_, file.GetStrings(kTokens));
  size_t bytes = 0;
  for (const absl::string_view text : texts_) bytes += text.size();
  CopyTexts(bytes);
  return absl::OkStatus();
}

// Moves the texts out of the file, so that it may be closed.
void Vocab::CopyTexts(size_t bytes) {
  bytes_.reserve(bytes);  // appending below must not move what is there
  for (absl::string_view& text : texts_) {
    const size_t begin = bytes_.size();
    bytes_.append(text.data(), text.size());
    text = absl::string_view(bytes_).substr(begin);
    longest_ = std::max(longest_, text.size());
  }
}

void Vocab::IndexTexts() {
  index_.Reserve(texts_.size());
  size_t repeated = 0;
  size_t empty = 0;
  std::string example;
  // Backwards, because the first that is indexed keeps the text.
  for (size_t i = texts_.size(); i-- > 0;) {
    if (texts_[i].empty()) {
      ++empty;
      continue;
    }
    const std::optional<uint32_t> last =
        index_.Insert(static_cast<uint32_t>(i));
    if (!last) continue;
    if (++repeated == 1) {
      example =
          absl::StrCat(QuoteInput(texts_[i]), " of tokens ", i, " and ", *last);
    }
  }
  if (repeated > 0) {
    warnings_.push_back(absl::StrCat(source_, ": ", kTokens, " has ", repeated,
                                     " repeated texts, such as ", example,
                                     "; the last one counts"));
  }
  if (empty > 0) {
    warnings_.push_back(absl::StrCat(source_, ": ", kTokens, " has ", empty,
                                     " empty texts; they match nothing"));
  }
}

absl::Status Vocab::ReadScores(const GgufFile& file) {
  if (!file.Has(kScores)) {
    scores_.assign(texts_.size(), 0.0f);
    return absl::OkStatus();
  }
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo info,
                        file.GetArrayInfo(kScores));
  if (info.element != GgufType::kFloat32) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V2", kScores, absl::StrCat("an array of ", Name(info.element)),
         "element type float32"});
  }
  if (info.count != texts_.size()) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V2", kScores, absl::StrCat(info.count, " scores"),
         absl::StrCat(texts_.size(), ", one for each token")});
  }
  WEFT_ASSIGN_OR_RETURN(scores_, file.GetFloats(kScores));
  // Infinite ones order well enough; NaN has no order at all.
  const auto nan = std::find_if(scores_.begin(), scores_.end(),
                                [](float score) { return std::isnan(score); });
  if (nan == scores_.end()) return absl::OkStatus();
  return MakeVocabError(StatusCode::kInvalidArgument, file,
                        {"TOK-V2", kScores, "NaN", "a number",
                         static_cast<size_t>(nan - scores_.begin())});
}

absl::Status Vocab::ReadTypes(const GgufFile& file) {
  types_.assign(texts_.size(), TokenType::kNormal);
  if (!file.Has(kTypes)) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo info,
                        file.GetArrayInfo(kTypes));
  if (info.element != GgufType::kInt32 && info.element != GgufType::kUint32) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V4", kTypes, absl::StrCat("an array of ", Name(info.element)),
         "element type int32"});
  }
  if (info.count != texts_.size()) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V4", kTypes, absl::StrCat(info.count, " types"),
         absl::StrCat(texts_.size(), ", one for each token")});
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<int32_t> types,
                        file.GetInt32s(kTypes));
  for (size_t i = 0; i < types.size(); ++i) {
    if (types[i] < 1 || types[i] > 6) {
      return MakeVocabError(
          StatusCode::kInvalidArgument, file,
          {"TOK-V4", kTypes, absl::StrCat(types[i]), "1 to 6", i});
    }
    types_[i] = static_cast<TokenType>(types[i]);
  }
  return absl::OkStatus();
}

Token Vocab::Find(absl::string_view text) const {
  // Merging asks for many texts that are longer than any token.
  if (text.empty() || text.size() > longest_) return kNoToken;
  const std::optional<uint32_t> found = index_.Find(text);
  return found ? static_cast<Token>(*found) : kNoToken;
}

}  // namespace weft::inline v0
