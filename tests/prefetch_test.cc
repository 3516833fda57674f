#include "backends/cpu/prefetch.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace weft::cpu {
namespace {

constexpr uintptr_t kBlock = 4 * kPage;

const void* At(uintptr_t address) {
  return reinterpret_cast<const void*>(address);
}

// What is never asked for is waited for, and results do not show it.
TEST(LineByTurns, AsksForEachLineOfTheNextBlockOnce) {
  constexpr uintptr_t kFrom = 7 * kBlock;
  std::set<const void*> asked;
  for (uintptr_t line = kFrom; line < kFrom + kBlock; line += 64)
    asked.insert(LineByTurns(At(line)));
  EXPECT_EQ(asked.size(), kBlock / 64);
  EXPECT_EQ(*asked.begin(), At(kFrom + kBlock));
  EXPECT_EQ(*asked.rbegin(), At(kFrom + 2 * kBlock - 64));
}

TEST(LineByTurns, AsksForTheSameLineFromAnywhereInOne) {
  for (const uintptr_t line : {kBlock, kBlock + 64, 2 * kBlock - 64})
    for (const uintptr_t byte : {uintptr_t{1}, uintptr_t{32}, uintptr_t{63}})
      EXPECT_EQ(LineByTurns(At(line + byte)), LineByTurns(At(line)));
}

TEST(LineByTurns, TakesFourPagesByTurns) {
  const auto page = [](const void* line) {
    return reinterpret_cast<uintptr_t>(line) / kPage;
  };
  for (uintptr_t line = 0; line < kBlock; line += 4 * 64) {
    std::set<uintptr_t> pages;
    for (uintptr_t i = 0; i < 4; ++i)
      pages.insert(page(LineByTurns(At(line + 64 * i))));
    EXPECT_EQ(pages.size(), 4u) << "from byte " << line;
  }
}

TEST(LinesByTurns, IsWhatTheFourLinesOfAQuadAskFor) {
  for (uintptr_t quad = 3 * kBlock; quad < 4 * kBlock; quad += kQuad) {
    std::set<const void*> by_line, together;
    for (uintptr_t i = 0; i < 4; ++i) {
      by_line.insert(LineByTurns(At(quad + 64 * i)));
      const auto first =
          reinterpret_cast<uintptr_t>(LinesByTurns(At(quad + 64 * i + 32)));
      EXPECT_EQ(At(first), LinesByTurns(At(quad)));
      together.insert(At(first + i * kPage));
    }
    EXPECT_EQ(by_line, together) << "from byte " << quad;
  }
}

// Each line of what follows is asked for once, whatever the parts that a stream
// is read in and wherever it begins.
TEST(EndsQuad, HoldsForOnePartOfEachQuad) {
  for (const std::vector<uintptr_t>& parts :
       {std::vector<uintptr_t>{256},
        {64},
        {16, 256},
        {32, 256, 256},
        {64, 64, 256},
        {64, 64, 64, 256, 256, 256, 256, 32}}) {
    for (uintptr_t start = kBlock; start < kBlock + kQuad; start += 16) {
      std::map<uintptr_t, int> ended;  // by quad
      uintptr_t at = start;
      while (at < 2 * kBlock)
        for (const uintptr_t bytes : parts) {
          if (EndsQuad(At(at), bytes)) ++ended[at / kQuad];
          at += bytes;
        }
      EXPECT_EQ(ended.size(), at / kQuad - start / kQuad);
      for (const auto& [quad, times] : ended)
        EXPECT_EQ(times, 1) << "quad " << quad << " from " << start;
    }
  }
}

}  // namespace
}  // namespace weft::cpu
