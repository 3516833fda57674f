// What single tokens are for: the ids in the metadata, and the texts by which
// llama.cpp knows the tokens that end a text in files that do not say so.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;
using Texts = absl::Span<const absl::string_view>;

constexpr absl::string_view kPadKey = "tokenizer.ggml.padding_token_id";
// So spelled in the format.
constexpr absl::string_view kSeparatorKey = "tokenizer.ggml.seperator_token_id";

// Nothing here needs these tokens, but an id that no token has means that the
// file is broken.
constexpr absl::string_view kOtherKeys[] = {
    kPadKey, "tokenizer.ggml.mask_token_id", "tokenizer.ggml.cls_token_id"};

// DeepSeek writes its markers with U+FF5C and U+2581.
constexpr absl::string_view kDeepseekEnd = "<｜end▁of▁sentence｜>";
constexpr absl::string_view kEndOfTurn[] = {
    "<|eot_id|>",    "<|im_end|>",         "<|end|>",   "<end_of_turn>",
    "<|endoftext|>", "<|end_of_text|>",    "<EOT>",     "_<EOT>",
    "[EOT]",         "<end_of_utterance>", kDeepseekEnd};
constexpr absl::string_view kEndOfMessage[] = {"<|eom_id|>"};
constexpr absl::string_view kFillPrefix[] = {
    "<|fim_prefix|>",  "<fim-prefix>", "<fim_prefix>",    "<PRE>",
    "<|code_prefix|>", "<|prefix|>",   "<｜fim▁begin｜>", "▁<PRE>"};
constexpr absl::string_view kFillSuffix[] = {
    "<|fim_suffix|>",  "<fim-suffix>", "<fim_suffix>",   "<SUF>",
    "<|code_suffix|>", "<|suffix|>",   "<｜fim▁hole｜>", "▁<SUF>"};
constexpr absl::string_view kFillMiddle[] = {
    "<|fim_middle|>",  "<fim-middle>", "<fim_middle>",  "<MID>",
    "<|code_middle|>", "<|middle|>",   "<｜fim▁end｜>", "▁<MID>"};
constexpr absl::string_view kFillPad[] = {"<|fim_pad|>", "<fim-pad>",
                                          "<fim_pad>", "<PAD>", "[PAD]"};
constexpr absl::string_view kFillRepository[] = {
    "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr absl::string_view kFillSeparator[] = {"<|file_sep|>"};

// A token of one of these texts ends a text, whatever else the file says.
constexpr absl::string_view kEnds[] = {"<|eot_id|>",
                                       "<|im_end|>",
                                       "<|end|>",
                                       "<|return|>",
                                       "<|call|>",
                                       "<|flush|>",
                                       "<|calls|>",
                                       "<end_of_turn>",
                                       "<|endoftext|>",
                                       "</s>",
                                       "<|eom_id|>",
                                       "<EOT>",
                                       "_<EOT>",
                                       "[EOT]",
                                       "[EOS]",
                                       "<|end_of_text|>",
                                       "<end_of_utterance>",
                                       "<eos>",
                                       "<turn|>",
                                       "<|tool_response>",
                                       kDeepseekEnd,
                                       "[e~["};

// Text that every reader of gpt-oss has to see.
constexpr absl::string_view kShown[] = {"<|channel|>", "<|message|>",
                                        "<|start|>", "<|constrain|>"};

}  // namespace

// A token known by its key or else by its text.
struct Vocab::Marker {
  absl::string_view key;
  absl::string_view old_key;  // or ""
  Texts texts;
  bool is_end;

  static const Marker kAll[8];
};

constexpr Vocab::Marker Vocab::Marker::kAll[] = {
    {"tokenizer.ggml.eot_token_id", "", kEndOfTurn, true},
    {"tokenizer.ggml.eom_token_id", "", kEndOfMessage, true},
    {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id",
     kFillPrefix, false},
    {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id",
     kFillSuffix, false},
    {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id",
     kFillMiddle, false},
    {"tokenizer.ggml.fim_pad_token_id", "", kFillPad, true},
    {"tokenizer.ggml.fim_rep_token_id", "", kFillRepository, true},
    {"tokenizer.ggml.fim_sep_token_id", "", kFillSeparator, true},
};

absl::StatusOr<std::optional<Token>> Vocab::ReadId(
    const GgufFile& file, absl::string_view key) const {
  if (!file.Has(key)) return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(const int64_t id, file.GetInt64(key));
  if (id >= 0 && id < size()) return static_cast<Token>(id);
  // Converters write -1, as either type, for "none" where a model can do
  // without the token.
  const bool is_none = id == -1 || id == 0xFFFFFFFF;
  if (is_none && (key == kPadKey || key == kSeparatorKey)) return std::nullopt;
  return MakeVocabError(
      StatusCode::kOutOfRange, file,
      {"TOK-V5", key, absl::StrCat(id),
       absl::StrCat("0 to n_vocab - 1, n_vocab being ", size())});
}

absl::StatusOr<std::optional<Token>> Vocab::ReadIdOr(const GgufFile& file,
                                                     absl::string_view key,
                                                     Token fallback) const {
  if (file.Has(key)) return ReadId(file, key);
  if (!Contains(fallback)) return std::nullopt;
  return fallback;
}

absl::Status Vocab::ReadMarker(const GgufFile& file, const Marker& marker) {
  WEFT_ASSIGN_OR_RETURN(std::optional<Token> id, ReadId(file, marker.key));
  if (!id && !marker.old_key.empty()) {
    WEFT_ASSIGN_OR_RETURN(id, ReadId(file, marker.old_key));
  }
  for (const absl::string_view text : marker.texts) {
    if (id) break;
    const Token token = Find(text);
    if (token == kNoToken) continue;
    id = token;
    types_[Index(token)] = TokenType::kControl;
  }
  if (id && marker.is_end) ends_.push_back(*id);
  return absl::OkStatus();
}

void Vocab::FindEnds() {
  for (const absl::string_view text : kEnds) {
    const Token token = Find(text);
    if (token == kNoToken) continue;
    ends_.push_back(token);
    types_[Index(token)] = TokenType::kControl;
  }
  for (const absl::string_view text : kShown) {
    const Token token = Find(text);
    if (token != kNoToken) types_[Index(token)] = TokenType::kUserDefined;
  }
  // gpt-oss and Solar end a part of an answer with <|end|>, Gemma 4 and
  // PaddleOCR say </s> within one.
  const auto has = [this](absl::string_view text) {
    return Find(text) != kNoToken;
  };
  if ((has("<|return|>") && (has("<|call|>") || has("<|calls|>"))) ||
      ((has("<|call|>") || has("<|calls|>")) && has("<|flush|>"))) {
    ForgetEnd("<|end|>", TokenType::kUserDefined);
  }
  if (has("<|tool_response>")) ForgetEnd("</s>", TokenType::kNormal);
  if (eos_) ends_.push_back(*eos_);
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
}

void Vocab::ForgetEnd(absl::string_view text, TokenType type) {
  const Token token = Find(text);
  if (token == kNoToken) return;
  ends_.erase(std::remove(ends_.begin(), ends_.end(), token), ends_.end());
  types_[Index(token)] = type;
}

absl::Status Vocab::ReadSpecial(const GgufFile& file,
                                const VocabDefaults& defaults) {
  const auto flag = [&file](absl::string_view key,
                            bool fallback) -> absl::StatusOr<bool> {
    return file.Has(key) ? file.GetBool(key) : fallback;
  };
  WEFT_ASSIGN_OR_RETURN(
      bos_, ReadIdOr(file, "tokenizer.ggml.bos_token_id", defaults.bos));
  WEFT_ASSIGN_OR_RETURN(
      eos_, ReadIdOr(file, "tokenizer.ggml.eos_token_id", defaults.eos));
  WEFT_ASSIGN_OR_RETURN(
      unknown_,
      ReadIdOr(file, "tokenizer.ggml.unknown_token_id", defaults.unknown));
  WEFT_ASSIGN_OR_RETURN(separator_,
                        ReadIdOr(file, kSeparatorKey, defaults.separator));
  WEFT_ASSIGN_OR_RETURN(add_bos_,
                        flag("tokenizer.ggml.add_bos_token", defaults.add_bos));
  WEFT_ASSIGN_OR_RETURN(add_eos_,
                        flag("tokenizer.ggml.add_eos_token", defaults.add_eos));
  for (const absl::string_view key : kOtherKeys) {
    WEFT_RETURN_IF_ERROR(ReadId(file, key).status());
  }
  for (const Marker& marker : Marker::kAll) {
    WEFT_RETURN_IF_ERROR(ReadMarker(file, marker));
  }
  FindEnds();
  return absl::OkStatus();
}

bool Vocab::IsEndOfGeneration(Token token) const {
  return std::binary_search(ends_.begin(), ends_.end(), token);
}

}  // namespace weft::inline v0
