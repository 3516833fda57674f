#include "models/safetensors/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "graph/hash.h"
#include "models/byte_tokens.h"
#include "models/input_error.h"
#include "models/safetensors/pre_tokenizer.h"
#include "models/spm_merger.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// More than any vocabulary, and little enough to number.
constexpr int64_t kMaxVocab = 1 << 24;
// Of texts that no merge makes: never before one that a merge makes.
constexpr float kNoMerge = -1e9f;

class Translator {
 public:
  Translator(HfTokenizerFiles& from, int64_t vocab, GgufKeyValues& out)
      : from_(from), t_(*from.tokenizer), vocab_(vocab), out_(out) {}

  absl::Status Run() {
    JsonFields model = t_.Object("model");
    const std::string type = model.String("type").value_or("BPE");
    pre_ = DescribeSteps(t_.Find("pre_tokenizer"));
    normalizer_ = DescribeSteps(t_.Find("normalizer"));
    if (type == "BPE")
      ReadBpe(model);
    else if (type == "Unigram")
      ReadUnigram(model);
    else
      Fail(StatusCode::kUnimplemented, "HF-7", "model.type", QuoteInput(type),
           "BPE or Unigram");
    if (ok()) ReadAdded();
    if (ok()) Write();
    if (ok()) WriteSpecial();
    if (ok()) WriteTemplate();
    Keep(model.status());
    Keep(t_.status());
    return status_;
  }

 private:
  bool ok() const { return status_.ok(); }
  void Keep(const absl::Status& status) { status_.Update(status); }
  void Fail(StatusCode code, absl::string_view id, absl::string_view what,
            absl::string_view found, absl::string_view expected) {
    Keep(absl::Status(
        code, absl::StrCat(t_.source(), ": ", id, ": ", what, " is ", found,
                           "; expected ", expected)));
  }

  // Puts a token at its number.
  void Set(int64_t id, const std::string& text, TokenType type, float score) {
    const int64_t end = vocab_ > 0 ? std::min(vocab_, kMaxVocab) : kMaxVocab;
    if (id < 0 || id >= end)
      return Fail(StatusCode::kInvalidArgument, "HF-8",
                  absl::StrCat("the id of ", QuoteInput(text)),
                  absl::StrCat(id),
                  absl::StrCat("0 to ", end - 1, ", the model's vocabulary"));
    const auto at = static_cast<size_t>(id);
    if (at >= texts_.size()) {
      texts_.resize(at + 1);
      types_.resize(at + 1, static_cast<int32_t>(TokenType::kUnused));
      scores_.resize(at + 1, 0);
      used_.resize(at + 1, false);
    }
    if (used_[at] && texts_[at] != text)
      return Fail(
          StatusCode::kInvalidArgument, "HF-8",
          absl::StrCat("the id of ", QuoteInput(text)),
          absl::StrCat(id, ", which is that of ", QuoteInput(texts_[at])),
          "an id of its own");
    used_[at] = true;
    texts_[at] = text;
    types_[at] = static_cast<int32_t>(type);
    if (score != 0) scores_[at] = score;
    ids_[text] = id;
  }

  // ---- Kinds ----

  void ReadBpe(JsonFields& model) {
    const bool bytes = absl::StrContains(pre_, "ByteLevel");
    const bool fallback = model.Bool("byte_fallback").value_or(false);
    kind_ = bytes ? "gpt2" : "llama";
    if (!bytes && !fallback)
      return Fail(StatusCode::kUnimplemented, "HF-7", "pre_tokenizer",
                  pre_.empty() ? "missing" : QuoteInput(pre_),
                  "ByteLevel, or byte_fallback in the model");
    const JsonValue* vocab = model.Find("vocab");
    if (vocab == nullptr || !vocab->is_object())
      return model.Fail(StatusCode::kInvalidArgument, "vocab", "no object",
                        "texts with their ids");
    for (const auto& [text, id] : vocab->members()) {
      if (!id.is_integer())
        return model.Fail(
            StatusCode::kInvalidArgument, "vocab",
            absl::StrCat("with ", DescribeJson(id), " for ", QuoteInput(text)),
            "integers");
      Set(id.integer(), text, TypeOf(text), bytes ? 0 : kNoMerge);
    }
    unknown_ = model.String("unk_token").value_or("");
    ReadMerges(model);
    if (bytes) ChoosePre(model.Bool("ignore_merges").value_or(false));
  }

  TokenType TypeOf(absl::string_view text) const {
    return kind_ == "llama" && ParseByteToken(text).has_value()
               ? TokenType::kByte
               : TokenType::kNormal;
  }

  void ChoosePre(bool ignore_merges) {
    const absl::string_view name = PreTokenizerOf(pre_, ignore_merges);
    if (name.empty())
      Fail(StatusCode::kUnimplemented, "HF-7", "pre_tokenizer",
           QuoteInput(pre_),
           "that of Llama 3, Qwen 2, GPT-2, GPT-4o, SmolLM or Tekken; a GGUF "
           "file of the model names its own");
    out_.SetString("tokenizer.ggml.pre", name);
  }

  void ReadMerges(JsonFields& model) {
    const JsonValue* list = model.Find("merges");
    if (list == nullptr || !list->is_list())
      return model.Fail(StatusCode::kInvalidArgument, "merges", "no list",
                        "pairs of texts");
    for (const JsonValue& merge : list->items()) {
      std::string pair;
      if (merge.is_string()) {
        pair = merge.string();
      } else if (merge.is_list() && merge.items().size() == 2 &&
                 merge.items()[0].is_string() && merge.items()[1].is_string()) {
        pair = absl::StrCat(merge.items()[0].string(), " ",
                            merge.items()[1].string());
      }
      const size_t space = pair.find(' ');
      if (space == pair.npos)
        return Fail(StatusCode::kInvalidArgument, "HF-8",
                    absl::StrCat("model.merges[", merges_.size(), "]"),
                    merge.is_string() ? QuoteInput(pair) : DescribeJson(merge),
                    "two texts");
      if (kind_ == "llama") {
        const auto made =
            ids_.find(pair.substr(0, space) + pair.substr(space + 1));
        // The first is the best.
        if (made != ids_.end()) {
          float& score = scores_[static_cast<size_t>(made->second)];
          if (score == kNoMerge) score = -static_cast<float>(merges_.size());
        }
      }
      merges_.push_back(std::move(pair));
    }
  }

  void ReadUnigram(JsonFields& model) {
    kind_ = "t5";
    const JsonValue* vocab = model.Find("vocab");
    if (vocab == nullptr || !vocab->is_list())
      return model.Fail(StatusCode::kInvalidArgument, "vocab", "no list",
                        "pairs of a text and its score");
    int64_t id = 0;
    for (const JsonValue& entry : vocab->items()) {
      const absl::Span<const JsonValue> pair = entry.items();
      if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number())
        return model.Fail(StatusCode::kInvalidArgument, "vocab",
                          absl::StrCat("no pair at ", id),
                          "pairs of a text and its score");
      const std::string& text = pair[0].string();
      Set(id++, text,
          ParseByteToken(text).has_value() ? TokenType::kByte
                                           : TokenType::kNormal,
          static_cast<float>(pair[1].number()));
    }
    const auto unknown = model.Int("unk_id");
    if (unknown && *unknown >= 0 && *unknown < id)
      unknown_ = texts_[static_cast<size_t>(*unknown)];
    ReadCharMap();
    out_.SetBool("tokenizer.ggml.remove_extra_whitespaces",
                 absl::StrContains(normalizer_, "Replace") ||
                     absl::StrContains(normalizer_, "Strip"));
  }

  // The table of the normalizer "Precompiled", alone or among others.
  void ReadCharMap() {
    JsonFields normalizer = t_.Object("normalizer");
    const JsonValue* steps = normalizer.Find("normalizers");
    absl::Span<const JsonValue> all =
        absl::MakeConstSpan(&normalizer.value(), 1);
    if (steps != nullptr && steps->is_list()) all = steps->items();
    for (const JsonValue& step : all) {
      const JsonValue* text = step.Find("precompiled_charsmap");
      if (text == nullptr || !text->is_string()) continue;
      std::string bytes;
      if (!absl::Base64Unescape(text->string(), &bytes))
        return Fail(StatusCode::kInvalidArgument, "HF-8",
                    "precompiled_charsmap", "no base64", "base64");
      out_.SetUint8s(
          "tokenizer.ggml.precompiled_charsmap",
          {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    }
  }

  // ---- Added tokens ----

  void ReadAdded() {
    const JsonValue* list = t_.Find("added_tokens");
    if (list == nullptr || !list->is_list()) return;
    for (const JsonValue& token : list->items()) {
      const JsonValue* id = token.Find("id");
      const JsonValue* text = token.Find("content");
      const JsonValue* special = token.Find("special");
      if (id == nullptr || !id->is_integer() || text == nullptr ||
          !text->is_string())
        return t_.Fail(StatusCode::kInvalidArgument, "added_tokens",
                       "a list with something else",
                       "objects with id and content");
      const bool is_control = special != nullptr && special->is_true();
      // Text of these is looked for before spaces are replaced.
      const std::string content =
          is_control || kind_ == "gpt2"
              ? text->string()
              : absl::StrReplaceAll(text->string(), {{kSpmSpace, " "}});
      const auto at = static_cast<size_t>(id->integer());
      if (id->integer() >= 0 && at < texts_.size() &&
          texts_[at] == text->string())
        texts_[at] = content;
      Set(id->integer(), content,
          is_control ? TokenType::kControl : TokenType::kUserDefined, 0);
      ids_[text->string()] = id->integer();
    }
  }

  // ---- Results ----

  void Write() {
    const size_t rows = static_cast<size_t>(std::min(vocab_, kMaxVocab));
    for (size_t i = 0; i < std::max(rows, texts_.size()); ++i)
      if (i >= texts_.size() || !used_[i])
        Set(static_cast<int64_t>(i), absl::StrCat("[PAD", i, "]"),
            TokenType::kUnused, 0);
    if (const auto found = ids_.find(unknown_);
        !unknown_.empty() && found != ids_.end()) {
      types_[static_cast<size_t>(found->second)] =
          static_cast<int32_t>(TokenType::kUnknown);
      SetId("unknown", found->second);
    }
    out_.SetString("tokenizer.ggml.model", kind_);
    out_.SetStrings("tokenizer.ggml.tokens", texts_);
    out_.SetInt32s("tokenizer.ggml.token_type", types_);
    if (kind_ == "gpt2")
      out_.SetStrings("tokenizer.ggml.merges", merges_);
    else
      out_.SetFloats("tokenizer.ggml.scores", scores_);
    if (kind_ != "gpt2")
      out_.SetBool("tokenizer.ggml.add_space_prefix", AddsSpace());
  }

  // Whether a text gets a space before it: a step of the normalizer or of the
  // pre-tokenizer.
  bool AddsSpace() {
    if (absl::StrContains(normalizer_, "Prepend")) return true;
    JsonFields pre = t_.Object("pre_tokenizer");
    absl::Span<const JsonValue> steps = absl::MakeConstSpan(&pre.value(), 1);
    if (const JsonValue* list = pre.Find("pretokenizers");
        list != nullptr && list->is_list())
      steps = list->items();
    for (const JsonValue& step : steps) {
      if (!step.is_object()) continue;
      const auto is = [&](const char* name, const JsonValue& value) {
        const JsonValue* found = step.Find(name);
        return found != nullptr && *found == value;
      };
      if (is("type", JsonValue("Metaspace")))
        return !is("prepend_scheme", JsonValue("never")) &&
               !is("add_prefix_space", JsonValue(false));
    }
    return false;
  }

  void SetId(absl::string_view name, int64_t id) {
    if (id >= 0 && id <= std::numeric_limits<int32_t>::max())
      out_.SetUint32(absl::StrCat("tokenizer.ggml.", name, "_token_id"),
                     static_cast<uint32_t>(id));
  }

  // The token that a field names by its text, or by an object with the text.
  std::optional<int64_t> Named(absl::string_view field) const {
    if (!from_.config) return std::nullopt;
    const JsonValue* found = from_.config->Find(field);
    if (found != nullptr && found->is_object()) found = found->Find("content");
    if (found == nullptr || !found->is_string()) return std::nullopt;
    const auto id = ids_.find(found->string());
    if (id == ids_.end()) return std::nullopt;
    return id->second;
  }

  // The same by config.json, where several ids may stand.
  std::optional<int64_t> Numbered(absl::string_view field) const {
    if (!from_.model) return std::nullopt;
    const JsonValue* found = from_.model->Find(field);
    if (found != nullptr && found->is_list() && !found->items().empty())
      found = &found->items()[0];
    if (found == nullptr || !found->is_integer()) return std::nullopt;
    return found->integer();
  }

  void WriteSpecial() {
    for (const char* name : {"bos", "eos"}) {
      auto id = Named(absl::StrCat(name, "_token"));
      if (!id) id = Numbered(absl::StrCat(name, "_token_id"));
      if (id) SetId(name, *id);
      const std::string flag = absl::StrCat("add_", name, "_token");
      std::optional<bool> add;
      if (from_.config) add = from_.config->Bool(flag);
      out_.SetBool(absl::StrCat("tokenizer.ggml.", flag),
                   add.value_or(id && TemplateAdds(*id, name[0] == 'b')));
    }
    if (const auto id = Named("pad_token")) SetId("padding", *id);
    if (from_.config) Keep(from_.config->status());
  }

  // Whether the post-processor puts that token before (after) a text.
  bool TemplateAdds(int64_t id, bool before) const {
    const JsonValue* post = t_.Find("post_processor");
    if (post == nullptr || !post->is_object()) return false;
    absl::Span<const JsonValue> steps = absl::MakeConstSpan(post, 1);
    if (const JsonValue* list = post->Find("processors");
        list != nullptr && list->is_list())
      steps = list->items();
    for (const JsonValue& step : steps) {
      const JsonValue* single = step.Find("single");
      if (single == nullptr || !single->is_list() || single->items().empty())
        continue;
      const JsonValue& end =
          before ? single->items().front() : single->items().back();
      const JsonValue* special = end.Find("SpecialToken");
      const JsonValue* text =
          special == nullptr ? nullptr : special->Find("id");
      if (text == nullptr || !text->is_string()) continue;
      const auto found = ids_.find(text->string());
      if (found != ids_.end() && found->second == id) return true;
    }
    return false;
  }

  // A text, or a list of texts of which "default" counts.
  void WriteTemplate() {
    std::string text = from_.chat_template;
    const JsonValue* given =
        from_.config ? from_.config->Find("chat_template") : nullptr;
    if (text.empty() && given != nullptr && given->is_string())
      text = given->string();
    if (text.empty() && given != nullptr && given->is_list())
      for (const JsonValue& named : given->items()) {
        const JsonValue* name = named.Find("name");
        const JsonValue* body = named.Find("template");
        if (name != nullptr && body != nullptr && body->is_string() &&
            *name == JsonValue("default"))
          text = body->string();
      }
    if (!text.empty()) out_.SetString("tokenizer.chat_template", text);
  }

  HfTokenizerFiles& from_;
  JsonFields& t_;
  const int64_t vocab_;
  GgufKeyValues& out_;
  absl::Status status_;
  std::string kind_, pre_, normalizer_, unknown_;
  std::vector<std::string> texts_, merges_;
  std::vector<int32_t> types_;
  std::vector<float> scores_;
  std::vector<bool> used_;
  HashMap<std::string, int64_t> ids_;
};

}  // namespace

absl::Status AddHfTokenizer(HfTokenizerFiles& from, int64_t vocab,
                            GgufKeyValues& out) {
  return Translator(from, vocab, out).Run();
}

}  // namespace weft::inline v0
