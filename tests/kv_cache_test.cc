// KV caches: what is stored in each format and layout, which layout a cache
// gets, and what its memory is.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/cpu/bind.h"
#include "backends/cpu/kv_layout.h"
#include "backends/cpu/target_names.h"
#include "backends/encode.h"
#include "graph/encode_row.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/gather.h"
#include "ops/matmul.h"
#include "tests/attention_run.h"
#include "tests/kernel_harness.h"
#include "tests/sample_data.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {
namespace {

using cpu::StateLayout;

constexpr DType kFormats[] = {DType::kF32, DType::kF16, DType::kBF16,
                              DType::kQ8_0, DType::kQ4_0};
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<std::byte> Encoded(DType type, const std::vector<float>& x) {
  const int64_t n = static_cast<int64_t>(x.size());
  std::vector<std::byte> out(static_cast<size_t>(*PaddedRowBytes(type, n)));
  EncodeRow(type, x.data(), n, out.data());
  return out;
}

// ---- Formats ----

TEST(EncodeRow, EqualsTheEncoders) {
  HostTensor x(DType::kF32, {64, 96});
  FillRandom(x, /*seed=*/1);
  const std::vector<float> values = x.ToFloats();
  for (const DType type : kFormats) {
    const std::vector<std::byte> got = Encoded(type, values);
    std::vector<std::byte> want(got.size());
    ASSERT_TRUE(EncodeRows(type, values, 96, {}, absl::MakeSpan(want)).ok());
    EXPECT_EQ(got, want) << Name(type);
  }
}

// A row that ends within a block is that row with zeros behind.
TEST(EncodeRow, PadsWithZeros) {
  std::vector<float> x = {3, -1, 0.25f, 7, 2};
  for (const DType type : {DType::kQ8_0, DType::kQ4_0}) {
    const std::vector<std::byte> got = Encoded(type, x);
    std::vector<float> padded = x;
    padded.resize(32);
    EXPECT_EQ(got, Encoded(type, padded));
  }
  EXPECT_EQ(PaddedRowBytes(DType::kQ8_0, 33), 68);
  EXPECT_EQ(RowBytes(DType::kQ8_0, 33), std::nullopt);
}

TEST(EncodeRow, WhatIsNoNumberStaysNone) {
  for (const DType type : kFormats) {
    std::vector<float> x(32, 1.0f), y(32);
    x[5] = kNan;
    DecodeRows(type, Encoded(type, x).data(), 1, 32, y.data());
    EXPECT_TRUE(std::isnan(y[5])) << Name(type);
    x[5] = kInf;
    DecodeRows(type, Encoded(type, x).data(), 1, 32, y.data());
    EXPECT_FALSE(std::isfinite(y[5])) << Name(type);
  }
}

// ---- The kernels that store ----

// Rows of a block each: ties, extremes, subnormals, signed zeros.
std::vector<std::vector<float>> SpecialRows() {
  std::vector<std::vector<float>> rows;
  const auto add = [&](float (*f)(int i)) {
    auto& row = rows.emplace_back();
    for (int i = 0; i < 32; ++i) row.push_back(f(i));
  };
  add([](int) { return 0.0f; });
  add([](int i) { return i % 2 == 0 ? 0.0f : -0.0f; });
  // In q8_0 d is 1: codes i + 1/2 are ties.
  add([](int i) { return i == 0 ? 127.0f : static_cast<float>(i) - 16.5f; });
  // The first of two extremes decides the sign of d in q4_0.
  add([](int i) { return i % 3 == 1 ? -8.0f : i % 3 == 2 ? 8.0f : 0.5f; });
  add([](int i) { return 1e-41f * static_cast<float>(i); });
  add([](int i) { return 1e-7f * static_cast<float>(i - 9); });
  add([](int i) { return 3e38f * static_cast<float>(i % 3 - 1); });
  add([](int i) { return i == 7 ? kInf : static_cast<float>(i); });
  add([](int i) { return i == 30 ? -kInf : static_cast<float>(i); });
  add([](int i) { return i == 9 ? kNan : static_cast<float>(i); });
  return rows;
}

class AppendTest : public testing::TestWithParam<std::string> {};

TEST_P(AppendTest, RoundsAsTheFormatsSay) {
  const auto rows = SpecialRows();
  const int64_t n = static_cast<int64_t>(rows.size());
  HostTensor x(DType::kF32, {n, 1, 32});
  std::vector<int32_t> at;
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), x.f32() + at.size() * 32);
    at.push_back(static_cast<int32_t>(at.size()));
  }
  const HostTensor pos = HostTensor::FromInts({n}, at);
  const HostTensor slot(DType::kI32, {n});
  for (const DType type : kFormats) {
    const HostTensor before(type, {1, n, 1, 32});
    for (const cpu::Kernel& kernel : KernelsOfTarget(GetParam())) {
      if (kernel.name != absl::StrCat("append.", Name(type))) continue;
      for (const StateLayout layout :
           {StateLayout::kRows, StateLayout::kKeyTiles,
            StateLayout::kValueTiles}) {
        HostTensor got = before;
        CallOptions options;
        if (layout != StateLayout::kRows) options.tiled = layout;
        ASSERT_TRUE(CallKernel(kernel, {}, {&before, &x, &slot, &pos},
                               absl::MakeSpan(&got, 1), options)
                        .ok());
        for (size_t r = 0; r < rows.size(); ++r) {
          const auto want = Encoded(type, rows[r]);
          const auto first =
              got.bytes.begin() + static_cast<int64_t>(r * want.size());
          // A NaN keeps no particular bits in f16.
          if (r + 1 == rows.size() && type == DType::kF16) continue;
          EXPECT_TRUE(std::equal(want.begin(), want.end(), first))
              << Name(type) << ", row " << r << ", layout "
              << static_cast<int>(layout);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, AppendTest,
                         testing::ValuesIn(cpu::RunnableTargets()),
                         [](const auto& test) { return test.param; });

// ---- Layouts ----

// Keys and values, whose readers tests add.
class LayoutTest : public testing::Test {
 protected:
  Value Cache(const char* name, DType dtype = DType::kF16) {
    const std::string rows = absl::StrCat(name, "_rows");
    return Append(graph_.State(name, dtype, {2, 40, 2, 20}),
                  graph_.Input(rows, DType::kF32, {t_, 2, 20}), step_);
  }
  void ReadByAttention(Value k, Value v) {
    FusedAttention a;
    a.q = graph_.Input(absl::StrCat("q", outputs_), DType::kF32, {t_, 4, 20});
    a.k = k;
    a.v = v;
    a.step = step_;
    graph_.Output(absl::StrCat("y", outputs_++), Attention(a));
  }
  StateLayout LayoutOf(const std::string& state) {
    EXPECT_TRUE(graph_.Finish().ok()) << graph_.status();
    const auto places =
        cpu::PlaceStates(graph_, KernelsOfTarget(cpu::RunnableTargets()[0]));
    for (const NodeId id : graph_.order())
      if (graph_.node(id).name == state)
        return places[static_cast<size_t>(graph_.node(id).outputs[0])].layout;
    ADD_FAILURE() << "no " << state;
    return StateLayout::kRows;
  }

  Graph graph_;
  const Dim t_ = Dim::Symbol("T", 5);
  const Step step_ = {graph_.Input("pos", DType::kI32, {t_}),
                      graph_.Input("slot", DType::kI32, {t_})};
  int outputs_ = 0;
};

TEST_F(LayoutTest, TilesWhereOnlyAttentionReads) {
  const Value k = Cache("k"), v = Cache("v", DType::kQ8_0);
  ReadByAttention(k, v);
  ReadByAttention(k, v);
  EXPECT_EQ(LayoutOf("k"), StateLayout::kKeyTiles);
  EXPECT_EQ(LayoutOf("v"), StateLayout::kValueTiles);
}

TEST_F(LayoutTest, RowsWhereAnotherOpReads) {
  const Value k = Cache("k"), v = Cache("v");
  ReadByAttention(k, v);
  graph_.Output("rows", GatherRows(Dequant(k), step_.slot));
  EXPECT_EQ(LayoutOf("k"), StateLayout::kRows);
  EXPECT_EQ(LayoutOf("v"), StateLayout::kValueTiles);
}

TEST_F(LayoutTest, RowsWhereItIsAnOutput) {
  const Value k = Cache("k"), v = Cache("v");
  ReadByAttention(k, v);
  graph_.Output("v_out", v);
  EXPECT_EQ(LayoutOf("k"), StateLayout::kKeyTiles);
  EXPECT_EQ(LayoutOf("v"), StateLayout::kRows);
}

TEST_F(LayoutTest, RowsWhereReadersDisagree) {
  const Value both = Cache("both"), v = Cache("v");
  ReadByAttention(both, v);
  ReadByAttention(v, both);
  EXPECT_EQ(LayoutOf("both"), StateLayout::kRows);
  EXPECT_EQ(LayoutOf("v"), StateLayout::kRows);
  const Value same = Cache("same");
  ReadByAttention(same, same);
  EXPECT_EQ(LayoutOf("same"), StateLayout::kRows);
}

// ---- A cache that is an output ----

struct Outputs {
  std::vector<std::byte> cache, y;
};

// Two steps into a cache of 2 slots, 3 heads of 20, which is an output and is
// read by attention as well.
Outputs RunWithOutput(DType type, const std::string& backend,
                      const BackendOptions& options) {
  auto sample = std::make_shared<SampleGraph>();
  SampleGraph& g = *sample;
  const Dim t = Dim::Symbol("T", 6);
  FusedAttention a;
  a.q = g.Normal({t, 6, 20});
  a.step = {g.Positions({t}, 2), g.Ids({t}, 2)};
  a.k = Append(g.State(type, {2, 9, 3, 20}), g.Normal({t, 3, 20}), a.step);
  a.v = Append(g.State(type, {2, 9, 3, 20}), g.Normal({t, 3, 20}), a.step);
  g.graph().Output("cache", a.k);
  g.graph().Output("y", Attention(a));
  EXPECT_TRUE(g.graph().Finish().ok()) << g.graph().status();
  const SampleData data(g, /*seed=*/3);
  auto executable =
      (*MakeBackend(backend, options))
          ->Compile(std::shared_ptr<const Graph>(sample, &g.graph()),
                    data.weights());
  EXPECT_TRUE(executable.ok()) << executable.status();
  EXPECT_TRUE(data.SetInputs(**executable).ok());
  for (const int64_t tokens : {2, 6})
    EXPECT_TRUE((*executable)->Run({{"T", tokens}}).ok());
  const auto copy = [&](const char* name) {
    const auto bytes = (*executable)->Output(name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return std::vector<std::byte>(bytes->begin(), bytes->end());
  };
  return {copy("cache"), copy("y")};
}

TEST(KvOutput, LiesAsTheGraphSees) {
  for (const DType type : kFormats) {
    const Outputs want = RunWithOutput(type, "reference", {});
    // Rows that attention reads from are whole blocks.
    ASSERT_EQ(want.cache.size(),
              static_cast<size_t>(2 * 9 * 3 * *PaddedRowBytes(type, 20)));
    for (const std::string& target : cpu::RunnableTargets()) {
      const Outputs got = RunWithOutput(type, "cpu", {1, target});
      EXPECT_EQ(got.cache, want.cache) << Name(type) << " on " << target;
      ASSERT_EQ(got.y.size(), want.y.size());
      for (size_t at = 0; at < got.y.size(); at += 4) {
        float a, b;
        std::memcpy(&a, &got.y[at], 4);
        std::memcpy(&b, &want.y[at], 4);
        ASSERT_NEAR(a, b, 2e-5 * std::max(1.0f, std::abs(b)))
            << Name(type) << " on " << target;
      }
    }
  }
}

// ---- Memory ----

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

TEST(KvMemory, IsWhatThePlanSays) {
  for (const DType type : kFormats) {
    AttentionSetup setup;
    setup.d = 20;
    setup.e = 64;
    setup.context = 1000;  // whole chunks of 64: 1024
    setup.slots = 3;
    setup.tokens = 1;
    setup.kv_k = type;
    setup.kv_v = DType::kF16;
    const AttentionRun run(setup);
    const int64_t rows = 3 * 1024 * 2;
    EXPECT_EQ(run.plan().memory.state,
              AlignUp(rows * *PaddedRowBytes(type, 20) + cpu::kTailBytes) +
                  AlignUp(rows * 64 * 2 + cpu::kTailBytes))
        << Name(type);
  }
}

TEST(KvMemory, IsWhatIsTaken) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  auto graph = std::make_shared<Graph>();
  const Step step = {graph->Input("pos", DType::kI32, {1}),
                     graph->Input("slot", DType::kI32, {1})};
  const Value row = graph->Input("row", DType::kF32, {1, 1, 4096});
  const auto cache = [&](const char* name, DType dtype) {
    return Append(graph->State(name, dtype, {1, 8192, 1, 4096}), row, step);
  };
  FusedAttention a;
  a.q = graph->Input("q", DType::kF32, {1, 1, 4096});
  a.k = cache("k", DType::kQ8_0);
  a.v = cache("v", DType::kQ4_0);
  a.step = step;
  graph->Output("y", Attention(a));
  ASSERT_TRUE(graph->Finish().ok()) << graph->status();
  const auto backend = MakeBackend("cpu", {.threads = 1, .target = ""});
  const int64_t before = ResidentBytes();
  if (before == 0) GTEST_SKIP() << "no /proc/self/statm";
  const auto executable = (*backend)->Compile(graph, {});
  const int64_t taken = ResidentBytes() - before;
  ASSERT_TRUE(executable.ok()) << executable.status();
  const MemoryUse& plan = (*executable)->plan().memory;
  EXPECT_EQ(plan.state, 8192 * (4096 / 32) * (34 + 18) + 2 * 64);
  // A cache's pages are taken when they are written first.
  EXPECT_LT(taken, 8 << 20) << "of a cache of " << plan.state;
  (*executable)->ResetStates();
  EXPECT_NEAR(static_cast<double>(ResidentBytes() - before),
              static_cast<double>(plan.total()), 8 << 20);
}

}  // namespace
}  // namespace weft::inline v0
