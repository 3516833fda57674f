// Attention gives the same bits for any division of the work: threads, tokens
// of a step, decoding or prefill, other sequences in the step. On every
// instruction set, over caches of several parts (kPart in attention_shape.h).
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/cpu/target_names.h"
#include "gtest/gtest.h"
#include "tests/attention_run.h"

namespace weft::inline v0 {
namespace {

struct Case {
  const char* name;
  AttentionSetup setup;
};

// A step of 64 tokens has 4 heads each: more queries than are read as they are
// stored, and two blocks of queries. So has one token with 9.
const Case kCases[] = {
    {"f32", {.context = 1152}},
    {"f16", {.context = 1152, .kv_k = DType::kF16, .kv_v = DType::kF16}},
    {"bf16", {.context = 1152, .kv_k = DType::kBF16, .kv_v = DType::kBF16}},
    // Heads of whole steps of tile registers; one token has 4 and 9 queries.
    {"bf16_on_tiles",
     {.heads = 8,
      .d = 64,
      .e = 64,
      .context = 1152,
      .kv_k = DType::kBF16,
      .kv_v = DType::kBF16}},
    {"bf16_nine_heads",
     {.heads = 9,
      .groups = 1,
      .d = 96,
      .e = 32,
      .context = 1152,
      .kv_k = DType::kBF16,
      .kv_v = DType::kBF16}},
    // Of seven tokens, all in one register, some do not see a chunk any more.
    {"bf16_window",
     {.heads = 2,
      .d = 64,
      .e = 64,
      .context = 1152,
      .kv_k = DType::kBF16,
      .kv_v = DType::kBF16,
      .options = {.scale = 0.25, .window = 600}}},
    {"bf16_values",
     {.d = 64,
      .e = 96,
      .context = 1152,
      .kv_k = DType::kF16,
      .kv_v = DType::kBF16,
      .options = {.scale = 0.25, .window = 600}}},
    {"q8_0", {.context = 1152, .kv_k = DType::kQ8_0, .kv_v = DType::kQ8_0}},
    {"q4_0", {.context = 1152, .kv_k = DType::kQ4_0, .kv_v = DType::kQ4_0}},
    {"mixed_odd_heads",
     {.heads = 3,
      .groups = 3,
      .d = 37,
      .e = 20,
      .context = 1152,
      .kv_k = DType::kQ8_0,
      .kv_v = DType::kF16}},
    {"narrow", {.d = 8, .e = 8, .context = 1152, .kv_v = DType::kQ4_0}},
    {"nine_heads", {.heads = 9, .groups = 1, .d = 40, .context = 1152}},
    {"window",
     {.context = 1152,
      .kv_k = DType::kF16,
      .kv_v = DType::kF16,
      .options = {.scale = 0.25, .window = 600}}},
    {"softcap",
     {.context = 1152,
      .kv_k = DType::kQ8_0,
      .options = {.scale = 0.25, .softcap = 4}}},
};

// An emulator needs a hundred times as long: one instruction set and half of
// the divisions have to do.
constexpr bool kEmulated = sizeof(WEFT_EMULATOR) > 1;

std::vector<std::string> Targets() {
  std::vector<std::string> targets = cpu::RunnableTargets();
  if (kEmulated) targets.erase(targets.begin(), targets.end() - 1);
  return targets;
}

class AttentionRepeatTest
    : public testing::TestWithParam<std::tuple<Case, std::string>> {
 protected:
  static AttentionSetup Threads(int threads) {
    AttentionSetup setup = std::get<0>(GetParam()).setup;
    setup.backend_options = {threads, std::get<1>(GetParam())};
    return setup;
  }
};

void ExpectSameBits(const std::vector<float>& got,
                    const std::vector<float>& want, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_EQ(std::memcmp(&got[i], &want[i], sizeof(float)), 0)
        << what << ": number " << i << " is " << got[i] << ", wanted "
        << want[i];
}

// The start of a sequence, and positions around the beginning of a third part.
TEST_P(AttentionRepeatTest, AnyChunksAndThreads) {
  AttentionRun whole(Threads(1));
  const std::vector<float> start = whole.Positions(0, 70, 64);
  whole.Positions(70, 1000, 64);
  const std::vector<float> end = whole.Positions(1000, 1063, 64);
  std::vector<std::pair<int, int>> divisions = {{3, 1}, {2, 7}};
  if (!kEmulated) divisions.insert(divisions.end(), {{1, 1}, {3, 64}});
  for (const auto& [threads, chunk] : divisions) {
    const std::string what =
        absl::StrCat("chunks of ", chunk, ", ", threads, " threads");
    AttentionRun run(Threads(threads));
    ExpectSameBits(run.Positions(0, 70, chunk), start, what);
    run.Positions(70, 1000, 64);
    ExpectSameBits(run.Positions(1000, 1063, chunk), end, what);
  }
}

TEST_P(AttentionRepeatTest, OtherSequencesInTheStep) {
  constexpr int64_t kLength[] = {40, 600, 23};
  AttentionSetup setup = Threads(2);
  setup.slots = 3;
  setup.context = 640;
  std::vector<std::vector<float>> alone;
  for (int64_t slot = 0; slot < 3; ++slot) {
    AttentionRun run(setup);
    run.Positions(0, kLength[slot], 64, slot);
    alone.push_back(run.Positions(kLength[slot], kLength[slot] + 12, 12, slot));
  }
  AttentionRun run(setup);
  for (int64_t slot = 0; slot < 3; ++slot)
    run.Positions(0, kLength[slot], 64, slot);
  // Twelve tokens of each, in runs of different lengths.
  std::vector<AttentionRun::Place> places;
  int64_t next[3] = {kLength[0], kLength[1], kLength[2]};
  for (const int64_t n : {1, 4, 7})
    for (int64_t slot = 0; slot < 3; ++slot)
      for (int64_t i = 0; i < n; ++i) places.push_back({slot, next[slot]++});
  const auto got = run.Step(places);
  ASSERT_TRUE(got.ok()) << got.status();
  const size_t row = got->size() / places.size();
  for (size_t i = 0; i < places.size(); ++i) {
    const auto [slot, pos] = places[i];
    const std::vector<float>& want = alone[static_cast<size_t>(slot)];
    EXPECT_EQ(std::memcmp(
                  got->data() + i * row,
                  want.data() + static_cast<size_t>(pos - kLength[slot]) * row,
                  row * sizeof(float)),
              0)
        << "slot " << slot << ", position " << pos;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionRepeatTest,
                         testing::Combine(testing::ValuesIn(kCases),
                                          testing::ValuesIn(Targets())),
                         [](const auto& test) {
                           return absl::StrCat(std::get<0>(test.param).name,
                                               "_", std::get<1>(test.param));
                         });

}  // namespace
}  // namespace weft::inline v0
