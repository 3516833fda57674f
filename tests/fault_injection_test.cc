// Memory that runs out at any allocation is a Status, leaks nothing, and leaves
// other sessions alone. Replaces the global allocator, so it must stay a
// program of its own.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/sampler.h"
#include "tests/gguf_builder.h"
#include "tests/tiny_llama.h"

namespace {

// Only the allocations of the thread that asks for it fail; workers take none.
thread_local long until_failure = -1;  // < 0: none fails
thread_local long allocations = 0;
std::atomic<long> live = 0;

void* Allocate(size_t size) {
  ++allocations;
  if (until_failure >= 0 && until_failure-- == 0) return nullptr;
  void* const at = std::malloc(size == 0 ? 1 : size);
  if (at != nullptr) ++live;
  return at;
}
void* OrThrow(size_t size) {
  void* const at = Allocate(size);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
void Release(void* at) {
  if (at != nullptr) --live;
  std::free(at);
}

}  // namespace

void* operator new(size_t size) { return OrThrow(size); }
void* operator new[](size_t size) { return OrThrow(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return Allocate(size);
}
void operator delete(void* at) noexcept { Release(at); }
void operator delete[](void* at) noexcept { Release(at); }
void operator delete(void* at, size_t) noexcept { Release(at); }
void operator delete[](void* at, size_t) noexcept { Release(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept { Release(at); }
void operator delete[](void* at, const std::nothrow_t&) noexcept {
  Release(at);
}

namespace weft::inline v0 {
namespace {

// Loads, compiles and makes 20 steps; the tokens.
absl::StatusOr<std::vector<Token>> Everything(
    absl::Span<const std::byte> bytes) {
  auto file = GgufFile::Parse(bytes, "tiny");
  if (!file.ok()) return file.status();
  auto model = Model::FromFile(*std::move(file));
  if (!model.ok()) return model.status();
  SessionOptions options;
  options.backend_options.threads = 2;
  auto session = (*model)->NewSession(options);
  if (!session.ok()) return session.status();
  const Token prompt[] = {1, 7, 3};
  auto logits = (*session)->Prefill(0, prompt);
  std::array<Token, 20> tokens;
  for (Token& token : tokens) {
    if (!logits.ok()) return logits.status();
    token = 0;
    for (size_t i = 1; i < logits->size(); ++i)
      if ((*logits)[i] > (*logits)[static_cast<size_t>(token)])
        token = static_cast<Token>(i);
    logits = (*session)->Decode(0, token);
  }
  const long kept = std::exchange(until_failure, -1);
  std::vector<Token> out(tokens.begin(), tokens.end());
  until_failure = kept;
  return out;
}

TEST(FaultInjection, AnyAllocationMayFail) {
  const std::string bytes = TinyLlama().Build();
  const auto want = Everything(AsBytes(bytes));
  ASSERT_TRUE(want.ok()) << want.status();
  // Beside it, a session that goes on throughout.
  auto file = GgufFile::Parse(AsBytes(bytes), "beside");
  ASSERT_TRUE(file.ok());
  auto beside = Model::FromFile(*std::move(file));
  ASSERT_TRUE(beside.ok());
  auto session = (*beside)->NewSession({});
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE((*session)->Decode(0, 5).ok());

  allocations = 0;
  ASSERT_TRUE(Everything(AsBytes(bytes)).ok());
  const long total = allocations;
  ASSERT_GT(total, 1000);
  // Every one of the last, which bind and start threads, and one in so many of
  // the others: they are the same containers over and over.
  const long stride = std::max(1l, total / 100);
  for (long k = 0; k < total; k += k < total - 40 ? stride : 1) {
    const long before = live;
    {
      until_failure = k;
      const auto got = Everything(AsBytes(bytes));
      until_failure = -1;
      // Some algorithms of the standard library do with less memory.
      if (got.ok()) {
        ASSERT_EQ(*got, *want) << "k = " << k;
      } else {
        ASSERT_TRUE(absl::IsResourceExhausted(got.status()))
            << "k = " << k << ": " << got.status();
      }
    }
    ASSERT_EQ(live, before) << "leaked at k = " << k;
  }
  ASSERT_TRUE((*session)->Decode(0, 6).ok());
  EXPECT_EQ(*Everything(AsBytes(bytes)), *want);
}

}  // namespace
}  // namespace weft::inline v0
