// Bytes of a mapped model file that one token reads: the pages that it touches.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/greedy.h"
#include "tests/sanitizer.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// Pages of a file's tensors that were touched: they are closed, and the first
// touch of each opens it. One at a time, since the handler has to find it.
class ClosedPages {
 public:
  explicit ClosedPages(const GgufFile& file) {
    uintptr_t begin = UINTPTR_MAX, end = 0;
    for (const GgufTensor& tensor : file.tensors()) {
      const auto at = reinterpret_cast<uintptr_t>(tensor.data.data());
      begin = std::min(begin, at);
      end = std::max(end, at + tensor.data.size());
    }
    begin_ = begin / kPage * kPage;
    touched_ =
        std::vector<std::atomic<bool>>((end - begin_ + kPage - 1) / kPage);
    now_ = this;
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = &Open;
    EXPECT_EQ(sigaction(SIGSEGV, &action, &before_), 0);
    EXPECT_EQ(mprotect(reinterpret_cast<void*>(begin_), touched_.size() * kPage,
                       PROT_NONE),
              0);
  }
  ~ClosedPages() {
    mprotect(reinterpret_cast<void*>(begin_), touched_.size() * kPage,
             PROT_READ);
    sigaction(SIGSEGV, &before_, nullptr);
    now_ = nullptr;
  }
  ClosedPages(const ClosedPages&) = delete;
  ClosedPages& operator=(const ClosedPages&) = delete;

  int64_t bytes() const {
    return static_cast<int64_t>(kPage) *
           std::count(touched_.begin(), touched_.end(), true);
  }

 private:
  static void Open(int, siginfo_t* info, void*) {
    const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
    const size_t page = (at - now_->begin_) / kPage;
    // What is none of ours faults again, for good.
    if (at < now_->begin_ || page >= now_->touched_.size()) {
      std::signal(SIGSEGV, SIG_DFL);
      return;
    }
    now_->touched_[page] = true;
    mprotect(reinterpret_cast<void*>(now_->begin_ + page * kPage), kPage,
             PROT_READ);
  }

  static inline ClosedPages* now_ = nullptr;
  uintptr_t begin_ = 0;
  std::vector<std::atomic<bool>> touched_;
  struct sigaction before_ = {};
};

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
    GTEST_SKIP() << "faults are somebody else's here";
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
  Greedy(**session, 0, 5, 3);
  int64_t touched = 0;
  {
    const ClosedPages pages((*model)->file());
    Greedy(**session, 0, 7, 1);
    touched = pages.bytes();
  }
  const Wanted wanted = WantedOf((*model)->file());
  EXPECT_GE(touched, wanted.bytes);
  EXPECT_LE(touched,
            wanted.bytes + wanted.pieces * 2 * static_cast<int64_t>(kPage))
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
