// weft-train: models and adapters from text, runs that are broken off, bad
// input; and the vocabulary that it learns.
#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "models/gguf_writer.h"
#include "models/spm_merger.h"
#include "models/tokenizer.h"
#include "tests/golden.h"
#include "tests/tool_runner.h"
#include "tools/train/batches.h"
#include "tools/train/bpe_trainer.h"
#include "tools/train/corpus.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

// ---- The vocabulary ----

std::vector<std::string> Learnt(const std::string& text, int64_t size) {
  WordCounts counts;
  counts.Add(text);
  const auto vocab = TrainSpm(counts, size);
  EXPECT_TRUE(vocab.ok()) << vocab.status();
  std::vector<std::string> pieces;
  for (size_t i = kSpecialsAndBytes; i < vocab->texts.size(); ++i)
    pieces.push_back(absl::StrReplaceAll(vocab->texts[i], {{kSpmSpace, "_"}}));
  return pieces;
}

// The example of Sennrich et al. 2015, counted by hand; of equals the pair that
// was there first. Then the characters, the most frequent first.
TEST(BpeTrainer, LearnsTheMostFrequentPairs) {
  const std::string text =
      "low low low low low lower lower newest newest newest newest newest "
      "newest widest widest widest";
  const std::vector<std::string> want = {"es", "est", "_l",   "ow",     "_low",
                                         "_n", "ew",  "_new", "_newest"};
  std::vector<std::string> got = Learnt(text, kSpecialsAndBytes + 11 + 9);
  ASSERT_EQ(got.size(), 20u);
  EXPECT_EQ(got[9], "e");
  got.resize(9);
  EXPECT_EQ(got, want);
}

TEST(BpeTrainer, WordsEndAtPunctuationDigitsAndControls) {
  WordCounts counts;
  counts.Add("a,\"b\" 12\n\nc d");
  std::vector<std::string> words;
  for (const auto& [word, count] : counts.words())
    words.push_back(absl::StrReplaceAll(word, {{kSpmSpace, "_"}}));
  std::sort(words.begin(), words.end());
  EXPECT_EQ(words, (std::vector<std::string>{"\"", ",\"", "2", "_1", "_a", "_d",
                                             "b", "c"}));
}

// A tokenizer merges what training merged: each piece is what its own text is
// encoded to. Few letters, so that pieces overlap in all ways.
TEST(BpeTrainer, EveryPieceIsWhatItsTextIsEncodedTo) {
  const uint64_t seed = 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::string text;
  for (int i = 0; i < 4000; ++i)
    text += random() % 5 == 0 ? ' ' : static_cast<char>('a' + random() % 3);
  WordCounts counts;
  counts.Add(text);
  const auto vocab = TrainSpm(counts, 600);
  ASSERT_TRUE(vocab.ok()) << vocab.status();
  GgufKeyValues key_values;
  vocab->AddTo(key_values);
  const auto header = MakeGgufHeader(key_values, {}, "vocab");
  ASSERT_TRUE(header.ok()) << header.status();
  const auto file = GgufFile::Parse(
      {reinterpret_cast<const std::byte*>(header->data()), header->size()},
      "vocab");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto tokenizer = MakeTokenizer(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  int words = 0;
  for (size_t i = kSpecialsAndBytes; i < vocab->texts.size(); ++i) {
    const std::string piece =
        absl::StrReplaceAll(vocab->texts[i], {{kSpmSpace, " "}});
    // Encode() puts a space before the text.
    if (piece.size() < 2 || piece[0] != ' ') continue;
    ++words;
    const auto tokens = (*tokenizer)->Encode(piece.substr(1), {});
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    EXPECT_EQ(*tokens, std::vector<Token>{static_cast<Token>(i)}) << piece;
  }
  EXPECT_GT(words, 50);
}

// ---- The corpus and its windows ----

TEST(Corpus, DocumentsAreWhatStandsBetweenTheSeparators) {
  const std::string folder = ScratchPath("folder");
  fs::create_directories(folder + "/deeper");
  WriteBytes(folder + "/b.txt", "\n one\r\nline \n  <stop>\r\n\n<stop>\ntwo");
  WriteBytes(folder + "/deeper/c.txt", "three <stop>\n");
  WriteBytes(folder + "/a.txt", "zero\n<stop>");
  WriteBytes(folder + "/.hidden", "\xFF");
  const auto corpus = Corpus::Open(folder, "<stop>");
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(
      std::vector<std::string>(corpus->documents().begin(),
                               corpus->documents().end()),
      (std::vector<std::string>{"zero", "one\r\nline", "two", "three <stop>"}));
  EXPECT_EQ(Corpus::Open(folder, "")->documents().size(), 3u);
}

TEST(Windows, AnEpochHasEachOnceInAnOrderOfItsOwn) {
  std::vector<Token> tokens(1003);
  std::iota(tokens.begin(), tokens.end(), 0);
  auto windows = ShuffledWindows::Make(tokens, 10, 1);
  ASSERT_TRUE(windows.ok()) << windows.status();
  const int64_t n = windows->per_epoch();
  ASSERT_EQ(n, 99);
  std::vector<std::vector<int32_t>> begins(2);
  std::vector<int32_t> in(10), out(10);
  const WindowSpan span = {absl::MakeSpan(in), absl::MakeSpan(out)};
  for (int64_t i = 0; i < 2 * n; ++i) {
    windows->Fill(i, span);
    begins[static_cast<size_t>(i / n)].push_back(in[0]);
    for (int32_t k = 0; k < 10; ++k) {
      const auto at = static_cast<size_t>(k);
      EXPECT_EQ(in[at], in[0] + k);
      EXPECT_EQ(out[at], in[0] + k + 1);
    }
  }
  EXPECT_NE(begins[0], begins[1]);
  for (std::vector<int32_t>& epoch : begins) {
    EXPECT_FALSE(std::is_sorted(epoch.begin(), epoch.end()));
    std::sort(epoch.begin(), epoch.end());
    for (size_t i = 1; i < epoch.size(); ++i)
      EXPECT_EQ(epoch[i], epoch[i - 1] + 10);
    EXPECT_LE(epoch.back() + 10, 1002);
  }
  // From the middle, as a resumed run begins.
  const int32_t want = in[0];
  auto again = ShuffledWindows::Make(tokens, 10, 1);
  again->Fill(2 * n - 1, span);
  EXPECT_EQ(in[0], want);
}

TEST(Windows, ThoseOfValidationAreSpreadAndTheLastMayBeShort) {
  std::vector<Token> tokens(96);
  std::iota(tokens.begin(), tokens.end(), 0);
  std::vector<int32_t> in(10), out(10);
  const WindowSpan span = {absl::MakeSpan(in), absl::MakeSpan(out)};
  const FixedWindows all(tokens, 10, 1000), some(tokens, 10, 5);
  ASSERT_EQ(all.count(), 10);
  int64_t targets = 0;
  for (int64_t i = 0; i < 12; ++i) targets += all.Fill(i, span);
  EXPECT_EQ(targets, 95);  // every token but the first
  EXPECT_EQ(all.Fill(9, span), 5);
  EXPECT_EQ(out,
            (std::vector<int32_t>{91, 92, 93, 94, 95, -1, -1, -1, -1, -1}));
  ASSERT_EQ(some.count(), 5);
  some.Fill(4, span);
  EXPECT_EQ(in[0], 80);
  EXPECT_EQ(FixedWindows({}, 10, 5).count(), 0);
}

// ---- The program ----

// Sentences of few words, so that there is something to learn at once.
const std::string& CorpusPath() {
  static const std::string* const path = [] {
    const std::string names[] = {"Ann", "Ben", "Tom"};
    const std::string things[] = {"ball", "bell", "kite", "boat"};
    std::string text;
    for (int i = 0; i < 400; ++i)
      absl::StrAppend(&text, names[i % 3], " has a ", things[i % 4], ".\n",
                      names[(i / 3) % 3], " wants the ", things[i % 4],
                      ".\n<|endoftext|>\n");
    auto* made = new std::string(ScratchPath("corpus.txt"));
    WriteBytes(*made, text);
    return made;
  }();
  return *path;
}

std::vector<std::string> Flags(const std::string& out, int steps) {
  return {"--corpus=" + CorpusPath(),
          "--out=" + out,
          absl::StrCat("--steps=", steps),
          "--name=test",
          "--layers=1",
          "--width=32",
          "--heads=2",
          "--ff=64",
          "--vocab_size=300",
          "--context=32",
          "--batch=4",
          "--rate=0.01",
          "--noprobe",
          "--threads=1"};
}

ToolResult Train(std::vector<std::string> flags,
                 const std::vector<std::string>& more = {},
                 const ToolOptions& options = {}) {
  flags.insert(flags.end(), more.begin(), more.end());
  return RunTool("weft-train", flags, options);
}

// The last line is the error.
void ExpectError(const ToolResult& result, const std::string& what) {
  EXPECT_EQ(result.exit_code, 1) << result.err;
  const std::vector<std::string> lines = absl::StrSplit(result.err, '\n');
  ASSERT_GE(lines.size(), 2u);
  const std::string& last = lines[lines.size() - 2];
  EXPECT_TRUE(absl::StartsWith(last, "weft-train: ")) << result.err;
  EXPECT_TRUE(absl::StrContains(last, what)) << what << "\n" << result.err;
}

// The validation losses of the lines of progress, in order.
std::vector<double> ValidationLosses(const ToolResult& result) {
  std::vector<double> losses;
  for (const absl::string_view line : absl::StrSplit(result.err, '\n')) {
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, "validation ");
    if (!absl::StartsWith(line, "step ") || parts.size() < 2) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(parts[1], ' ');
    EXPECT_TRUE(absl::SimpleAtod(words[0], &losses.emplace_back())) << line;
  }
  return losses;
}

// A model that some tests begin with.
const std::string& ModelPath() {
  static const std::string* const path = [] {
    auto* made = new std::string(ScratchPath("model.gguf"));
    const ToolResult result =
        Train(Flags(*made, 80),
              {"--curve=" + ScratchPath("loss"), "--validate_every=40"});
    ExpectSuccess(result);
    const std::vector<double> losses = ValidationLosses(result);
    EXPECT_EQ(losses.size(), 3u) << result.err;  // steps 0, 40, 80
    // ln 41 at first: learnt letters and pieces alone, then nearly only the
    // choice of names and things, which take a tenth of the tokens.
    EXPECT_LT(losses.back(), 0.25 * losses.front()) << result.err;
    return made;
  }();
  return *path;
}

TEST(WeftTrain, WhatItLearntIsWhatItWrites) {
  const ToolResult run =
      RunTool("weft-run", {"--model=" + ModelPath(), "--prompt=Ann has",
                           "--threads=1", "--max_tokens=20"});
  ExpectSuccess(run);
  EXPECT_TRUE(absl::StrContains(run.out, " a b") ||
              absl::StrContains(run.out, " a kite"))
      << run.out;
  EXPECT_TRUE(absl::StrContains(run.out, "wants the")) << run.out;
  EXPECT_EQ(CountLines(ReadText(ScratchPath("loss.csv"))), 81);
  EXPECT_TRUE(absl::EndsWith(ReadText(ScratchPath("loss.svg")), "</svg>\n"));
}

TEST(WeftTrain, AResumedRunIsTheSameBitForBit) {
  const std::string out = ScratchPath("resumed.gguf");
  // The signal may come too late.
  ToolResult broken;
  for (int i = 0; i < 20 && broken.exit_code != 1; ++i)
    broken = Train(Flags(out, 80), {"--validate_every=20"},
                   {.interrupt_at = "step 20/80"});
  ExpectError(broken, "--resume goes on");
  fs::remove(out);
  ExpectSuccess(Train(Flags(out, 80), {"--resume", "--threads=2"}));
  EXPECT_EQ(ReadText(out), ReadText(ModelPath()));

  // The last checkpoint has all of it. Others are refused.
  fs::remove(out);
  ExpectSuccess(Train(Flags(out, 80), {"--resume"}));
  EXPECT_EQ(ReadText(out), ReadText(ModelPath()));
  ExpectError(Train(Flags(out, 90), {"--resume"}),
              "a run with \"steps=80\", this one has \"steps=90\"");
  ExpectError(Train(Flags(out, 80), {"--resume", "--heads=4"}), "\"model=");
  const std::string checkpoint = out + ".checkpoint";
  const std::string bytes = ReadText(checkpoint);
  WriteBytes(checkpoint, bytes.substr(0, bytes.size() / 2));
  ExpectError(Train(Flags(out, 80), {"--resume"}), "GGUF-D1");
  fs::remove(checkpoint);
  ExpectError(Train(Flags(out, 80), {"--resume"}), "without --resume");
}

TEST(WeftTrain, MemoryIsSparedWithoutAnotherModel) {
  const std::string out = ScratchPath("spared.gguf");
  ExpectSuccess(Train(Flags(out, 80), {"--recompute"}));
  EXPECT_EQ(ReadText(out), ReadText(ModelPath()));
  // The same windows in two parts: sums of another order.
  const auto first_steps = [&](const std::vector<std::string>& more) {
    const ToolResult result = Train(Flags(out, 4), more);
    ExpectSuccess(result);
    return ValidationLosses(result).back();
  };
  EXPECT_NEAR(first_steps({"--batch=2", "--accumulate=2"}), first_steps({}),
              2e-3);
}

// A recurrence goes from window to window in one sequence's state.
TEST(WeftTrain, LearnsWithoutAttention) {
  const std::string out = ScratchPath("mamba.gguf");
  const auto losses_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--arch=mamba"};
    flags.insert(flags.end(), more.begin(), more.end());
    const ToolResult result = Train(Flags(out, 40), flags);
    ExpectSuccess(result);
    return ValidationLosses(result);
  };
  const std::vector<double> losses = losses_of({});
  ASSERT_EQ(losses.size(), 2u);
  EXPECT_LT(losses[1], 0.5 * losses[0]);
  const std::string model = ReadText(out);
  losses_of({"--threads=2", "--recompute"});
  EXPECT_EQ(ReadText(out), model);
  // What runs it token by token goes on as it learnt.
  const ToolResult run = RunTool("weft-run", {"--model=" + out, "--prompt=Ann",
                                              "--threads=1", "--max_tokens=9"});
  ExpectSuccess(run);
  EXPECT_TRUE(absl::StrContains(run.out, " has a ") ||
              absl::StrContains(run.out, " wants the "))
      << run.out;
}

TEST(WeftTrain, GoesOnFromAFile) {
  const std::string out = ScratchPath("better.gguf");
  const ToolResult result = RunTool(
      "weft-train", {"--corpus=" + CorpusPath(), "--init=" + ModelPath(),
                     "--out=" + out, "--steps=5", "--batch=4", "--rate=1e-4",
                     "--threads=1", "--noprobe", "--type=f16"});
  ExpectSuccess(result);
  const std::vector<double> losses = ValidationLosses(result);
  ASSERT_EQ(losses.size(), 2u) << result.err;
  EXPECT_LT(losses[0], 1) << "not the weights of the file";
  EXPECT_LT(losses[1], losses[0] + 0.01);
  EXPECT_LT(fs::file_size(out), 0.7 * fs::file_size(ModelPath()));
}

TEST(WeftTrain, GoesOnFromARealModel) {
  const std::string model = SharedPath("models/stories260K.gguf");
  if (model.empty()) GTEST_SKIP() << "no shared/models";
  const ToolResult result = RunTool(
      "weft-train", {"--corpus=" + CorpusPath(), "--init=" + model,
                     "--out=" + ScratchPath("stories.gguf"), "--steps=6",
                     "--batch=2", "--context=64", "--rate=1e-3", "--threads=1",
                     "--noprobe", "--validation_windows=2"});
  ExpectSuccess(result);
  const std::vector<double> losses = ValidationLosses(result);
  ASSERT_EQ(losses.size(), 2u) << result.err;
  EXPECT_LT(losses[0], 5) << "not the weights of the file";
  EXPECT_LT(losses[1], 0.8 * losses[0]) << result.err;
}

// Of sentences in another order than those that the model was trained on.
TEST(WeftTrain, AnAdapterLearnsBesideAQuantisedModel) {
  const std::string adapter = ScratchPath("adapter.gguf");
  const std::string q8 = ScratchPath("q8.gguf");
  ExpectSuccess(RunTool("weft-quantize",
                        {"--in=" + ModelPath(), "--out=" + q8, "--type=q8_0"}));
  const std::string before = ReadText(q8);
  const std::string corpus = ScratchPath("other.txt");
  WriteBytes(corpus, absl::StrReplaceAll(
                         ReadText(CorpusPath()),
                         {{" has a", " wants the"}, {" wants the", " has a"}}));
  const ToolResult result = RunTool(
      "weft-train", {"--corpus=" + corpus, "--init=" + q8, "--out=" + adapter,
                     "--lora_rank=4", "--steps=40", "--batch=4", "--rate=0.02",
                     "--noprobe", "--threads=1"});
  ExpectSuccess(result);
  const std::vector<double> losses = ValidationLosses(result);
  ASSERT_EQ(losses.size(), 2u) << result.err;
  EXPECT_LT(losses[1], 0.5 * losses[0]) << result.err;
  EXPECT_EQ(ReadText(q8), before);
  // The engine computes the same with it.
  const auto greedy = [&](const std::vector<std::string>& more) {
    std::vector<std::string> flags = {"--model=" + q8, "--prompt=Ann",
                                      "--max_tokens=3", "--threads=1"};
    flags.insert(flags.end(), more.begin(), more.end());
    return RunTool("weft-run", flags).out;
  };
  EXPECT_TRUE(absl::StrContains(greedy({}), "has a")) << greedy({});
  const std::string with = greedy({"--lora=" + adapter});
  EXPECT_TRUE(absl::StrContains(with, "wants the")) << with;
}

TEST(WeftTrain, BadInputIsAnErrorThatLosesNothing) {
  const std::string out = ScratchPath("kept.gguf");
  WriteBytes(out, "kept");
  const auto with_corpus = [&](const std::string& text) {
    const std::string path = ScratchPath("bad.txt");
    WriteBytes(path, text);
    return Train(Flags(out, 5), {"--corpus=" + path});
  };
  ExpectError(with_corpus(" \n<|endoftext|>\n"), "the corpus is empty");
  ExpectError(with_corpus("a"), "a window of 32 (--context) needs 33");
  ExpectError(with_corpus("abc\xFF"), "TRAIN-1 at byte 3: text is \"\\xff\"");
  ExpectError(Train(Flags(out, 5), {"--corpus=/nowhere"}), "/nowhere");
  ExpectError(Train(Flags(CorpusPath(), 5)), "it is the same file as");
  ExpectError(Train(Flags(out, 5), {"--checkpoint=" + out}), "the same file");
  ExpectError(Train(Flags("/nowhere/x", 5)), "cannot write /nowhere/x");
  ExpectError(Train(Flags(out, 5), {"--heads=3"}), "--width is 32");
  ExpectError(Train(Flags(out, 5), {"--vocab_size=260"}),
              "--vocab_size is 260; expected at least");
  ExpectError(Train(Flags(out, 5), {"--arch=bert"}),
              "bert models have no logits");
  ExpectError(Train(Flags(out, 5), {"--lora_rank=4"}), "--init=FILE");
  ExpectError(Train(Flags(out, 5), {}, {.max_file_bytes = 40000}),
              "the file would be too large");
  EXPECT_EQ(ReadText(out), "kept");
  EXPECT_FALSE(fs::exists(out + ".checkpoint"));
}

TEST(WeftTrain, ALossThatIsNoNumberEndsTheRun) {
  const std::string model = ScratchPath("nan.gguf");
  const std::string out = ScratchPath("nan-out.gguf");
  std::string bytes = ReadText(ModelPath());
  const float nan = std::numeric_limits<float>::quiet_NaN();
  // In the last tensor, output_norm.weight.
  bytes.replace(bytes.size() - sizeof(nan), sizeof(nan),
                reinterpret_cast<const char*>(&nan), sizeof(nan));
  WriteBytes(model, bytes);
  WriteBytes(out + ".checkpoint", "kept");
  ExpectError(
      RunTool("weft-train",
              {"--corpus=" + CorpusPath(), "--init=" + model, "--out=" + out,
               "--steps=3", "--batch=2", "--noprobe", "--threads=1"}),
      "step 1/3: the loss is nan");
  EXPECT_EQ(ReadText(out + ".checkpoint"), "kept");
  EXPECT_FALSE(fs::exists(out));
}

}  // namespace
}  // namespace weft::inline v0
