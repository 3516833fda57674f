// Arguments that are null, or no slot, are answered and harm nothing.
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "models/engine.h"
#include "models/runner.h"
#include "models/scheduler.h"
#include "ops/ops.h"
#include "tests/gguf_builder.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

TEST(WrongArguments, SlotsThatDoNotExist) {
  SessionOptions options;
  options.slots = 2;
  auto session = *TinyModel()->NewSession(options);
  ASSERT_TRUE(session->Prefill(1, std::vector<Token>{1, 2, 3}).ok());
  for (const int slot : {-1, 2, 1 << 30}) {
    EXPECT_EQ(session->position(slot), 0);
    EXPECT_EQ(session->Truncate(slot, 0), 0);
    EXPECT_EQ(session->StateBytes(slot), 0);
    EXPECT_TRUE(absl::IsOutOfRange(session->Fork(1, slot)));
    EXPECT_TRUE(absl::IsOutOfRange(session->SaveState(slot, {})));
    EXPECT_TRUE(absl::IsOutOfRange(session->RestoreState(slot, {})));
    EXPECT_TRUE(absl::IsOutOfRange(session->Decode(slot, 3).status()));
  }
  EXPECT_EQ(session->position(1), 3);
}

TEST(WrongArguments, PositionsOutsideTheSequence) {
  auto session = *TinyModel()->NewSession({});
  const std::vector<Token> prompt = {1, 2, 3, 4};
  ASSERT_TRUE(session->Prefill(0, prompt).ok());
  for (const int64_t position : {int64_t{4}, int64_t{5}, kHighest})
    EXPECT_EQ(session->Truncate(0, position), 4);
  EXPECT_EQ(session->Truncate(0, 3), 3);
  for (const int64_t position : {int64_t{-1}, kLowest}) {
    EXPECT_EQ(session->Truncate(0, position), 0);
    EXPECT_EQ(session->position(0), 0);
    EXPECT_TRUE(session->Prefill(0, prompt).ok());
  }
}

TEST(WrongArguments, GraphsAndWeightsThatAreNull) {
  EXPECT_EQ(Runner::Compile(nullptr, RandomWeights(1)).status(),
            absl::InvalidArgumentError("the graph to compile is null"));
  const auto compile = [](bool has_weight, Weights weights) {
    auto graph = std::make_unique<Graph>();
    Value x = graph->Input("x", DType::kF32, {4});
    if (has_weight) x = x + graph->Weight("w", DType::kF32, {4});
    graph->Output("y", Relu(x));
    return Runner::Compile(std::move(graph), std::move(weights)).status();
  };
  EXPECT_TRUE(compile(false, nullptr).ok());
  EXPECT_EQ(compile(true, nullptr),
            absl::NotFoundError("no weights are given; the graph has w"));
  EXPECT_EQ(compile(true, WeightsFromFile(nullptr)),
            absl::NotFoundError("no file is given; expected w"));
}

TEST(WrongArguments, SchedulersWithoutASession) {
  EXPECT_EQ(Scheduler::Make(nullptr).status(),
            absl::InvalidArgumentError("the scheduler's session is null"));
}

TEST(WrongArguments, ArchitecturesThatAreNull) {
  const Architecture without_build = {"llama", nullptr};
  const Architecture* const wrong[] = {&without_build, nullptr};
  for (const Architecture* architecture : wrong) {
    LoadOptions options;
    options.architectures = {architecture};
    const absl::Status status = Model::Load(TinyLlamaPath(), options).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_TRUE(Says(status.message(), "LoadOptions::architectures"));
  }
}

TEST(WrongArguments, FunctionsThatAreNull) {
  EXPECT_TRUE(TinyModel()->TouchPages(nullptr).ok());
  EXPECT_EQ(GgufFile::Read(10, nullptr, "nothing").status(),
            absl::InvalidArgumentError("nothing: the reader is null"));
  auto session = *TinyModel()->NewSession({});
  session->SetTapSink(nullptr);
  EXPECT_TRUE(session->SetProfile(nullptr).ok());
  EXPECT_TRUE(session->Decode(0, 3).ok());
}

}  // namespace
}  // namespace weft::inline v0
