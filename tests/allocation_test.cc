// A token costs no allocation, and memory is what the plan says. Replaces the
// global allocator, so it must stay a program of its own.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/sampler.h"
#include "tests/golden.h"

namespace {

std::atomic<long> allocations = 0;

void* Counted(size_t size) {
  ++allocations;
  void* const at = std::malloc(size == 0 ? 1 : size);
  if (at == nullptr) std::abort();
  return at;
}

}  // namespace

void* operator new(size_t size) { return Counted(size); }
void* operator new[](size_t size) { return Counted(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Counted(size);
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept {
  std::free(at);
}
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, size_t) noexcept { std::free(at); }
void operator delete[](void* at, size_t) noexcept { std::free(at); }

namespace weft::inline v0 {
namespace {

class AllocationTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const std::string path = SharedPath("models/stories260K.gguf");
    if (path.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
    auto model = Model::Load(path);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
  }
  std::shared_ptr<const Model> model_;
};

TEST_P(AllocationTest, DecodingATokenAllocatesNothing) {
  SessionOptions options;
  options.backend_options.threads = GetParam();
  auto session = model_->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  auto sampler = Sampler::Make({.temperature = 0.8f, .seed = 1});
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const std::vector<Token> prompt = {1, 403, 407, 261, 378};
  // The first tokens may fill buffers that are kept.
  auto logits = (*session)->Prefill(0, prompt);
  ASSERT_TRUE(logits.ok()) << logits.status();
  Token token = *sampler->Sample(*logits);
  sampler->Accept(token);
  logits = (*session)->Decode(0, token);
  token = *sampler->Sample(*logits);

  const long before = allocations;
  for (int i = 0; i < 50; ++i) {
    logits = (*session)->Decode(0, token);
    token = *sampler->Sample(*logits);
    sampler->Accept(token);
  }
  EXPECT_EQ(allocations - before, 0);
  EXPECT_TRUE(logits.ok());
}

TEST_P(AllocationTest, ASecondPrefillAllocatesNothing) {
  SessionOptions options;
  options.backend_options.threads = GetParam();
  auto session = model_->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  std::vector<Token> prompt(60, 300);
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  const long before = allocations;
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  EXPECT_EQ(allocations - before, 0);
}

TEST_P(AllocationTest, ThePlanTellsTheMemory) {
  SessionOptions options;
  options.backend_options.threads = GetParam();
  const auto estimate = model_->Estimate(options);
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  auto session = model_->NewSession(options);
  ASSERT_TRUE(session.ok()) << session.status();
  const BackendPlan& plan = (*session)->plan();
  EXPECT_EQ(plan.memory.total(), estimate->session.total());
  // What is alive at once is the least that any layout can take.
  int64_t peak = 0;
  for (int step = 0; step < static_cast<int>(plan.plan.steps.size()); ++step) {
    int64_t live = 0;
    for (const Placement& p : plan.plan.values)
      if (p.storage == Storage::kArena && p.first <= step && step <= p.last)
        live += AlignUp(p.bytes);
    peak = std::max(peak, live);
  }
  EXPECT_LE(plan.plan.arena_bytes, peak * 1.05);
}

INSTANTIATE_TEST_SUITE_P(Threads, AllocationTest, testing::Values(1, 2),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace weft::inline v0
