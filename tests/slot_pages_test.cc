// Forked sequences share the memory of what they have in common, and yet each
// goes on as it would alone.
#include "backends/cpu/slot_pages.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/greedy.h"

namespace weft::inline v0 {
namespace {

// Pages that hold one number each, beside slots that do.
TEST(SlotPages, KeepWhatEachSlotWrote) {
  constexpr int64_t kSlots = 5, kChunks = 3;
  constexpr unsigned kSeed = 1;
  std::mt19937 random(kSeed);
  cpu::SlotPages pages(kSlots, kChunks);
  int memory[kChunks][kSlots] = {}, want[kChunks][kSlots] = {};
  for (int step = 1; step <= 5000; ++step) {
    const int64_t slot = random() % kSlots, other = random() % kSlots;
    if (random() % 3 == 0 && slot != other) {
      const int64_t chunks = random() % (kChunks + 1);
      pages.Share(slot, other, chunks);
      for (int64_t c = 0; c < chunks; ++c) want[c][other] = want[c][slot];
    } else {
      const int64_t c = random() % kChunks;
      int64_t before = -1;
      const bool moved = pages.MakeOwn(slot, c, before);
      const int32_t page = pages.table()[c * kSlots + slot];
      if (moved) memory[c][page] = memory[c][before];
      ASSERT_EQ(memory[c][page], want[c][slot]) << "before step " << step;
      memory[c][page] = want[c][slot] = step;
    }
    for (int64_t c = 0; c < kChunks; ++c)
      for (int64_t s = 0; s < kSlots; ++s)
        ASSERT_EQ(memory[c][pages.table()[c * kSlots + s]], want[c][s])
            << "slot " << s << ", chunk " << c << ", step " << step << ", seed "
            << kSeed;
  }
}

std::unique_ptr<Session> NewSession(SessionOptions options) {
  options.backend_options.threads = 1;
  auto session = TinyModel()->NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

std::vector<Token> RandomTokens(size_t n, std::mt19937& random) {
  std::vector<Token> tokens(n);
  for (Token& token : tokens) token = static_cast<Token>(random() % 20);
  return tokens;
}

// Sequences that are forked, taken back and gone on with at random, each beside
// a session that saw its tokens alone.
class ForkTest : public testing::TestWithParam<DType> {};

TEST_P(ForkTest, EachGoesOnAsItWouldAlone) {
  const auto seed =
      static_cast<unsigned>(testing::UnitTest::GetInstance()->random_seed());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  SessionOptions options;
  options.slots = 4;
  options.context = 300;
  options.kv_k = options.kv_v = GetParam();
  auto session = NewSession(options);
  options.slots = 1;
  auto alone = NewSession(options);
  std::vector<std::vector<Token>> texts(4);
  for (int step = 0; step < 150; ++step) {
    const int slot = static_cast<int>(random() % 4);
    std::vector<Token>& text = texts[static_cast<size_t>(slot)];
    const unsigned what = random() % 8;
    if (what < 2) {
      const int to = static_cast<int>(random() % 4);
      ASSERT_TRUE(session->Fork(slot, to).ok());
      texts[static_cast<size_t>(to)] = text;
      continue;
    }
    if (what == 2 || text.size() > 260) {
      text.resize(random() % (text.size() + 1));
      session->Truncate(slot, static_cast<int64_t>(text.size()));
      continue;
    }
    const std::vector<Token> more = RandomTokens(1 + random() % 40, random);
    text.insert(text.end(), more.begin(), more.end());
    const auto got = session->Prefill(slot, more);
    ASSERT_TRUE(got.ok()) << got.status();
    alone->Truncate(0, 0);
    const auto want = alone->Prefill(0, text);
    ASSERT_TRUE(want.ok()) << want.status();
    ASSERT_TRUE(*got == *want) << "slot " << slot << ", step " << step;
    for (int s = 0; s < 4; ++s)
      ASSERT_EQ(session->position(s),
                static_cast<int64_t>(texts[static_cast<size_t>(s)].size()));
  }
}

INSTANTIATE_TEST_SUITE_P(Caches, ForkTest,
                         testing::Values(DType::kF32, DType::kF16, DType::kQ8_0,
                                         DType::kQ4_0));

// Memory of a session, to look into.
struct Watched {
  std::vector<absl::Span<std::byte>> blocks;

  HostMemory Memory() {
    return {[](void* user, size_t bytes, size_t alignment) {
              void* p = std::aligned_alloc(
                  alignment, (bytes + alignment - 1) / alignment * alignment);
              static_cast<Watched*>(user)->blocks.push_back(
                  {static_cast<std::byte*>(p), bytes});
              return p;
            },
            [](void*, void* p, size_t) { std::free(p); }, this};
  }
  std::vector<std::byte> Copy() const {
    std::vector<std::byte> all;
    for (const auto& block : blocks)
      all.insert(all.end(), block.begin(), block.end());
    return all;
  }
};

int64_t Changed(const std::vector<std::byte>& a,
                const std::vector<std::byte>& b) {
  int64_t n = 0;
  for (size_t i = 0; i < a.size(); ++i) n += a[i] != b[i];
  return n;
}

TEST(Fork, WritesOnlyTheLastChunk) {
  Watched memory;
  SessionOptions options;
  options.slots = 3;
  options.context = 512;
  options.backend_options.memory = memory.Memory();
  auto session = NewSession(options);
  std::mt19937 random(2);
  ASSERT_TRUE(session->Prefill(0, RandomTokens(256, random)).ok());
  std::vector<std::byte> before = memory.Copy();
  ASSERT_TRUE(session->Fork(0, 1).ok());
  EXPECT_EQ(Changed(before, memory.Copy()), 0) << "whole chunks";

  ASSERT_TRUE(session->Prefill(0, RandomTokens(10, random)).ok());
  before = memory.Copy();
  ASSERT_TRUE(session->Fork(0, 2).ok());
  const int64_t chunk = session->StateBytes(0) / 266 * 64;
  const int64_t changed = Changed(before, memory.Copy());
  EXPECT_GT(changed, 0);
  EXPECT_LE(changed, chunk);

  // One that is written anew from within what is shared.
  session->Truncate(1, 100);
  before = memory.Copy();
  std::vector<std::byte> state(static_cast<size_t>(session->StateBytes(0)));
  ASSERT_TRUE(session->SaveState(0, absl::MakeSpan(state)).ok());
  ASSERT_TRUE(session->Decode(1, 7).ok());
  std::vector<std::byte> after(state.size());
  ASSERT_TRUE(session->SaveState(0, absl::MakeSpan(after)).ok());
  EXPECT_EQ(state, after) << "what slot 0 refers to";
}

}  // namespace
}  // namespace weft::inline v0
