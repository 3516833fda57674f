// Directories of safetensors: the same logits and tokens as from GGUF files,
// and broken ones.
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/chat_template.h"
#include "models/engine.h"
#include "models/model_file.h"
#include "tests/gguf_builder.h"
#include "tests/golden.h"
#include "tests/hf_model.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class SafetensorsGolden : public testing::TestWithParam<const char*> {};

TEST_P(SafetensorsGolden, LogitsAndTokens) {
  const std::string name = GetParam();
  const GoldenModel golden = LoadOpen(name, "");
  if (golden.prompts.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  const auto file = GgufFile::Open(golden.path);
  ASSERT_TRUE(file.ok()) << file.status();
  const std::string folder =
      HfModelFrom(*file).Write(name, name == "qwen2" ? 3 : 1);
  const auto model = Model::Load(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.numerics = Numerics::kExact;
  options.context = golden.context;
  options.logits_rows = golden.context;
  options.kv_k = options.kv_v = DType::kF32;
  options.backend_options.threads = 1;
  const auto session = (*model)->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const GoldenPrompt& prompt = golden.prompts[0];
  const std::vector<float> logits = AllLogits(**session, prompt.tokens);
  ASSERT_EQ(logits.size(), prompt.logits.size());
  float worst = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    worst = std::max(worst, std::abs(logits[i] - prompt.logits[i]));
  // As from the GGUF file, see architectures_test.
  EXPECT_LE(worst, 1e-3f);

  // Matrices are views into the mapped file.
  for (const GgufTensor& tensor : (*model)->file().tensors())
    EXPECT_EQ(tensor.dtype == DType::kF32, tensor.dims.size() == 1)
        << tensor.name;
  // Scores of SentencePiece's are all 0 in these files: nothing to compare.
  if (*file->GetString("tokenizer.ggml.model") != "gpt2") return;
  const auto tokenizer = MakeTokenizer(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  for (const char* text : {"Hello world's 12345", "<|eot_id|> the\n\n  end",
                           "the cat sat", "\xF0\x9F\x98\x80 naïve"})
    for (const bool on : {false, true}) {
      const EncodeOptions encode = {.add_special = on, .parse_special = on};
      EXPECT_EQ(*(*model)->tokenizer().Encode(text, encode),
                *(*tokenizer)->Encode(text, encode))
          << text;
    }
}

INSTANTIATE_TEST_SUITE_P(Models, SafetensorsGolden,
                         testing::Values("llama_gqa", "llama_rope3",
                                         "llama_linear", "llama_yarn", "qwen2",
                                         "qwen3", "gemma2", "gemma3"),
                         [](const auto& test) { return test.param; });

absl::Status Load(const std::string& folder) {
  LoadOptions options;
  options.tokenizer = fs::exists(folder + "/tokenizer.json");
  return Model::Load(folder, options).status();
}

void ExpectError(const absl::Status& status, absl::StatusCode code,
                 const std::string& what) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_PRED2(Says, status.message(), what) << status;
}

TEST(Safetensors, SmallModelLoads) {
  EXPECT_TRUE(Load(SmallHfModel().Write("small")).ok());
  EXPECT_TRUE(Load(SmallHfModel().Write("small", 4)).ok());
  // A trailing slash, and the programs.
  const std::string path = SmallHfModel().Write("small") + "/";
  EXPECT_TRUE(Load(path).ok());
  ExpectSuccess(RunTool("graph-dump", {"--model=" + path}));
  const std::string out = ScratchPath("small.gguf");
  ExpectSuccess(
      RunTool("weft-quantize", {"--in=" + path, "--out=" + out, "--type=f16"}));
  const auto written = GgufFile::Open(out);
  ASSERT_TRUE(written.ok()) << written.status();
  EXPECT_EQ(*written->GetString("general.architecture"), "qwen2");
}

// Logits of the last token. One layer sees a window and no more, and rope
// knows distances only: what comes before the window changes nothing.
std::vector<float> LastLogits(const Model& model,
                              absl::Span<const Token> tokens) {
  SessionOptions options;
  options.numerics = Numerics::kExact;
  options.context = 64;
  options.kv_k = options.kv_v = DType::kF32;
  options.backend_options.threads = 1;
  const auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  const auto logits = (*session)->Prefill(0, tokens);
  EXPECT_TRUE(logits.ok()) << logits.status();
  return {logits->begin(), logits->end()};
}

float Difference(const std::vector<float>& a, const std::vector<float>& b) {
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

TEST(Safetensors, SlidingWindows) {
  struct Case {
    const char* name;
    Json config;
    bool has_window;
  };
  const Case cases[] = {
      {"every layer", {{"model_type", "mistral"}}, true},
      {"named layers",
       {{"model_type", "mistral"}, {"layer_types", {"sliding_attention"}}},
       true},
      {"no layer",
       {{"model_type", "mistral"}, {"layer_types", {"full_attention"}}},
       false},
      {"switched on",
       {{"use_sliding_window", true}, {"max_window_layers", 0}},
       true},
      {"later layers",
       {{"use_sliding_window", true}, {"max_window_layers", 1}},
       false},
      {"switched off", {{"use_sliding_window", false}}, false},
      {"not switched on", Json::object(), false},
  };
  std::vector<Token> tokens;
  for (Token i = 0; i < 20; ++i) tokens.push_back(i * 7 % 100);
  for (const Case& c : cases) {
    HfModel m = SmallHfModel();
    m.config.update(c.config);
    m.config["sliding_window"] = 5;
    for (SafeSpec& tensor : m.tensors)  // bf16 from 0.5 to 2, both signs
      for (size_t i = 0; i < tensor.data.size(); i += 2) {
        tensor.data[i] = static_cast<char>(i * 37 / 2 + i / 50);
        tensor.data[i + 1] = static_cast<char>(i % 6 == 0 ? 0x3f : 0xbf);
      }
    LoadOptions load;
    load.tokenizer = false;
    const auto model = Model::Load(m.Write("window"), load);
    ASSERT_TRUE(model.ok()) << c.name << model.status();
    const auto all = LastLogits(**model, tokens);
    const auto last = LastLogits(**model, absl::MakeSpan(tokens).last(5));
    // Rounding of other positions' rotations; logits are about 3.
    if (c.has_window)
      EXPECT_LT(Difference(all, last), 1e-4) << c.name;
    else
      EXPECT_GT(Difference(all, last), 1e-2) << c.name;
  }
}

// What the format itself can get wrong.
struct Broken {
  const char* name;
  absl::StatusCode code;
  const char* what;
  std::function<void(Json& header)> change;
};
constexpr char kNorm[] = "model.norm.weight";

TEST(Safetensors, BrokenHeaders) {
  const auto IA = absl::StatusCode::kInvalidArgument;
  const std::vector<Broken> all = {
      {"no dtype", IA, "ST-4", [](Json& h) { h[kNorm].erase("dtype"); }},
      {"no shape", IA, "ST-4", [](Json& h) { h[kNorm].erase("shape"); }},
      {"dtype of a number", IA, "ST-4", [](Json& h) { h[kNorm]["dtype"] = 1; }},
      {"an entry of a number", IA, "ST-4", [](Json& h) { h[kNorm] = 1; }},
      {"a text in the shape", IA, "ST-4",
       [](Json& h) { h[kNorm]["shape"] = {"8"}; }},
      {"a fraction", IA, "ST-4", [](Json& h) { h[kNorm]["shape"] = {8.5}; }},
      {"unknown dtype", absl::StatusCode::kUnimplemented,
       "ST-5 at byte 8: dtype of \"model.norm.weight\" is \"Q9\"",
       [](Json& h) { h[kNorm]["dtype"] = "Q9"; }},
      {"dtype that weft has not", absl::StatusCode::kUnimplemented, "HF-6",
       [](Json& h) { h[kNorm]["dtype"] = "I16"; }},
      {"below 0", IA, "ST-6", [](Json& h) { h[kNorm]["shape"] = {-8}; }},
      {"product overflows", IA, "ST-6",
       [](Json& h) {
         h[kNorm]["shape"] = {int64_t{1} << 40, int64_t{1} << 40};
       }},
      {"many dimensions", IA, "ST-6",
       [](Json& h) { h[kNorm]["shape"] = std::vector<int>(9, 1); }},
      {"size", IA, "ST-7", [](Json& h) { h[kNorm]["shape"] = {7}; }},
      {"three offsets", IA, "ST-7",
       [](Json& h) { h[kNorm]["data_offsets"].push_back(1); }},
      {"backwards", IA, "ST-7",
       [](Json& h) {
         std::swap(h[kNorm]["data_offsets"][0], h[kNorm]["data_offsets"][1]);
       }},
      {"below 0", IA, "ST-7",
       [](Json& h) { h[kNorm]["data_offsets"] = {-16, 0}; }},
      {"overlap", IA, "overlap \"model.norm.weight\"",
       [](Json& h) { h[kNorm]["data_offsets"] = {0, 16}; }},
      {"gap", IA, "behind a gap", [](Json& h) { h.erase(kNorm); }},
      {"a name that no table has", absl::StatusCode::kUnimplemented, "HF-6",
       [](Json& h) {
         h["model.wrong.weight"] = h[kNorm];
         h.erase(kNorm);
       }},
      {"two of one meaning", absl::StatusCode::kAlreadyExists, "HF-5",
       [](Json& h) {
         h["norm.weight"] = h["model.layers.0.input_layernorm.weight"];
         h.erase("model.layers.0.input_layernorm.weight");
       }},
  };
  const HfModel model = SmallHfModel();
  std::string data;
  for (const SafeSpec& t : model.tensors) data += t.data;
  const std::string folder = model.Write("broken");
  for (const Broken& broken : all) {
    SCOPED_TRACE(broken.name);
    Json header = SafeHeader(model.tensors);
    broken.change(header);
    WriteBytes(folder + "/model.safetensors", SafeBytes(header, data));
    ExpectError(Load(folder), broken.code, broken.what);
  }
}

TEST(Safetensors, BrokenFiles) {
  const std::string folder = SmallHfModel().Write("bytes");
  const std::string path = folder + "/model.safetensors";
  const std::string good = ReadText(path);
  const auto with = [&](const std::string& bytes) {
    WriteBytes(path, bytes);
    return Load(folder);
  };
  const auto header = [](const std::string& json) {
    return LittleEndian<uint64_t>(json.size()) + json;
  };
  const auto DL = absl::StatusCode::kDataLoss;
  const auto IA = absl::StatusCode::kInvalidArgument;
  for (const size_t n : {0, 1, 7})
    ExpectError(with(good.substr(0, n)), DL, "ST-1");
  ExpectError(with(good.substr(0, 100)), DL, "ST-1");
  ExpectError(with(LittleEndian<uint64_t>(good.size()) + good.substr(8)), DL,
              "ST-1");
  for (const uint64_t n : {uint64_t{100'000'001}, ~uint64_t{0}})
    ExpectError(with(LittleEndian(n) + good.substr(8)),
                absl::StatusCode::kResourceExhausted, "ST-2");
  for (const char* json : {"", "{", "[]", "null", "{\"a\": nan}", "{} x"})
    ExpectError(with(header(json)), IA, "ST-3");
  ExpectError(with(header("{\"a\":1,\"a\":1}")),
              absl::StatusCode::kAlreadyExists, "stands twice");
  ExpectError(with(header(std::string(100000, '['))),
              absl::StatusCode::kResourceExhausted, "nesting");
  ExpectError(with(good.substr(0, good.size() - 1)), DL, "ST-9");
  ExpectError(with(good + "x"), IA, "ST-9");
  EXPECT_TRUE(with(good).ok());
  // Only a dump of the graph can do without data.
  WriteBytes(path, good.substr(0, good.size() - 1));
  EXPECT_TRUE(OpenModelFile(folder, {.header_only = true}).ok());
}

TEST(Safetensors, BrokenIndexes) {
  const HfModel model = SmallHfModel();
  const std::string folder = model.Write("index", 2);
  const std::string index = folder + "/model.safetensors.index.json";
  const std::string second = "model-00002-of-00002.safetensors";
  const Json good = Json::parse(ReadText(index));
  const auto with = [&](const std::function<void(Json & map)>& change) {
    Json json = good;
    change(json["weight_map"]);
    WriteBytes(index, json.dump());
    return Load(folder);
  };
  const auto IA = absl::StatusCode::kInvalidArgument;
  for (const char* name : {"../x.safetensors", "/etc/passwd", "..", ""})
    ExpectError(with([&](Json& map) { map[kNorm] = name; }), IA,
                "the name of a file beside it");
  ExpectError(with([&](Json& map) { map[kNorm] = 3; }), IA, "HF-4");
  ExpectError(with([&](Json& map) { map = Json::object(); }), IA, "HF-4");
  ExpectError(with([&](Json& map) { map = 1; }), IA, "weight_map");
  ExpectError(with([&](Json& map) { map[kNorm] = "absent.safetensors"; }),
              absl::StatusCode::kNotFound, "absent.safetensors");
  ExpectError(with([&](Json& map) { map.erase(kNorm); }), IA,
              "no tensor that the index lacks");
  ExpectError(
      with([&](Json& map) { map["model.embed_tokens.weight"] = second; }), IA,
      "it in " + second);
  ExpectError(with([&](Json& map) { map["model.x"] = second; }),
              absl::StatusCode::kNotFound, "1 of its tensors");
  fs::remove(index);
  ExpectError(Load(folder), absl::StatusCode::kNotFound,
              "model.safetensors is missing");
}

TEST(Safetensors, BrokenConfigs) {
  struct Case {
    const char* field;
    Json value;  // null: without it
    absl::StatusCode code;
    const char* what;
  };
  const auto IA = absl::StatusCode::kInvalidArgument;
  const auto UN = absl::StatusCode::kUnimplemented;
  const std::vector<Case> cases = {
      {"model_type", "mixtral", UN, "HF-3: model_type is \"mixtral\""},
      {"model_type", 3, IA, "HF"},
      {"model_type", nullptr, UN, "HF-3"},
      {"hidden_size", nullptr, IA, "\"hidden_size\" is missing"},
      {"hidden_size", "8", IA,
       "\"hidden_size\" is a string; expected an integer"},
      {"hidden_size", -8, IA, "\"hidden_size\" is -8"},
      {"num_hidden_layers", 0, absl::StatusCode::kOutOfRange, "BIND-A1: "},
      {"num_hidden_layers", 2, absl::StatusCode::kNotFound, "blk.1."},
      {"num_attention_heads", 0, IA, "BIND-A2: "},
      {"rms_norm_eps", -1, IA, "BIND-A8: "},
      {"hidden_act", "relu", UN, "\"hidden_act\" is \"relu\""},
      {"tie_word_embeddings", false, absl::StatusCode::kNotFound, "lm_head"},
      {"rope_scaling", {{"type", "dynamic"}}, UN, "\"rope_scaling.rope_type\""},
      {"rope_scaling", {{"type", "linear"}}, IA, "rope_scaling.factor"},
      {"rope_scaling", 3, IA, "\"rope_scaling\" is 3; expected an object"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    HfModel model = SmallHfModel();
    model.config[c.field] = c.value;
    if (c.value.is_null()) model.config.erase(c.field);
    // What is wrong in config.json is found with the file's name.
    auto status = Load(model.Write("config"));
    if (c.code == UN && absl::IsInvalidArgument(status)) FAIL() << status;
    ExpectError(status, c.code, c.what);
  }
  const std::string folder = SmallHfModel().Write("config");
  fs::remove(folder + "/config.json");
  ExpectError(Load(folder), absl::StatusCode::kFailedPrecondition,
              "a directory");
  WriteBytes(folder + "/config.json", "{\"a\": 1,}");
  ExpectError(Load(folder), IA, "HF-1");
}

// ---- Tokenizers ----

// A vocabulary of real size through tokenizer.json and back.
TEST(SafetensorsTokenizer, SentencePieceAsInGguf) {
  const std::string path =
      SharedPath("golden/tokenizers/ggml-vocab-llama-spm.gguf");
  if (path.empty()) GTEST_SKIP() << "no vocabularies in " << WEFT_SHARED_DIR;
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  HfModel model = SmallHfModel();
  model.config["vocab_size"] = 32000;
  model.tensors[0].shape = {32000, 8};
  model.tensors[0].data.assign(32000 * 16, '\0');
  model.tokenizer = HfTokenizerFrom(*file);
  model.tokenizer_config = {{"bos_token", "<s>"},
                            {"eos_token", {{"content", "</s>"}}},
                            {"chat_template", "{{ bos_token }}hi"}};
  model.tokenizer["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
        {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}}};
  const auto loaded = Model::Load(model.Write("spm"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const auto want = MakeTokenizer(*file);
  ASSERT_TRUE(want.ok()) << want.status();
  const std::string texts =
      ReadText(SharedPath("golden/tokenizers/ggml-vocab-llama-spm.gguf.inp"));
  ASSERT_FALSE(texts.empty());
  const Tokenizer& tokenizer = (*loaded)->tokenizer();
  for (const bool on : {false, true}) {
    const EncodeOptions options = {.add_special = on, .parse_special = on};
    EXPECT_EQ(*tokenizer.Encode(texts, options),
              *(*want)->Encode(texts, options));
  }
  EXPECT_EQ(tokenizer.bos(), 1);
  EXPECT_EQ(tokenizer.eos(), 2);
  const auto chat = ChatTemplate::FromFile((*loaded)->file(), tokenizer);
  ASSERT_TRUE(chat.ok()) << chat.status();
  EXPECT_EQ(*chat->Render({}, {}), "<s>hi");
}

// Every piece that a text has, the best cut first.
TEST(SafetensorsTokenizer, Unigram) {
  HfModel model = SmallHfModel();
  Json vocab = Json::array();
  for (const auto& [text, score] :
       std::vector<std::pair<std::string, double>>{{"<unk>", 0},
                                                   {"\xE2\x96\x81", -2},
                                                   {"</s>", 0},
                                                   {"a", -3},
                                                   {"b", -3},
                                                   {"\xE2\x96\x81"
                                                    "ab",
                                                    -4}})
    vocab.push_back(Json::array({text, score}));
  model.tokenizer = {
      {"added_tokens", {{{"id", 2}, {"content", "</s>"}, {"special", true}}}},
      {"pre_tokenizer", {{"type", "Metaspace"}, {"prepend_scheme", "always"}}},
      {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}}};
  const auto loaded = Model::Load(model.Write("unigram"));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Tokenizer& tokenizer = (*loaded)->tokenizer();
  EXPECT_EQ(*tokenizer.Encode("ab b?", {}), (std::vector<Token>{5, 1, 4, 0}));
  EXPECT_EQ(tokenizer.vocab_size(), 300);  // the embedding's rows
}

TEST(SafetensorsTokenizer, Broken) {
  const Json good = {{"pre_tokenizer", {{"type", "ByteLevel"}}},
                     {"model",
                      {{"type", "BPE"},
                       {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}},
                       {"merges", {"a b"}}}}};
  const auto IA = absl::StatusCode::kInvalidArgument;
  const auto UN = absl::StatusCode::kUnimplemented;
  const auto expect = [&](absl::StatusCode code, const char* what,
                          const std::function<void(Json&)>& change) {
    SCOPED_TRACE(what);
    HfModel model = SmallHfModel();
    model.tokenizer = good;
    change(model.tokenizer);
    ExpectError(Load(model.Write("tokenizer")), code, what);
  };
  HfModel model = SmallHfModel();
  model.tokenizer = good;
  EXPECT_TRUE(Load(model.Write("tokenizer")).ok());
  expect(UN, "HF-7: model.type is \"WordLevel\"",
         [](Json& t) { t["model"]["type"] = "WordLevel"; });
  expect(UN, "HF-7: pre_tokenizer", [](Json& t) {
    t["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "x"}}}};
  });
  expect(UN, "GGUF file of the model names its own", [](Json& t) {
    t["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", {{{"type", "Whitespace"}}, {{"type", "ByteLevel"}}}}};
  });
  expect(IA, "the id of \"b\" is 300",
         [](Json& t) { t["model"]["vocab"]["b"] = 300; });
  expect(IA, "the id of \"b\" is -1",
         [](Json& t) { t["model"]["vocab"]["b"] = -1; });
  expect(IA, "which is that of", [](Json& t) { t["model"]["vocab"]["b"] = 0; });
  expect(IA, "model.vocab", [](Json& t) { t["model"]["vocab"]["b"] = "1"; });
  expect(IA, "model.vocab", [](Json& t) { t["model"].erase("vocab"); });
  expect(IA, "model.merges", [](Json& t) { t["model"].erase("merges"); });
  expect(IA, "HF-8: model.merges[0]",
         [](Json& t) { t["model"]["merges"] = {"ab"}; });
  expect(IA, "HF-8: model.merges[0]",
         [](Json& t) { t["model"]["merges"] = {{"a", "b", "c"}}; });
  expect(IA, "TOK-V11", [](Json& t) { t["model"]["merges"] = {"a c"}; });
  expect(IA, "added_tokens", [](Json& t) { t["added_tokens"] = {3}; });
}

}  // namespace
}  // namespace weft::inline v0
