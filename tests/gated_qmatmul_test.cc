// gated_qmatmul gives the bits of the ops that it stands for, whatever the
// format, the number of tokens and of threads.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/packed.h"
#include "graph/sample.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/quantize.h"
#include "tests/sample_data.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {
namespace {

constexpr bool kEmulated = sizeof(WEFT_EMULATOR) > 1;
constexpr int64_t kColumns = 256;

struct Case {
  DType type;
  bool fast;      // 8-bit or bf16 activations
  int per_scale;  // of the result; 0: f32
  std::string target;
};

std::vector<Case> AllCases() {
  std::vector<std::string> targets = (*MakeBackend("cpu"))->Targets();
  if (kEmulated) targets.resize(1);
  std::vector<Case> cases;
  for (const std::string& target : targets) {
    std::vector<DType> types = {DType::kF32,  DType::kF16,
                                DType::kBF16, PackedType(DType::kBF16),
                                DType::kQ8_0, DType::kQ4_K};
    if ((*MakeBackend("cpu", {.target = target}))->PacksHalves())
      types.push_back(PackedType(DType::kF16));
    for (const DType type : types)
      for (const bool fast : {false, true})
        for (const int per_scale : {0, 32, 256})
          if (!fast || WantsQuantized(IsPacked(type) ? RowsType(type) : type))
            cases.push_back({type, fast, per_scale, target});
  }
  return cases;
}

// The result for the first tokens of x, as stored.
class Layer {
 public:
  Layer(const Case& c, int64_t rows, int64_t most, int threads, bool fused,
        const std::vector<HostTensor>& weights) {
    auto graph = std::make_shared<Graph>();
    Value x =
        graph->Input("x", DType::kF32, {Dim::Symbol("T", most), kColumns});
    if (c.fast) x = Quantize(x, PerScaleFor(c.type));
    const Value gate = graph->Weight("gate", c.type, {rows, kColumns});
    const Value up = graph->Weight("up", c.type, {rows, kColumns});
    graph->Output("y", fused ? GatedQMatMul(x, gate, up, "silu", c.per_scale)
                             : Gated(QMatMul(x, gate), QMatMul(x, up), "silu",
                                     c.per_scale));
    EXPECT_TRUE(graph->Finish().ok()) << graph->status();
    type_ = graph->value(graph->outputs()[0].value).type.dtype;
    rows_ = rows;
    const auto backend =
        MakeBackend("cpu", {.threads = threads, .target = c.target});
    EXPECT_TRUE(backend.ok()) << backend.status();
    auto made = (*backend)->Compile(graph, [&](const Node& node) {
      return absl::MakeConstSpan(weights[node.name == "up"].bytes);
    });
    EXPECT_TRUE(made.ok()) << made.status();
    executable_ = *std::move(made);
    for (const PlannedStep& step : executable_->plan().steps)
      EXPECT_FALSE(step.on_reference) << step.kernel;
  }

  std::vector<std::byte> Run(const HostTensor& x, int64_t tokens) {
    std::copy_n(x.bytes.begin(), tokens * kColumns * int64_t{sizeof(float)},
                executable_->Input("x")->begin());
    const absl::Status status = executable_->Run({{"T", tokens}});
    EXPECT_TRUE(status.ok()) << status;
    const DTypeInfo& info = Info(type_);
    const int64_t bytes = tokens * info.block_bytes *
                          ((rows_ + info.block_values - 1) / info.block_values);
    const auto y = executable_->Output("y");
    EXPECT_TRUE(y.ok()) << y.status();
    return {y->begin(), y->begin() + bytes};
  }

 private:
  DType type_ = DType::kF32;
  int64_t rows_ = 0;
  std::unique_ptr<Executable> executable_;
};

class GatedProduct : public ::testing::TestWithParam<Case> {};

constexpr int64_t kMostTokens = kEmulated ? 5 : kSanitized ? 70 : 513;

void ExpectBitsOfParts(const Case& c, int64_t rows, std::vector<int> threads,
                       std::vector<int64_t> tokens) {
  const uint64_t seed = 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  HostTensor x(DType::kF32, {kMostTokens, kColumns});
  FillRandom(x, seed);
  // Packed or not: numbers of the same format, in some order.
  const DType format = IsPacked(c.type) ? RowsType(c.type) : c.type;
  std::vector<HostTensor> weights(2, HostTensor(format, {rows, kColumns}));
  FillRandom(weights[0], seed + 1);
  FillRandom(weights[1], seed + 2);
  Layer parts(c, rows, kMostTokens, 2, false, weights);
  for (const int n : threads) {
    Layer fused(c, rows, kMostTokens, n, true, weights);
    for (const int64_t t : tokens) {
      if (t > kMostTokens) continue;
      ASSERT_EQ(fused.Run(x, t), parts.Run(x, t))
          << rows << " rows, " << n << " threads, " << t << " tokens, seed "
          << seed;
    }
  }
}

// Less than two blocks: one thread makes them, several have a second stage.
TEST_P(GatedProduct, HasTheBitsOfItsParts) {
  ExpectBitsOfParts(GetParam(), IsPacked(GetParam().type) ? 304 : 300, {1, 2},
                    {1, 5, 40, 70});
}

// Tokens of several calls, the last of one, and blocks made by two threads.
TEST_P(GatedProduct, HasTheBitsOfItsPartsInLargeSteps) {
  const Case& c = GetParam();
  if (kEmulated || c.per_scale == 32) GTEST_SKIP() << "the others do";
  ExpectBitsOfParts(c, c.per_scale == 0 ? 80 : 2560, {2}, {1, 513});
}

INSTANTIATE_TEST_SUITE_P(Formats, GatedProduct, ::testing::ValuesIn(AllCases()),
                         [](const auto& param) {
                           const Case& c = param.param;
                           return absl::StrCat(absl::string_view(Name(c.type)),
                                               c.fast ? "_fast_" : "_exact_",
                                               c.per_scale, "_", c.target);
                         });

// Memory is planned from the bounds of shapes.
TEST(GatedProductPlan, OfOtherMatricesRunsOnTheReference) {
  for (const bool symbol : {false, true}) {
    Graph graph;
    const Value x = graph.Input("x", DType::kF32, {3, kColumns});
    const Dim rows = symbol ? Dim::Symbol("N", 64) : Dim(64);
    const Value gate = graph.Input("gate", DType::kF32, {rows, kColumns});
    const Value up =
        graph.Input("up", DType::kF32, {symbol ? rows : Dim(1), kColumns});
    graph.Output("y", GatedQMatMul(x, gate, up, "silu"));
    ASSERT_TRUE(graph.Finish().ok()) << graph.status();
    const auto plan = (*MakeBackend("cpu"))->Plan(graph);
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_EQ(plan->steps.size(), 1u);
    EXPECT_TRUE(plan->steps[0].on_reference);
  }
}

}  // namespace
}  // namespace weft::inline v0
