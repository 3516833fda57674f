// Bytes of a mapped model file that one token reads, as the system counts them:
// pages that were touched since their marks were cleared.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/greedy.h"
#include "tests/sanitizer.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

constexpr char kClear[] = "/proc/self/clear_refs";

// Bytes of the file's pages that are marked as touched; -1 where the system
// does not say.
int64_t BytesTouched(const std::string& path) {
  std::ifstream maps("/proc/self/smaps");
  int64_t sum = -1;
  bool is_file = false;
  for (std::string line; std::getline(maps, line);) {
    if (absl::StrContains(line, " r--p ") || absl::StrContains(line, "-p "))
      is_file = absl::EndsWith(line, path);
    if (!is_file || !absl::StartsWith(line, "Referenced:")) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t kilobytes = 0;
    if (words.size() < 2 || !absl::SimpleAtoi(words[1], &kilobytes)) return -1;
    sum = std::max<int64_t>(sum, 0) + kilobytes * 1024;
  }
  return sum;
}

// What one token has to read: every matrix, but of a table of rows only the
// token's, of a stack of experts only those that it takes.
struct Wanted {
  int64_t bytes = 0;
  int64_t pieces = 0;  // that may begin and end inside a page
};
Wanted WantedOf(const GgufFile& file) {
  const std::string arch(*file.GetString("general.architecture"));
  const int64_t experts = file.GetInt64(arch + ".expert_count").value_or(1);
  const int64_t used = file.GetInt64(arch + ".expert_used_count").value_or(1);
  Wanted sum;
  for (const GgufTensor& tensor : file.tensors()) {
    const auto bytes = static_cast<int64_t>(tensor.data.size());
    const bool is_table = tensor.name == "token_embd.weight" &&
                          file.FindTensor("output.weight") != nullptr;
    const int64_t pieces = tensor.dims.size() == 3 ? used : 1;
    sum.bytes += is_table                  ? bytes / tensor.dims[0]
                 : tensor.dims.size() == 3 ? bytes / experts * used
                                           : bytes;
    sum.pieces += pieces;
  }
  return sum;
}

struct Case {
  const char* name;
  std::vector<std::string> flags;
};

class BytesRead : public testing::TestWithParam<Case> {};

TEST_P(BytesRead, AreTheBlocksBytes) {
  if (kSanitized || *WEFT_EMULATOR != '\0')
    GTEST_SKIP() << "pages are touched by others here";
  if (!std::ofstream(kClear)) GTEST_SKIP() << "no " << kClear;
  const Case& c = GetParam();
  const std::string path = ScratchPath(absl::StrCat(c.name, ".gguf"));
  std::vector<std::string> flags = {"--preset=tiny", "--out=" + path};
  flags.insert(flags.end(), c.flags.begin(), c.flags.end());
  ExpectSuccess(RunTool("weft-synth", flags));
  const auto model = Model::Load(path);
  ASSERT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.pack_weights = false;  // read where it is mapped
  options.backend_options.threads = 2;
  const auto session = (*model)->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  // All pages are there, so that none is mapped along with its neighbours.
  Greedy(**session, 0, 5, 3);
  for (const GgufTensor& tensor : (*model)->file().tensors())
    for (size_t i = 0; i < tensor.data.size(); i += 512)
      static_cast<void>(
          *static_cast<volatile const std::byte*>(&tensor.data[i]));

  std::ofstream(kClear) << "1" << std::flush;
  Greedy(**session, 0, 7, 1);
  const int64_t touched = BytesTouched(path);
  ASSERT_GE(touched, 0);
  const Wanted wanted = WantedOf((*model)->file());
  EXPECT_GE(touched, wanted.bytes);
  EXPECT_LE(touched, wanted.bytes + wanted.pieces * 2 * 4096)
      << "of " << wanted.bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Models, BytesRead,
    testing::Values(
        Case{"q4_k_m", {"--type=Q4_K_M", "--width=512", "--layers=4"}},
        Case{"experts", {"--type=q8_0", "--arch=qwen3moe", "--width=512"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace weft::inline v0
