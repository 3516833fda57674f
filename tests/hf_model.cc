#include "tests/hf_model.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "models/vocab.h"
#include "tests/gguf_builder.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

const std::map<std::string, std::string>& Names(bool gemma) {
  static const std::map<std::string, std::string> common = {
      {"token_embd", "embed_tokens"},
      {"output_norm", "norm"},
      {"attn_norm", "input_layernorm"},
      {"attn_q", "self_attn.q_proj"},
      {"attn_k", "self_attn.k_proj"},
      {"attn_v", "self_attn.v_proj"},
      {"attn_output", "self_attn.o_proj"},
      {"attn_q_norm", "self_attn.q_norm"},
      {"attn_k_norm", "self_attn.k_norm"},
      {"ffn_gate", "mlp.gate_proj"},
      {"ffn_up", "mlp.up_proj"},
      {"ffn_down", "mlp.down_proj"},
      {"ffn_norm", "post_attention_layernorm"}};
  static const std::map<std::string, std::string> of_gemma = [] {
    auto names = common;
    names["post_attention_norm"] = "post_attention_layernorm";
    names["ffn_norm"] = "pre_feedforward_layernorm";
    names["post_ffw_norm"] = "post_feedforward_layernorm";
    return names;
  }();
  return gemma ? of_gemma : common;
}

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"
std::string TheirName(std::string name, bool gemma) {
  const std::string kind = name.substr(name.rfind('.'));
  name.resize(name.rfind('.'));
  if (name == "output") return "lm_head" + kind;
  std::string prefix = "model.";
  if (absl::StartsWith(name, "blk.")) {
    const size_t dot = name.find('.', 4);
    prefix += "layers." + name.substr(4, dot - 3);
    name = name.substr(dot + 1);
  }
  return prefix + Names(gemma).at(name) + kind;
}

// Rows of a head from neighbouring pairs to halves.
std::string Unpermuted(const GgufTensor& tensor, int64_t heads) {
  const auto rows = tensor.dims[0], size = rows / heads;
  const size_t bytes = tensor.data.size() / static_cast<size_t>(rows);
  std::string out(tensor.data.size(), '\0');
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t in_head = row % size;
    const int64_t to = row - in_head + in_head % 2 * (size / 2) + in_head / 2;
    std::memcpy(&out[static_cast<size_t>(to) * bytes],
                tensor.data.data() + static_cast<size_t>(row) * bytes, bytes);
  }
  return out;
}

class Maker {
 public:
  explicit Maker(const GgufFile& file)
      : file_(file),
        arch_(*file.GetString("general.architecture")),
        gemma_(absl::StartsWith(arch_, "gemma")) {}

  HfModel Make() {
    Config();
    for (const GgufTensor& tensor : file_.tensors())
      if (tensor.name != "rope_freqs.weight") Add(tensor);
    if (file_.Has("tokenizer.ggml.tokens")) {
      out_.tokenizer = HfTokenizerFrom(file_);
      const auto tokens = *file_.GetStrings("tokenizer.ggml.tokens");
      for (const std::string name : {"bos", "eos"})
        if (const auto id =
                file_.GetInt64("tokenizer.ggml." + name + "_token_id");
            id.ok())
          out_.tokenizer_config[name + "_token"] =
              std::string(tokens[static_cast<size_t>(*id)]);
      out_.tokenizer_config["add_bos_token"] =
          file_.GetBool("tokenizer.ggml.add_bos_token")
              .value_or(out_.tokenizer["model"]["byte_fallback"].get<bool>());
    }
    return std::move(out_);
  }

 private:
  int64_t Int(const std::string& key) const {
    return *file_.GetInt64(absl::StrCat(arch_, ".", key));
  }
  void CopyInt(const char* theirs, const char* ours) {
    const auto value = file_.GetInt64(absl::StrCat(arch_, ".", ours));
    if (value.ok()) out_.config[theirs] = *value;
  }
  void CopyFloat(const char* theirs, const char* ours) {
    const auto value = file_.GetFloat(absl::StrCat(arch_, ".", ours));
    if (value.ok()) out_.config[theirs] = *value;
  }

  void Config() {
    Json& c = out_.config;
    c["model_type"] = arch_ == "gemma3" ? "gemma3_text" : arch_;
    CopyInt("hidden_size", "embedding_length");
    CopyInt("num_hidden_layers", "block_count");
    CopyInt("intermediate_size", "feed_forward_length");
    CopyInt("max_position_embeddings", "context_length");
    CopyInt("num_attention_heads", "attention.head_count");
    CopyInt("num_key_value_heads", "attention.head_count_kv");
    CopyInt("head_dim", "attention.key_length");
    CopyInt("vocab_size", "vocab_size");
    CopyInt("sliding_window", "attention.sliding_window");
    CopyInt("sliding_window_pattern", "attention.sliding_window_pattern");
    CopyFloat("rms_norm_eps", "attention.layer_norm_rms_epsilon");
    CopyFloat("rope_theta", "rope.freq_base");
    CopyFloat("rope_local_base_freq", "rope.freq_base_swa");
    CopyFloat("attn_logit_softcapping", "attn_logit_softcapping");
    CopyFloat("final_logit_softcapping", "final_logit_softcapping");
    if (gemma_) c["query_pre_attn_scalar"] = c["head_dim"];
    c["tie_word_embeddings"] = file_.FindTensor("output.weight") == nullptr;
    const auto type =
        file_.GetString(absl::StrCat(arch_, ".rope.scaling.type"));
    if (file_.FindTensor("rope_freqs.weight") != nullptr) {
      // What the reference values were made with.
      c["rope_scaling"] = {{"rope_type", "llama3"},
                           {"factor", 8.0},
                           {"low_freq_factor", 1.0},
                           {"high_freq_factor", 4.0},
                           {"original_max_position_embeddings", 64}};
    } else if (type.ok()) {
      Json& scaling = c["rope_scaling"];
      scaling["type"] = std::string(*type);
      scaling["factor"] =
          *file_.GetFloat(absl::StrCat(arch_, ".rope.scaling.factor"));
      const auto context = file_.GetInt64(
          absl::StrCat(arch_, ".rope.scaling.original_context_length"));
      if (context.ok()) scaling["original_max_position_embeddings"] = *context;
    }
  }

  void Add(const GgufTensor& tensor) {
    SafeSpec spec;
    spec.name = TheirName(std::string(tensor.name), gemma_);
    spec.dtype = absl::AsciiStrToUpper(Name(tensor.dtype));
    spec.shape.assign(tensor.dims.begin(), tensor.dims.end());
    spec.data.assign(reinterpret_cast<const char*>(tensor.data.data()),
                     tensor.data.size());
    const bool q = absl::StrContains(tensor.name, "attn_q.");
    if (arch_ == "llama" && (q || absl::StrContains(tensor.name, "attn_k.")))
      spec.data = Unpermuted(
          tensor, Int(q ? "attention.head_count" : "attention.head_count_kv"));
    if (gemma_ && tensor.dims.size() == 1)
      for (size_t i = 0; i < spec.data.size(); i += 4) {
        float value = 0;
        std::memcpy(&value, &spec.data[i], 4);
        spec.data.replace(i, 4, LittleEndian(value - 1));
      }
    out_.tensors.push_back(std::move(spec));
  }

  const GgufFile& file_;
  const std::string arch_;
  const bool gemma_;
  HfModel out_;
};

// Merges as tokenizers' own converter makes them: every way to cut a token into
// two, the best score first.
Json MergesOf(const std::vector<absl::string_view>& tokens,
              const std::vector<float>& scores) {
  std::map<absl::string_view, size_t> ids;
  for (size_t i = 0; i < tokens.size(); ++i) ids[tokens[i]] = i;
  std::vector<std::tuple<float, size_t, std::string>> merges;
  for (size_t i = 0; i < tokens.size(); ++i)
    for (size_t cut = 1; cut < tokens[i].size(); ++cut) {
      const auto left = tokens[i].substr(0, cut), right = tokens[i].substr(cut);
      if (ids.contains(left) && ids.contains(right))
        merges.emplace_back(-scores[i], i, absl::StrCat(left, " ", right));
    }
  std::sort(merges.begin(), merges.end());
  Json out = Json::array();
  for (const auto& merge : merges) out.push_back(std::get<2>(merge));
  return out;
}

}  // namespace

Json SafeHeader(const std::vector<SafeSpec>& tensors) {
  Json header = Json::object();
  size_t at = 0;
  for (const SafeSpec& t : tensors) {
    header[t.name] = {{"dtype", t.dtype},
                      {"shape", t.shape},
                      {"data_offsets", {at, at + t.data.size()}}};
    at += t.data.size();
  }
  header["__metadata__"] = {{"format", "pt"}};
  return header;
}

std::string SafeBytes(const Json& header, const std::string& data) {
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return LittleEndian<uint64_t>(text.size()) + text + data;
}

std::string SafeBytes(const std::vector<SafeSpec>& tensors) {
  std::string data;
  for (const SafeSpec& t : tensors) data += t.data;
  return SafeBytes(SafeHeader(tensors), data);
}

std::string HfModel::Write(const std::string& name, size_t shards) const {
  const std::string folder = ScratchPath(name);
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  WriteBytes(folder + "/config.json", config.dump());
  if (!tokenizer.is_null())
    WriteBytes(folder + "/tokenizer.json", tokenizer.dump());
  if (!tokenizer_config.is_null())
    WriteBytes(folder + "/tokenizer_config.json", tokenizer_config.dump());
  if (shards == 1) {
    WriteBytes(folder + "/model.safetensors", SafeBytes(tensors));
    return folder;
  }
  std::vector<std::vector<SafeSpec>> parts(shards);
  Json map = Json::object();
  for (size_t i = 0; i < tensors.size(); ++i) {
    parts[i % shards].push_back(tensors[i]);
    map[tensors[i].name] = absl::StrFormat("model-%05d-of-%05d.safetensors",
                                           i % shards + 1, shards);
  }
  for (size_t i = 0; i < shards; ++i)
    WriteBytes(absl::StrFormat("%s/model-%05d-of-%05d.safetensors", folder,
                               i + 1, shards),
               SafeBytes(parts[i]));
  const Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", map}};
  WriteBytes(folder + "/model.safetensors.index.json", index.dump());
  return folder;
}

HfModel SmallHfModel() {
  HfModel m;
  m.config = {{"model_type", "qwen2"},       {"hidden_size", 8},
              {"num_hidden_layers", 1},      {"num_attention_heads", 2},
              {"intermediate_size", 16},     {"vocab_size", 300},
              {"tie_word_embeddings", true}, {"rms_norm_eps", 1e-6}};
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    int64_t n = 2;
    for (const int64_t dim : shape) n *= dim;
    m.tensors.push_back({"model." + name, "BF16", shape,
                         std::string(static_cast<size_t>(n), '\0')});
  };
  add("embed_tokens.weight", {300, 8});
  add("norm.weight", {8});
  for (const char* x : {"q", "k", "v", "o"})
    add(absl::StrCat("layers.0.self_attn.", x, "_proj.weight"), {8, 8});
  add("layers.0.mlp.gate_proj.weight", {16, 8});
  add("layers.0.mlp.up_proj.weight", {16, 8});
  add("layers.0.mlp.down_proj.weight", {8, 16});
  add("layers.0.input_layernorm.weight", {8});
  add("layers.0.post_attention_layernorm.weight", {8});
  return m;
}

HfModel HfModelFrom(const GgufFile& file) { return Maker(file).Make(); }

Json HfTokenizerFrom(const GgufFile& file) {
  const auto tokens = *file.GetStrings("tokenizer.ggml.tokens");
  const auto types = *file.GetInt32s("tokenizer.ggml.token_type");
  const bool spm = *file.GetString("tokenizer.ggml.model") == "llama";
  const std::string pre(file.GetString("tokenizer.ggml.pre").value_or(""));
  Json model = {{"type", "BPE"}, {"byte_fallback", spm}};
  Json added = Json::array();
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string text(tokens[i]);
    const auto type = static_cast<TokenType>(types[i]);
    if (type == TokenType::kControl || type == TokenType::kUserDefined)
      added.push_back({{"id", i},
                       {"content", text},
                       {"special", type == TokenType::kControl}});
    if (type == TokenType::kUnknown) model["unk_token"] = text;
    if (spm || type == TokenType::kNormal) model["vocab"][text] = i;
  }
  Json tokenizer = {{"version", "1.0"}, {"added_tokens", added}};
  if (spm) {
    model["merges"] =
        MergesOf(tokens, *file.GetFloats("tokenizer.ggml.scores"));
    tokenizer["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}},
          {{"type", "Replace"},
           {"pattern", {{"String", " "}}},
           {"content", "\xE2\x96\x81"}}}}};
  } else {
    // Newer files have each merge as a list of its two texts.
    const auto merges = *file.GetStrings("tokenizer.ggml.merges");
    for (const absl::string_view merge : merges) {
      const size_t space = merge.find(' ');
      model["merges"].push_back({std::string(merge.substr(0, space)),
                                 std::string(merge.substr(space + 1))});
    }
    model["ignore_merges"] = pre == "llama-bpe";
    const std::string digits = pre == "llama-bpe" ? "{1,3}" : "";
    tokenizer["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"},
           {"pattern",
            {{"Regex",
              R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})" +
                  digits +
                  R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
           {"behavior", "Isolated"},
           {"invert", false}},
          {{"type", "ByteLevel"}, {"use_regex", false}}}}};
  }
  tokenizer["model"] = model;
  return tokenizer;
}

}  // namespace weft::inline v0
