// Made-up models: their vocabulary and weights, and weft-synth.
#include "tools/synth.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/gguf_writer.h"
#include "models/spm_merger.h"
#include "models/tokenizer.h"
#include "models/vocab.h"
#include "tests/golden.h"
#include "tests/tool_runner.h"
#include "tools/synth_vocab.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

// ---- The vocabulary ----

std::unique_ptr<Tokenizer> TokenizerOf(const NewVocab& vocab) {
  GgufKeyValues key_values;
  vocab.AddTo(key_values);
  const auto header = MakeGgufHeader(key_values, {}, "vocab");
  EXPECT_TRUE(header.ok()) << header.status();
  const auto file = GgufFile::Parse(
      {reinterpret_cast<const std::byte*>(header->data()), header->size()},
      "vocab");
  EXPECT_TRUE(file.ok()) << file.status();
  auto tokenizer = MakeTokenizer(*file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

TEST(SynthVocab, HasTheSizeAskedForAndNoRepetition) {
  for (const int64_t size : {260, 261, 300, 354, 355, 1000, 32000}) {
    const NewVocab vocab = MakeSynthVocab(size, 3);
    ASSERT_EQ(vocab.texts.size(), static_cast<size_t>(size));
    EXPECT_EQ(vocab.scores.size(), vocab.texts.size());
    EXPECT_EQ(vocab.types.size(), vocab.texts.size());
    const absl::flat_hash_set<std::string> different(vocab.texts.begin(),
                                                     vocab.texts.end());
    EXPECT_EQ(different.size(), vocab.texts.size());
    EXPECT_TRUE(TokenizerOf(vocab)->warnings().empty());
  }
}

TEST(SynthVocab, EveryPieceIsWhatItsTextIsEncodedTo) {
  const NewVocab vocab = MakeSynthVocab(8000, 0);
  const auto tokenizer = TokenizerOf(vocab);
  int words = 0;
  for (size_t i = kMinSynthVocab; i < vocab.texts.size(); ++i) {
    const std::string text =
        absl::StrReplaceAll(vocab.texts[i], {{kSpmSpace, " "}});
    // Encode() puts a space before the text.
    if (text.size() < 2 || text[0] != ' ') continue;
    ++words;
    const auto tokens = tokenizer->Encode(text.substr(1), {});
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    EXPECT_EQ(*tokens, std::vector<Token>{static_cast<Token>(i)}) << text;
  }
  EXPECT_GT(words, 3000);
}

TEST(SynthVocab, AnyTextComesBack) {
  for (const int64_t size : {260, 400, 32000}) {
    const auto tokenizer = TokenizerOf(MakeSynthVocab(size, 1));
    for (const char* text :
         {"Once upon a time, there was a little girl.", "x", "  two  spaces ",
          "naïve 中文 \n\t", "\x01\xff\xfe"}) {
      const auto tokens = tokenizer->Encode(text, {});
      ASSERT_TRUE(tokens.ok()) << tokens.status();
      EXPECT_EQ(*tokenizer->Decode(*tokens, false), text);
    }
  }
  // Pieces are worth having: fewer tokens than letters.
  const std::string text = "the rain in spain stays mainly in the plain";
  EXPECT_LT(TokenizerOf(MakeSynthVocab(32000, 1))->Encode(text, {})->size(),
            text.size() * 3 / 4);
}

// ---- The program ----

ToolResult Synth(const std::vector<std::string>& args, const std::string& out,
                 const ToolOptions& options = {}) {
  std::vector<std::string> all = {"--preset=tiny", "--layers=2",
                                  "--vocab_size=400", "--out=" + out};
  all.insert(all.end(), args.begin(), args.end());
  return RunTool("weft-synth", all, options);
}

std::vector<float> Values(const GgufTensor& tensor) {
  const DTypeInfo& info = Info(tensor.dtype);
  const size_t blocks =
      tensor.data.size() / static_cast<size_t>(info.block_bytes);
  std::vector<float> values(blocks * static_cast<size_t>(info.block_values));
  info.decode(tensor.data.data(), static_cast<int64_t>(blocks), values.data());
  return values;
}

double Rms(const std::vector<float>& values, double mean) {
  double sum = 0;
  for (const float v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

TEST(WeftSynth, WritesAModelOfTheShapeAskedFor) {
  const std::string path = ScratchPath("shape.gguf");
  ExpectSuccess(Synth({"--type=f32", "--layers=3", "--width=96", "--heads=6",
                       "--kv_heads=3", "--ff=160", "--context=77"},
                      path));
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->warnings().empty());
  EXPECT_EQ(*file->GetUint32("llama.block_count"), 3u);
  EXPECT_EQ(*file->GetUint32("llama.embedding_length"), 96u);
  EXPECT_EQ(*file->GetUint32("llama.context_length"), 77u);
  EXPECT_EQ(*file->GetUint32("general.file_type"), 0u);
  EXPECT_EQ(file->tensors().size(), 3u + 3 * 9);
  using Dims = std::vector<int64_t>;
  const auto dims = [&](const char* name) {
    const GgufTensor* tensor = file->FindTensor(name);
    return tensor == nullptr ? Dims()
                             : Dims(tensor->dims.begin(), tensor->dims.end());
  };
  EXPECT_EQ(dims("token_embd.weight"), (Dims{400, 96}));
  EXPECT_EQ(dims("blk.2.attn_k.weight"), (Dims{48, 96}));
  EXPECT_EQ(dims("blk.2.ffn_down.weight"), (Dims{96, 160}));
  EXPECT_EQ(dims("blk.2.ffn_norm.weight"), (Dims{96}));
}

TEST(WeftSynth, WeightsHaveASensibleScale) {
  const std::string path = ScratchPath("scale.gguf");
  ExpectSuccess(Synth({"--type=f32"}, path));
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const struct {
    const char* name;
    double mean, rms;
  } cases[] = {{"token_embd.weight", 0, 1},
               {"blk.0.attn_q.weight", 0, 1 / 16.0},       // sqrt(256)
               {"blk.1.attn_output.weight", 0, 1 / 32.0},  // 2 x 2 layers
               {"blk.1.ffn_down.weight", 0, 0.5 / std::sqrt(768)},
               {"output.weight", 0, 2 / 16.0},
               {"blk.0.attn_norm.weight", 1, 0.1}};
  for (const auto& c : cases) {
    const std::vector<float> values = Values(*file->FindTensor(c.name));
    // 5 standard errors; a norm has 256 values only.
    const double share =
        5 / std::sqrt(2.0 * static_cast<double>(values.size()));
    EXPECT_NEAR(Rms(values, c.mean) / c.rms, 1, share) << c.name;
  }
}

TEST(WeftSynth, IsAFunctionOfItsFlagsButNotOfThreads) {
  const std::string a = ScratchPath("a.gguf"), b = ScratchPath("b.gguf");
  ExpectSuccess(Synth({"--type=q8_0", "--threads=1", "--seed=5"}, a));
  ExpectSuccess(Synth({"--type=q8_0", "--threads=7", "--seed=5"}, b));
  EXPECT_TRUE(ReadText(a) == ReadText(b));
  ExpectSuccess(Synth({"--type=q8_0", "--seed=6"}, b));
  EXPECT_FALSE(ReadText(a) == ReadText(b));
}

TEST(WeftSynth, MakesModelsThatRun) {
  const std::string path = ScratchPath("runs.gguf");
  for (const char* type :
       {"f32", "bf16", "q8_0", "q4_k", "mxfp4", "Q2_K", "Q4_K_M", "Q5_K_S"}) {
    ExpectSuccess(Synth({absl::StrCat("--type=", type)}, path));
    const ToolResult run = RunTool(
        "weft-run", {"--model=" + path, "--prompt=Hello", "--max_tokens=8"});
    ExpectSuccess(run);
    EXPECT_FALSE(run.out.empty()) << type;
  }
}

// It loads, fuses as it must, and gives numbers.
void ExpectSensible(const std::string& path, bool embeddings) {
  const auto model = Model::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.embeddings = embeddings;
  const auto session = (*model)->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const auto row = (*session)->Prefill(0, std::vector<Token>{1, 300, 45});
  ASSERT_TRUE(row.ok()) << row.status();
  double squares = 0;
  for (const float x : *row) squares += static_cast<double>(x) * x;
  const double rms = std::sqrt(squares / static_cast<double>(row->size()));
  EXPECT_GT(rms, 0.01);
  EXPECT_LT(rms, 100);
}

TEST(WeftSynth, MakesEveryArchitecture) {
  int made = 0;
  for (const Architecture& architecture : Architectures()) {
    SCOPED_TRACE(architecture.name);
    const std::string path = ScratchPath("arch.gguf");
    ExpectSuccess(Synth(
        {absl::StrCat("--arch=", architecture.name), "--type=Q4_K_M"}, path));
    ExpectSensible(path, /*embeddings=*/!architecture.causal);
    ++made;
  }
  const std::string all = SynthArchitectures();
  EXPECT_EQ(made, 1 + std::count(all.begin(), all.end(), ','));
}

// Mixtral.
TEST(WeftSynth, MakesALlamaOfExperts) {
  const std::string path = ScratchPath("mixtral.gguf");
  ExpectSuccess(Synth({"--experts=4", "--type=Q4_K_M"}, path));
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file->GetUint32("llama.expert_count"), 4u);
  EXPECT_EQ(*file->GetUint32("llama.expert_used_count"), 2u);
  const GgufTensor* down = file->FindTensor("blk.1.ffn_down_exps.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->dims[0], 4);
  EXPECT_EQ(down->dims[2], *file->GetUint32("llama.feed_forward_length"));
  EXPECT_EQ(file->FindTensor("blk.1.ffn_down.weight"), nullptr);
  ExpectSensible(path, /*embeddings=*/false);
}

TEST(WeftSynth, CopiesAVocabulary) {
  const std::string from = SharedPath("models/stories260K.gguf");
  if (from.empty()) GTEST_SKIP() << "no shared models";
  const std::string path = ScratchPath("with-vocab.gguf");
  ExpectSuccess(RunTool("weft-synth", {"--preset=tiny", "--type=f16",
                                       "--vocab=" + from, "--out=" + path}));
  const auto original = GgufFile::Open(from), copy = GgufFile::Open(path);
  ASSERT_TRUE(original.ok() && copy.ok());
  int copied = 0;
  for (const absl::string_view key : original->keys()) {
    if (!absl::StartsWith(key, "tokenizer.")) continue;
    ++copied;
    EXPECT_EQ(*copy->GetRaw(key), *original->GetRaw(key)) << key;
  }
  EXPECT_GT(copied, 4);
  EXPECT_EQ(copy->FindTensor("output.weight")->dims[0], 512);
  EXPECT_EQ(*copy->GetUint32("llama.vocab_size"), 512u);
}

TEST(WeftSynth, HeaderOnlyIsAHole) {
  const std::string path = ScratchPath("header.gguf");
  ExpectSuccess(RunTool("weft-synth",
                        {"--preset=llama3-8b", "--header_only", "--type=f16",
                         "--vocab_size=300", "--out=" + path}));
  const auto file = GgufFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_GT(fs::file_size(path), 12ull << 30);
  EXPECT_EQ(file->tensors().back().data.back(), std::byte{0});
}

TEST(WeftSynth, SaysWhatIsWrong) {
  const std::string path = ScratchPath("wrong.gguf");
  const struct {
    std::vector<std::string> args;
    const char* says;
  } cases[] = {
      {{"--out=" + path}, "--preset"},
      {{"--preset=huge", "--out=" + path}, "llama3-8b, llama3-70b, tiny"},
      {{"--preset=tiny"}, "--out"},
      {{"--preset=tiny", "--arch=x", "--out=" + path}, "deepseek2"},
      {{"--preset=tiny", "--arch=qwen2", "--experts=8", "--out=" + path},
       "has none (deepseek2, gpt-oss, llama, qwen3moe have)"},
      {{"--preset=tiny", "--experts=-1", "--out=" + path}, "--experts is -1"},
      {{"--preset=tiny", "--out=" + path, "--type=q9"}, "Q4_K_M"},
      {{"--preset=tiny", "--out=" + path, "--layers=-1"}, "--layers is -1"},
      {{"--preset=tiny", "--out=" + path, "--heads=3"}, "--kv_heads is 2"},
      {{"--preset=tiny", "--out=" + path, "--width=18"}, "--width is 18"},
      {{"--preset=tiny", "--out=" + path, "--vocab_size=9"}, "--vocab_size"},
      {{"--preset=tiny", "--out=" + path, "--vocab=/no.gguf"}, "/no.gguf"},
      {{"--preset=tiny", "--out=" + path, "--threads=-1"}, "--threads"},
      {{"--preset=tiny", "--out=/no/folder/x"}, "/no/folder/x"},
  };
  for (const auto& c : cases) {
    const ToolResult result = RunTool("weft-synth", c.args);
    ExpectFailure(result, "weft-synth", c.says);
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(WeftSynth, RefusesToReplaceTheVocabularysFile) {
  const std::string path = ScratchPath("vocab-in.gguf");
  ExpectSuccess(Synth({"--type=f16"}, path));
  const std::string link = ScratchPath("vocab-link.gguf");
  fs::create_hard_link(path, link);
  ExpectFailure(RunTool("weft-synth",
                        {"--preset=tiny", "--vocab=" + path, "--out=" + link}),
                "weft-synth", "the same file");
}

TEST(WeftSynth, AFullDiskHarmsNothing) {
  const std::string folder = ScratchPath("full");
  fs::create_directory(folder);
  const std::string path = folder + "/m.gguf";
  WriteBytes(path, "what was there");
  ExpectFailure(Synth({"--type=f16"}, path, {.max_file_bytes = 1 << 20}),
                "weft-synth", path);
  EXPECT_EQ(ReadText(path), "what was there");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace weft::inline v0
