// The attention kernel on every instruction set against its scalar reference:
// head sizes, formats of keys and values, layouts, windows, soft-caps, biases,
// and caches of several parts.
#include <cstdint>
#include <iterator>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "backends/cpu/target_names.h"
#include "graph/sample.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/gather.h"
#include "tests/kernel_harness.h"

namespace weft::inline v0 {
namespace {

// Queries at positions first, first + 1, ... over filled caches.
struct Shape {
  std::string name;
  int64_t tokens, first, heads, groups, d, e, context;
  int slots = 1;
  AttendOptions options = {.scale = 0.2};
  bool bias = false;
};

void PrintTo(const Shape& s, std::ostream* out) { *out << s.name; }

// Up to 8 queries of a group are one way through the kernel, more another one.
const Shape kShapes[] = {
    {"one_query", 1, 70, 1, 1, 64, 64, 80},
    {"eight_queries", 1, 40, 16, 2, 64, 64, 64},
    {"nine_queries", 1, 40, 9, 1, 64, 64, 64},
    {"many_queries", 33, 30, 6, 1, 32, 32, 64},
    {"no_multiple_of_32", 3, 20, 4, 2, 48, 80, 40},
    {"no_multiple_of_16", 13, 20, 4, 2, 20, 37, 40},
    {"narrow", 21, 60, 2, 1, 8, 8, 90},
    {"one_wide", 5, 3, 3, 1, 1, 1, 9},
    {"wide", 3, 70, 4, 1, 256, 256, 75},
    {"keys_and_values_differ", 11, 5, 3, 1, 96, 8, 40},
    {"window", 70, 60, 2, 1, 16, 16, 140, 1, {.scale = 0.3, .window = 40}},
    {"window_of_one", 12, 60, 2, 1, 16, 16, 80, 1, {.scale = 0.3, .window = 1}},
    {"softcap", 9, 60, 4, 2, 24, 24, 80, 1, {.scale = 0.3, .softcap = 3}},
    {"not_causal", 9, 0, 4, 2, 24, 24, 75, 1, {.scale = 0.3, .causal = false}},
    {"bias", 9, 20, 4, 2, 24, 24, 70, 1, {.scale = 0.3}, true},
    {"softcap_bias_window",
     9,
     100,
     4,
     2,
     24,
     24,
     140,
     1,
     {.scale = 0.3, .softcap = 3, .window = 70},
     true},
    {"slots", 17, 50, 6, 2, 24, 24, 80, 4},
    {"one_full_part", 2, 510, 2, 1, 16, 16, 512},
    {"three_parts", 4, 1040, 2, 1, 16, 16, 1100},
    {"three_parts_many_queries", 5, 1020, 3, 1, 16, 16, 1100},
    {"window_within_parts",
     4,
     1040,
     2,
     1,
     16,
     16,
     1100,
     1,
     {.scale = 0.3, .window = 530}},
};

using Formats = std::pair<DType, DType>;
constexpr Formats kFormats[] = {
    {DType::kF32, DType::kF32},   {DType::kQ8_0, DType::kF16},
    {DType::kQ4_0, DType::kQ4_0}, {DType::kF16, DType::kF16},
    {DType::kBF16, DType::kBF16}, {DType::kQ8_0, DType::kQ8_0},
    {DType::kF32, DType::kQ4_0},
};

// An emulator needs a hundred times as long: there the first formats and the
// smaller shapes have to do.
constexpr bool kEmulated = sizeof(WEFT_EMULATOR) > 1;
constexpr size_t kCountOfFormats = kEmulated ? 3 : std::size(kFormats);

Values Build(SampleGraph& g, const Shape& s, const Formats& formats) {
  FusedAttention a;
  a.q = g.Normal({s.tokens, s.heads, s.d});
  a.step = {g.Positions({s.tokens}, s.first), g.Ids({s.tokens}, s.slots)};
  const auto cache = [&](DType dtype, int64_t n) {
    return Append(g.State(dtype, {s.slots, s.context, s.groups, n}),
                  g.Normal({s.tokens, s.groups, n}), a.step);
  };
  a.k = cache(formats.first, s.d);
  a.v = cache(formats.second, s.e);
  if (s.bias) a.bias = g.Normal({s.tokens, s.heads, 1, s.context});
  a.options = s.options;
  return {Attention(a)};
}

class AttentionTest : public testing::TestWithParam<Shape> {};

// CheckKernels() also compares rows with tiles, and one call with one of each
// task, bit for bit.
TEST_P(AttentionTest, EqualsTheReference) {
  const Shape& shape = GetParam();
  const uint64_t seed = 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
  if (kEmulated && (shape.context > 512 || shape.d > 128)) GTEST_SKIP();
  for (const Formats& formats :
       absl::MakeConstSpan(kFormats).first(kCountOfFormats)) {
    const std::string name =
        absl::StrCat(shape.name, " over ", Name(formats.first), " and ",
                     Name(formats.second));
    CheckKernels(
        {name, [&](SampleGraph& g) { return Build(g, shape, formats); }},
        cpu::RunnableTargets(), seed);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttentionTest, testing::ValuesIn(kShapes),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace weft::inline v0
