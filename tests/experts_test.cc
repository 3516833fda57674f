// Products by id read the matrices that are picked and no others.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "backends/backend.h"
#include "graph/blocks/q8_0.h"
#include "graph/half.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kMatrices = 6, kRows = 480, kColumns = 512;
// 480 rows of 16 blocks of 34 bytes: 63.75 pages of 4 KB each; matrices 0 to 5
// therefore do not begin on pages, so whole pages inside a matrix are closed.
constexpr int64_t kMatrixBytes =
    kRows * kColumns / 32 * static_cast<int64_t>(sizeof(BlockQ8_0));
constexpr int64_t kBytes = kMatrices * kMatrixBytes;
const int64_t kPage = sysconf(_SC_PAGESIZE);

// Memory whose pages can be closed.
class Mapping {
 public:
  Mapping() {
    void* p = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p != MAP_FAILED) data_ = static_cast<std::byte*>(p);
  }
  ~Mapping() {
    if (data_ != nullptr) munmap(data_, kBytes);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const { return data_; }
  // Reading a closed page ends the test.
  bool Close(int64_t matrix) const {
    const int64_t first = (matrix * kMatrixBytes + kPage - 1) / kPage * kPage;
    const int64_t last = (matrix + 1) * kMatrixBytes / kPage * kPage;
    return mprotect(data_ + first, static_cast<size_t>(last - first),
                    PROT_NONE) == 0;
  }

 private:
  std::byte* data_ = nullptr;
};

void FillWithNoise(std::byte* to) {
  std::mt19937 random(7);
  for (int64_t at = 0; at < kBytes; at += sizeof(BlockQ8_0)) {
    BlockQ8_0 block;
    block.d = F32ToF16(0.01f);
    for (int8_t& q : block.q) q = static_cast<int8_t>(random() % 200 - 100);
    std::memcpy(to + at, &block, sizeof(block));
  }
}

class ByIdTest : public testing::TestWithParam<Numerics> {
 protected:
  void SetUp() override {
    ASSERT_NE(weights_.data(), nullptr);
    FillWithNoise(weights_.data());
    auto graph = std::make_shared<Graph>();
    const Dim t = Dim::Symbol("T", 8);
    const Value x = graph->Input("x", DType::kF32, {t, kColumns});
    const Value ids = graph->Input("ids", DType::kI32, {t, 2});
    const Value w =
        graph->Weight("w", DType::kQ8_0, {kMatrices, kRows, kColumns});
    graph->Output("y", LinearById(x, w, ids));
    ASSERT_TRUE(graph->Finish().ok()) << graph->status();
    ASSERT_TRUE(Optimize(*graph, {.numerics = GetParam()}).ok());
    auto made = (*MakeBackend("cpu"))->Compile(graph, [&](const Node&) {
      return absl::StatusOr<absl::Span<const std::byte>>(
          absl::MakeConstSpan(weights_.data(), kBytes));
    });
    ASSERT_TRUE(made.ok()) << made.status();
    executable_ = *std::move(made);
  }

  std::vector<float> Run(const std::vector<int32_t>& ids) {
    const auto tokens = static_cast<int64_t>(ids.size() / 2);
    auto* to = reinterpret_cast<int32_t*>(executable_->Input("ids")->data());
    std::copy(ids.begin(), ids.end(), to);
    auto* x = reinterpret_cast<float*>(executable_->Input("x")->data());
    for (int64_t i = 0; i < tokens * kColumns; ++i)
      x[i] = static_cast<float>((i * 37 + i / kColumns) % 19) - 9;
    const absl::Status status = executable_->Run({{"T", tokens}});
    EXPECT_TRUE(status.ok()) << status;
    const auto* y =
        reinterpret_cast<const float*>(executable_->Output("y")->data());
    return {y, y + tokens * 2 * kRows};
  }

  Mapping weights_;
  std::unique_ptr<Executable> executable_;
};

TEST_P(ByIdTest, OtherMatricesAreNotRead) {
  const std::vector<int32_t> one = {4, 1}, many = {4, 1, 1, 4, 4, 4, 1, 1};
  const std::vector<float> want_one = Run(one), want_many = Run(many);
  for (const int64_t matrix : {0, 2, 3, 5})
    ASSERT_TRUE(weights_.Close(matrix)) << matrix;
  EXPECT_EQ(Run(one), want_one);
  EXPECT_EQ(Run(many), want_many);
}

TEST_P(ByIdTest, IdsOutsideTheMatricesAreAnError) {
  for (const int32_t bad : {-1, 6, 1 << 30}) {
    auto* ids = reinterpret_cast<int32_t*>(executable_->Input("ids")->data());
    ids[0] = 2;
    ids[1] = bad;
    const absl::Status status = executable_->Run({{"T", 1}});
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  }
  EXPECT_EQ(Run({2, 3}).size(), 2u * kRows);  // still usable
}

INSTANTIATE_TEST_SUITE_P(Numerics, ByIdTest,
                         testing::Values(Numerics::kExact, Numerics::kFast));

}  // namespace
}  // namespace weft::inline v0
