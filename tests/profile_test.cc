// Profiles of steps: times that fit together, and results that do not change.
#include "backends/profile.h"

#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "gtest/gtest.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/optimize.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

// Two products that are long enough to be split over threads, and a sum that
// is not.
class ProfileTest : public testing::TestWithParam<int> {
 protected:
  ProfileTest() : sample_(std::make_shared<SampleGraph>()) {
    const Value x = sample_->Normal({Dim::Symbol("T", 32), 512});
    const Value w = sample_->Weight(DType::kF32, {512, 512});
    const Value y = Linear(Linear(x, w), w);
    sample_->graph().Output("y", y);
    sample_->graph().Output("z", Silu(sample_->Normal({4})));
    EXPECT_TRUE(Optimize(sample_->graph()).ok());
    data_ = std::make_unique<SampleData>(*sample_, /*seed=*/1);
    BackendOptions options;
    options.threads = GetParam();
    auto executable =
        (*MakeBackend("cpu", options))
            ->Compile(std::shared_ptr<const Graph>(sample_, &sample_->graph()),
                      data_->weights());
    EXPECT_TRUE(executable.ok()) << executable.status();
    executable_ = *std::move(executable);
    EXPECT_TRUE(data_->SetInputs(*executable_).ok());
  }

  void Run(int64_t tokens) {
    const absl::Status status = executable_->Run({{"T", tokens}});
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<float> Result() {
    const auto bytes = *executable_->Output("y");
    std::vector<float> out(32 * 512);
    std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
    return out;
  }

  std::shared_ptr<SampleGraph> sample_;
  std::unique_ptr<SampleData> data_;
  std::unique_ptr<Executable> executable_;
};

TEST_P(ProfileTest, TimesFitTogether) {
  using Clock = std::chrono::steady_clock;
  Profile profile;
  ASSERT_TRUE(executable_->SetProfile(&profile).ok());
  EXPECT_EQ(profile.threads, GetParam());
  ASSERT_EQ(profile.steps.size(), executable_->plan().steps.size());
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < 5; ++i) Run(32);
  const std::chrono::duration<double> wall = Clock::now() - start;
  EXPECT_EQ(profile.runs, 5);
  EXPECT_GT(profile.elapsed, 0);
  EXPECT_LE(profile.elapsed, wall.count());
  double sum = 0;
  int64_t split = 0;
  for (const StepProfile& step : profile.steps) {
    sum += step.elapsed;
    split += step.split;
    EXPECT_GT(step.elapsed, 0);
    EXPECT_GT(step.mean, 0);
    // Rounding of sums, no more.
    EXPECT_LE(step.mean, step.slowest * (1 + 1e-9));
    EXPECT_LE(step.slowest, step.elapsed * (1 + 1e-9));
  }
  // Steps follow each other without a gap.
  EXPECT_NEAR(sum, profile.elapsed, 1e-9 * sum);
  EXPECT_EQ(split, GetParam() == 1 ? 0 : 2 * 5);  // the two products
}

TEST_P(ProfileTest, ChangesNoResult) {
  Run(32);
  const std::vector<float> want = Result();
  Profile profile;
  ASSERT_TRUE(executable_->SetProfile(&profile).ok());
  Run(32);
  EXPECT_EQ(Result(), want);
}

TEST_P(ProfileTest, StopsWhenTold) {
  Profile first, second;
  ASSERT_TRUE(executable_->SetProfile(&first).ok());
  Run(8);
  ASSERT_TRUE(executable_->SetProfile(&second).ok());
  Run(8);
  Run(8);
  ASSERT_TRUE(executable_->SetProfile(nullptr).ok());
  Run(8);
  EXPECT_EQ(first.runs, 1);
  EXPECT_EQ(second.runs, 2);
}

TEST_P(ProfileTest, CountsCompleteRuns) {
  Profile profile;
  ASSERT_TRUE(executable_->SetProfile(&profile).ok());
  const std::atomic<bool> cancel{true};
  EXPECT_EQ(executable_->Run({{"T", 8}}, &cancel).code(),
            absl::StatusCode::kCancelled);
  EXPECT_FALSE(executable_->Run({{"T", 33}}).ok());
  EXPECT_EQ(profile.runs, 0);
  Run(8);
  EXPECT_EQ(profile.runs, 1);
}

INSTANTIATE_TEST_SUITE_P(Threads, ProfileTest, testing::Values(1, 2, 3),
                         testing::PrintToStringParamName());

TEST(Profile, TheReferenceKeepsNone) {
  const auto sample = std::make_shared<SampleGraph>();
  sample->graph().Output("y", Silu(sample->Normal({4})));
  const auto executable =
      (*MakeBackend("reference"))
          ->Compile(std::shared_ptr<const Graph>(sample, &sample->graph()), {});
  ASSERT_TRUE(executable.ok()) << executable.status();
  Profile profile;
  EXPECT_EQ((*executable)->SetProfile(&profile).code(),
            absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace weft::inline v0
