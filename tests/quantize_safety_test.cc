// weft-quantize harms nothing: full disks, kills, its own input.
#include <csignal>
#include <filesystem>
#include <random>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/golden.h"
#include "tests/quantize_util.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {
namespace {

namespace fs = std::filesystem;

TEST(WeftQuantize, NeverWritesOverItsInput) {
  const std::string folder = ScratchPath("same");
  fs::create_directory(folder);
  const std::string in = folder + "/in.gguf", link = folder + "/link.gguf",
                    hard = folder + "/hard.gguf";
  WriteBytes(in, SmallModel().Build());
  fs::create_symlink("in.gguf", link);
  fs::create_hard_link(in, hard);
  for (const std::string& out : {in, link, hard, folder + "/../same/in.gguf"}) {
    ExpectFailure(Quantize(in, out, {"--type=q8_0"}), "weft-quantize",
                  "the same file");
    ExpectFailure(Quantize(link, out, {"--type=q8_0"}), "weft-quantize",
                  "the same file");
  }
  const std::string imatrix = ScratchPath("imatrix");
  WriteBytes(imatrix, "whatever it is");
  ExpectFailure(Quantize(in, imatrix, {"--type=q8_0", "--imatrix=" + imatrix}),
                "weft-quantize", "the same file");
  EXPECT_EQ(ReadText(in), SmallModel().Build());
}

// A folder with a file that is to be replaced, and nothing else.
class Replacing : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = ScratchPath(
        testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directory(folder_);
    WriteBytes(out(), "what was there");
  }
  std::string out() const { return folder_ + "/out.gguf"; }
  void ExpectUntouched() const {
    EXPECT_EQ(ReadText(out()), "what was there");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
  }
  std::string folder_;
};

TEST_F(Replacing, D13_AFullDisk) {
  const ToolResult result =
      Quantize(TinyModel(), out(), {"--type=f32"}, {.max_file_bytes = 1 << 20});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(CountLines(result.err), 1) << result.err;
  EXPECT_TRUE(
      absl::StrContains(result.err, "weft-quantize: cannot write " + out()))
      << result.err;
  ExpectUntouched();
}

TEST_F(Replacing, D13_StandardOutputThatIsFull) {
  const ToolResult result = Quantize(TinyModel(), out(), {"--type=f32"},
                                     {.stdout_to = StdoutTo::kFullDisk});
  EXPECT_EQ(result.exit_code, 1);
  ExpectUntouched();
}

TEST_F(Replacing, AReaderWhoGoesAwayChangesNothing) {
  ExpectSuccess(Quantize(TinyModel(), out(), {"--type=f32"},
                         {.stdout_to = StdoutTo::kNobody}));
  EXPECT_EQ(TypeIn(Opened(out()), "output.weight"), DType::kF32);
}

TEST_F(Replacing, AnInterruptAtTheFirstLine) {
  const ToolResult result =
      Quantize(TinyModel(), out(), {"--type=f32"}, {.interrupt = true});
  // It may have been done by then.
  if (result.exit_code == 0) {
    EXPECT_EQ(TypeIn(Opened(out()), "output.weight"), DType::kF32);
    return;
  }
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(result.err, "interrupted")) << result.err;
  ExpectUntouched();
}

TEST_F(Replacing, AKillAtAnyMoment) {
  const std::string whole = ScratchPath("whole.gguf");
  ExpectSuccess(Quantize(TinyModel(), whole, {"--type=f32"}));
  const std::string before = ReadText(TinyModel());
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  int killed = 0;
  for (int i = 0; i < 30 && !HasFailure(); ++i) {
    const int signal = i % 3 == 0 ? SIGTERM : SIGKILL;
    const ToolResult result = Quantize(
        TinyModel(), out(), {"--type=f32"},
        {.signal = signal,
         .signal_after_seconds = static_cast<double>(random() % 60) / 1000});
    killed += result.signal == signal;
    const std::string now = ReadText(out());
    EXPECT_TRUE(now == "what was there" || now == ReadText(whole));
    // At worst a temporary file stays, between its getting a name and its
    // getting the right one, or on a file system without nameless files.
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      EXPECT_TRUE(name == "out.gguf" || absl::EndsWith(name, ".tmp")) << name;
      if (name != "out.gguf") fs::remove(entry.path());
    }
    WriteBytes(out(), "what was there");
  }
  EXPECT_GT(killed, 0);
  EXPECT_TRUE(ReadText(TinyModel()) == before);
}

// Memory does not grow with the model, nor with its largest tensor.
TEST(WeftQuantize, StreamsLargeFiles) {
  if (*WEFT_EMULATOR != '\0') GTEST_SKIP() << "the emulator's memory counts";
  const std::string in = ScratchPath("large.gguf"),
                    out = ScratchPath("large-out.gguf");
  // An output matrix of 128 MiB in f32, of zeros that take no disk.
  ExpectSuccess(
      RunTool("weft-synth", {"--preset=tiny", "--header_only", "--type=f32",
                             "--vocab_size=131072", "--out=" + in}));
  const ToolResult result = Quantize(in, out, {"--type=q8_0", "--threads=2"});
  ExpectSuccess(result);
  EXPECT_GT(fs::file_size(in), 256u << 20);
  if (!kSanitized) {
    EXPECT_LT(result.max_resident_kib, 96 << 10);
  }
}

}  // namespace
}  // namespace weft::inline v0
