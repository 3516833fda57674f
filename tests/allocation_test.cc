// A token costs no allocation, and memory is what the plan says. Replaces the
// global allocator, so it must stay a program of its own.
//
// What is linked into the program (all of weft, Abseil where it is static) gets
// the functions of malloc's family from here (ld's --wrap, see CMakeLists.txt),
// and everyone, libstdc++ too, the operators below, which end in them.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/sampler.h"
#include "tests/golden.h"
#include "tests/greedy.h"

namespace {

std::atomic<long> allocations = 0;

}  // namespace

// The names are the linker's.
extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* at, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void** at, size_t alignment, size_t size);

void* __wrap_malloc(size_t size) {
  ++allocations;
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  ++allocations;
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* at, size_t size) {
  ++allocations;
  return __real_realloc(at, size);
}
void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  ++allocations;
  return __real_aligned_alloc(alignment, size);
}
int __wrap_posix_memalign(void** at, size_t alignment, size_t size) {
  ++allocations;
  return __real_posix_memalign(at, alignment, size);
}
}

namespace {

void* Plain(size_t size) { return std::malloc(std::max<size_t>(size, 1)); }

void* Aligned(size_t size, std::align_val_t alignment) {
  const auto step = std::max(static_cast<size_t>(alignment), sizeof(void*));
  // aligned_alloc wants whole multiples.
  const size_t rounded = (std::max<size_t>(size, 1) + step - 1) / step * step;
  return std::aligned_alloc(step, rounded);
}

void* Found(void* at) {
  if (at == nullptr) std::abort();
  return at;
}

}  // namespace

void* operator new(size_t size) { return Found(Plain(size)); }
void* operator new[](size_t size) { return Found(Plain(size)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Plain(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return Plain(size);
}
void* operator new(size_t size, std::align_val_t to) {
  return Found(Aligned(size, to));
}
void* operator new[](size_t size, std::align_val_t to) {
  return Found(Aligned(size, to));
}
void* operator new(size_t size, std::align_val_t to,
                   const std::nothrow_t&) noexcept {
  return Aligned(size, to);
}
void* operator new[](size_t size, std::align_val_t to,
                     const std::nothrow_t&) noexcept {
  return Aligned(size, to);
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete[](void* at) noexcept { std::free(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept {
  std::free(at);
}
void operator delete[](void* at, const std::nothrow_t&) noexcept {
  std::free(at);
}
void operator delete(void* at, size_t) noexcept { std::free(at); }
void operator delete[](void* at, size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete[](void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept {
  std::free(at);
}
void operator delete[](void* at, size_t, std::align_val_t) noexcept {
  std::free(at);
}

namespace weft::inline v0 {
namespace {

// What `allocate`, which returns what it allocates, adds to the count.
template <typename F>
long Counted(F allocate) {
  const long before = allocations;
  // Volatile: a compiler may leave out what nobody looks at.
  void* volatile at = allocate();
  const long count = allocations - before;
  std::free(at);
  return count;
}

TEST(Counting, SeesEveryWayToAllocate) {
  EXPECT_EQ(Counted([] { return std::malloc(1); }), 1);
  EXPECT_EQ(Counted([] { return std::calloc(1, 1); }), 1);
  EXPECT_EQ(Counted([] { return std::realloc(nullptr, 1); }), 1);
  EXPECT_EQ(Counted([] { return std::aligned_alloc(64, 64); }), 1);
  EXPECT_EQ(Counted([] {
              void* at = nullptr;
              EXPECT_EQ(posix_memalign(&at, 64, 64), 0);
              return at;
            }),
            1);
  constexpr std::align_val_t kTo{64};
  EXPECT_EQ(Counted([] { return ::operator new(1); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new[](1); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new(1, std::nothrow); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new[](1, std::nothrow); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new(1, kTo); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new[](1, kTo); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new(1, kTo, std::nothrow); }), 1);
  EXPECT_EQ(Counted([] { return ::operator new[](1, kTo, std::nothrow); }), 1);
}

class AllocationTest
    : public testing::TestWithParam<std::tuple<std::string, int>> {
 protected:
  void SetUp() override {
    if (std::get<0>(GetParam()) == "tiny") {
      model_ = TinyModel();
      return;
    }
    const std::string path = SharedPath("models/stories260K.gguf");
    if (path.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
    auto model = Model::Load(path);
    ASSERT_TRUE(model.ok()) << model.status();
    model_ = *model;
  }
  static SessionOptions Options() {
    SessionOptions options;
    options.context = 128;
    options.backend_options.threads = std::get<1>(GetParam());
    return options;
  }
  std::shared_ptr<const Model> model_;
};

TEST_P(AllocationTest, DecodingATokenAllocatesNothing) {
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  auto sampler = Sampler::Make({.temperature = 0.8f, .seed = 1});
  ASSERT_TRUE(sampler.ok()) << sampler.status();
  const std::vector<Token> prompt = {1, 103, 107, 61, 78};
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
  auto session = model_->NewSession(Options());
  ASSERT_TRUE(session.ok()) << session.status();
  std::vector<Token> prompt(60, 100);
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  const long before = allocations;
  ASSERT_TRUE((*session)->Prefill(0, prompt).ok());
  EXPECT_EQ(allocations - before, 0);
}

TEST_P(AllocationTest, ThePlanTellsTheMemory) {
  const auto estimate = model_->Estimate(Options());
  ASSERT_TRUE(estimate.ok()) << estimate.status();
  auto session = model_->NewSession(Options());
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

INSTANTIATE_TEST_SUITE_P(Models, AllocationTest,
                         testing::Combine(testing::Values("tiny",
                                                          "stories260K"),
                                          testing::Values(1, 2)),
                         [](const auto& test) {
                           return absl::StrCat(std::get<0>(test.param), "_",
                                               std::get<1>(test.param),
                                               "_threads");
                         });

}  // namespace
}  // namespace weft::inline v0
