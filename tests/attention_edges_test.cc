// Attention at its edges: masks of -inf, scores far from 0, numbers that no
// query may see, slots that do not exist. On every instruction set.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "backends/cpu/target_names.h"
#include "gtest/gtest.h"
#include "tests/attention_run.h"

namespace weft::inline v0 {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Two chunks and a bit.
constexpr int64_t kContext = 140;
constexpr int64_t kQueries = 24;  // those that are compared

class AttentionEdges : public testing::TestWithParam<std::string> {
 protected:
  static AttentionSetup OnTarget() {
    AttentionSetup setup;
    setup.context = kContext;
    setup.tokens = kContext;
    setup.backend_options = {1, GetParam()};
    return setup;
  }
  static AttentionSetup OnReference(AttentionSetup setup) {
    setup.backend = "reference";
    setup.backend_options = {1, ""};
    return setup;
  }

  // bias(head, key) for each number.
  static std::vector<float> Biases(
      const AttentionSetup& setup,
      const std::function<float(int64_t, int64_t)>& bias) {
    std::vector<float> out;
    for (int64_t head = 0; head < setup.heads; ++head)
      for (int64_t key = 0; key < setup.context; ++key)
        out.push_back(bias(head, key));
    return out;
  }

  // The last tokens in one step and one by one: both ways through the
  // kernel.
  void ExpectEqualsReference(
      const AttentionSetup& setup,
      const std::function<void(AttentionRun&)>& prepare = {}) {
    AttentionRun reference(OnReference(setup)), run(setup);
    if (prepare) prepare(reference);
    if (prepare) prepare(run);
    constexpr int64_t kFirst = kContext - kQueries;
    const auto want = [&] {
      reference.Positions(0, kFirst, kFirst);
      return reference.Positions(kFirst, kContext, kQueries);
    }();
    run.Positions(0, kFirst, kFirst);
    for (const int64_t chunk : {kQueries, int64_t{1}}) {
      const auto got = run.Positions(kFirst, kContext, chunk);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(want[i])) {
          ASSERT_TRUE(std::isnan(got[i])) << i << " is " << got[i];
        } else {
          // As in the op's record: 2e-5 of values of order one.
          ASSERT_NEAR(got[i], want[i], 2e-5 * std::max(1.0f, std::abs(want[i])))
              << "number " << i << ", chunks of " << chunk;
        }
      }
    }
  }
};

TEST_P(AttentionEdges, MasksOfMinusInfinity) {
  AttentionSetup setup = OnTarget();
  setup.bias = Biases(setup, [](int64_t head, int64_t key) {
    if (head == 0) return key < 64 ? -kInf : 0.0f;   // the first chunk
    if (head == 1) return key < 100 ? 0.0f : -kInf;  // the last ones
    if (head == 2) return key == 77 ? 0.0f : -kInf;  // all but one
    return -kInf;                                    // all: the result is 0
  });
  ExpectEqualsReference(setup);
}

// What people use where they mean -inf, and scores that swamp all others.
TEST_P(AttentionEdges, ScoresFarFromZero) {
  for (const float far : {-kMost, -1e9f, -65504.0f, 1e7f, 1e30f}) {
    SCOPED_TRACE(absl::StrCat("bias ", far));
    AttentionSetup setup = OnTarget();
    setup.bias = Biases(setup, [far](int64_t head, int64_t key) {
      if (head == 0) return key < 100 ? far : 0.0f;
      if (head == 1) return key < 100 ? 0.0f : far;
      if (head == 2) return far;
      return key % 3 == 0 ? far : 0.0f;
    });
    // Numbers around 1e9 are 64 apart: the scores themselves would decide
    // otherwise in f32 than in the reference's f64.
    ExpectEqualsReference(setup, [](AttentionRun& run) {
      for (int64_t pos = 0; pos < kContext; ++pos)
        std::fill(run.At(0, pos).k.begin(), run.At(0, pos).k.end(), 0.0f);
    });
  }
}

TEST_P(AttentionEdges, LargeQueriesAndKeys) {
  AttentionSetup setup = OnTarget();
  ExpectEqualsReference(setup, [](AttentionRun& run) {
    // One key for each head and query lies far above the others.
    for (int64_t pos = 0; pos < kContext; ++pos)
      for (float& x : run.At(0, pos).q) x *= 1e4f;
  });
}

// Which tile registers take, where there are any.
TEST_P(AttentionEdges, HeadsOfBF16InWholeSteps) {
  AttentionSetup setup = OnTarget();
  setup.d = setup.e = 64;
  setup.kv_k = setup.kv_v = DType::kBF16;
  ExpectEqualsReference(setup, [](AttentionRun& run) {
    for (int64_t pos = 0; pos < kContext; ++pos)
      for (float& x : run.At(0, pos).q) x *= 1e4f;
  });
  ExpectEqualsReference(setup, [](AttentionRun& run) {
    run.At(0, 130).k[0] = kNan;
    run.At(0, 3).v[17] = kNan;
  });
  setup.bias = Biases(setup, [](int64_t head, int64_t key) {
    if (head == 0) return key < 64 ? -kInf : 0.0f;
    if (head == 1) return key < 100 ? 0.0f : -kInf;
    if (head == 2) return key == 77 ? 0.0f : -kInf;
    return -kInf;
  });
  ExpectEqualsReference(setup);
}

TEST_P(AttentionEdges, NanMakesNan) {
  ExpectEqualsReference(OnTarget(), [](AttentionRun& run) {
    run.At(0, 130).k[0] = kNan;  // of one group
    run.At(0, 3).v[17] = kNan;
  });
}

// What a sequence left in the cache before it was truncated is not seen.
TEST_P(AttentionEdges, WhatLiesBeyondIsNotSeen) {
  for (const DType kv :
       {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0})
    for (const int64_t chunk : {1, 50}) {
      AttentionSetup setup = OnTarget();
      setup.kv_k = setup.kv_v = kv;
      // As tile registers take them.
      if (kv == DType::kBF16) setup.d = setup.e = 64;
      AttentionRun clean(setup), dirty(setup);
      for (int64_t pos = 0; pos < kContext; ++pos) {
        AttentionRun::Token& token = dirty.At(0, pos);
        const AttentionRun::Token kept = token;
        std::fill(token.k.begin(), token.k.end(), kInf);
        std::fill(token.v.begin(), token.v.end(), pos % 2 == 0 ? kNan : kInf);
        dirty.Positions(pos, pos + 1, 1);
        token = kept;
      }
      const auto want = clean.Positions(0, 50, chunk);
      const auto got = dirty.Positions(0, 50, chunk);
      ASSERT_EQ(got.size(), want.size());
      for (size_t i = 0; i < got.size(); ++i)
        ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(float)), 0)
            << Name(kv) << ", chunks of " << chunk << ": number " << i << " is "
            << got[i] << ", wanted " << want[i];
    }
}

TEST_P(AttentionEdges, ReportsSlotsThatDoNotExist) {
  AttentionRun run(OnTarget());
  for (const int64_t slot : {-1, 1, 1 << 30}) {
    const std::vector<AttentionRun::Place> places = {{0, 0}, {slot, 1}};
    const auto step = run.Step(places);
    EXPECT_EQ(step.status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_TRUE(absl::StrContains(step.status().message(),
                                  absl::StrCat("index ", slot)))
        << step.status();
  }
  EXPECT_TRUE(run.Step(std::vector<AttentionRun::Place>{{0, 0}}).ok());
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionEdges,
                         testing::ValuesIn(cpu::RunnableTargets()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace weft::inline v0
