// Requests that share steps get what each would get alone.
#include <algorithm>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "models/scheduler.h"
#include "tests/greedy.h"

namespace weft::inline v0 {
namespace {

std::unique_ptr<Scheduler> Make(int slots, int64_t batch,
                                SchedulerOptions options = {}) {
  SessionOptions o;
  o.slots = slots;
  o.logits_rows = slots;
  o.batch = batch;
  auto session = TinyModel()->NewSession(o);
  EXPECT_TRUE(session.ok()) << session.status();
  auto made = Scheduler::Make(*std::move(session), options);
  EXPECT_TRUE(made.ok()) << made.status();
  return *std::move(made);
}

std::vector<Token> Prompt(int number, int length) {
  std::vector<Token> out;
  for (int i = 0; i < length; ++i) out.push_back((number * 5 + i * 3) % 20 + 1);
  return out;
}

struct Got {
  std::vector<Token> tokens;
  std::optional<RequestEnd> end;
};

Request Greedily(std::vector<Token> prompt, int64_t max_tokens, Got* got) {
  Request r;
  r.prompt = std::move(prompt);
  r.max_tokens = max_tokens;
  r.sampler.temperature = 0;
  r.stop_at_end = false;
  r.on_token = [got](Token token) {
    got->tokens.push_back(token);
    return true;
  };
  r.on_end = [got](RequestEnd end, const absl::Status& status) {
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE(got->end.has_value());
    got->end = end;
  };
  return r;
}

void RunAll(Scheduler& scheduler, int most_steps = 1000) {
  for (int i = 0; scheduler.busy(); ++i) {
    ASSERT_LT(i, most_steps) << "never ends";
    const absl::Status step = scheduler.Step();
    ASSERT_TRUE(step.ok()) << step;
  }
}

class SchedulerTest : public testing::TestWithParam<int64_t> {};

// More requests than slots, of all lengths, some of which come while others
// run; steps from barely enough to all at once.
TEST_P(SchedulerTest, EachGetsWhatItGetsAlone) {
  auto scheduler = Make(3, 64, {.step_tokens = GetParam()});
  std::vector<Got> got(9);
  const auto length = [](int i) { return 1 + i * 11 % 40; };
  const auto count = [](int i) { return 1 + i * 7 % 20; };
  for (int i = 0; i < 9; ++i) {
    const auto id = scheduler->Submit(
        Greedily(Prompt(i, length(i)), count(i), &got[static_cast<size_t>(i)]));
    ASSERT_TRUE(id.ok()) << id.status();
    if (i % 2 == 1) {
      ASSERT_TRUE(scheduler->Step().ok());
    }
  }
  RunAll(*scheduler);
  for (int i = 0; i < 9; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(got[static_cast<size_t>(i)].tokens,
              GreedyAlone(*TinyModel(), Prompt(i, length(i)), count(i)));
    EXPECT_EQ(got[static_cast<size_t>(i)].end, RequestEnd::kMaxTokens);
  }
}
INSTANTIATE_TEST_SUITE_P(StepTokens, SchedulerTest, testing::Values(3, 7, 64));

TEST(Scheduler, DecodingGoesOnBesideALongPrompt) {
  auto scheduler = Make(2, 8);
  Got talker, reader;
  ASSERT_TRUE(scheduler->Submit(Greedily({1}, 30, &talker)).ok());
  ASSERT_TRUE(scheduler->Step().ok());
  ASSERT_TRUE(scheduler->Submit(Greedily(Prompt(1, 50), 1, &reader)).ok());
  // 7 tokens of the prompt beside 1 of the talker: 8 steps.
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(reader.tokens.empty());
    const size_t before = talker.tokens.size();
    ASSERT_TRUE(scheduler->Step().ok());
    EXPECT_EQ(talker.tokens.size(), before + 1);
  }
  EXPECT_EQ(reader.end, RequestEnd::kMaxTokens);
}

TEST(Scheduler, ShortPromptsDoNotWaitForLongOnes) {
  auto scheduler = Make(2, 8);
  Got lengthy, brief;
  ASSERT_TRUE(scheduler->Submit(Greedily(Prompt(1, 60), 1, &lengthy)).ok());
  ASSERT_TRUE(scheduler->Submit(Greedily(Prompt(2, 4), 1, &brief)).ok());
  ASSERT_TRUE(scheduler->Step().ok());
  EXPECT_EQ(brief.end, RequestEnd::kMaxTokens);
  EXPECT_FALSE(lengthy.end.has_value());
}

TEST(Scheduler, EndsForEachReason) {
  auto scheduler = Make(2, 64);
  Got full, stopped, refused;
  ASSERT_TRUE(scheduler->Submit(Greedily(Prompt(1, 60), 100, &full)).ok());
  Request request = Greedily({1, 2}, 100, &stopped);
  request.on_token = [&stopped](Token token) {
    stopped.tokens.push_back(token);
    return stopped.tokens.size() < 3;
  };
  ASSERT_TRUE(scheduler->Submit(std::move(request)).ok());
  const auto waits = scheduler->Submit(Greedily({1}, 5, &refused));
  ASSERT_TRUE(waits.ok());
  EXPECT_TRUE(scheduler->Stop(*waits));
  EXPECT_FALSE(scheduler->Stop(*waits));
  EXPECT_EQ(refused.end, RequestEnd::kStopped);
  RunAll(*scheduler);
  EXPECT_EQ(full.end, RequestEnd::kContextFull);
  EXPECT_EQ(full.tokens.size(), 5u);  // of 64 positions; the last is not seen
  EXPECT_EQ(stopped.end, RequestEnd::kStopped);
  EXPECT_EQ(stopped.tokens.size(), 3u);
}

// In the step in which it had been given a row of logits.
TEST(Scheduler, ARequestThatEndsMayStopOthers) {
  auto scheduler = Make(3, 64);
  Got first, other, third;
  Request request = Greedily({1}, 1, &first);
  int64_t other_id = 0;
  request.on_end = [&](RequestEnd end, const absl::Status&) {
    first.end = end;
    EXPECT_TRUE(scheduler->Stop(other_id));
  };
  ASSERT_TRUE(scheduler->Submit(std::move(request)).ok());
  const auto id = scheduler->Submit(Greedily({2}, 5, &other));
  ASSERT_TRUE(id.ok());
  other_id = *id;
  ASSERT_TRUE(scheduler->Submit(Greedily({3}, 5, &third)).ok());
  RunAll(*scheduler);
  EXPECT_EQ(first.end, RequestEnd::kMaxTokens);
  EXPECT_EQ(other.end, RequestEnd::kStopped);
  EXPECT_TRUE(other.tokens.empty());
  EXPECT_EQ(third.tokens, GreedyAlone(*TinyModel(), {3}, 5));
}

// Which begins with the answer, not with the prompt.
TEST(Scheduler, AnswersKeepToTheirGrammar) {
  auto scheduler = Make(2, 64);
  const auto grammar = Grammar::Parse(R"(root ::= "ab" | "cd")");
  ASSERT_TRUE(grammar.ok()) << grammar.status();
  std::vector<Got> got(3);
  for (int i = 0; i < 3; ++i) {
    Request request =
        Greedily(Prompt(i, 5 + i), 20, &got[static_cast<size_t>(i)]);
    request.sampler.grammar = *grammar;
    request.stop_at_end = true;
    const auto id = scheduler->Submit(std::move(request));
    ASSERT_TRUE(id.ok()) << id.status();
  }
  RunAll(*scheduler);
  for (const Got& g : got) {
    std::string text;
    for (const Token token : g.tokens)
      text += TinyModel()->tokenizer().Piece(token, false).value_or("?");
    EXPECT_TRUE(text == "ab" || text == "cd") << text;
    EXPECT_EQ(g.end, RequestEnd::kEndOfText);
  }
}

TEST(Scheduler, ACancelledStepIsMadeAgain) {
  auto scheduler = Make(2, 64);
  Got got;
  ASSERT_TRUE(scheduler->Submit(Greedily(Prompt(3, 9), 6, &got)).ok());
  const std::atomic<bool> cancel{true};
  for (int i = 0; i < 10 && scheduler->busy(); ++i) {
    EXPECT_TRUE(absl::IsCancelled(scheduler->Step(&cancel)));
    ASSERT_TRUE(scheduler->Step().ok());
  }
  EXPECT_EQ(got.tokens, GreedyAlone(*TinyModel(), Prompt(3, 9), 6));
}

TEST(Scheduler, SaysWhatIsWrong) {
  auto scheduler = Make(2, 64, {.max_waiting = 1});
  EXPECT_TRUE(absl::IsInvalidArgument(scheduler->Submit({}).status()));
  EXPECT_TRUE(absl::IsOutOfRange(scheduler->Submit({.prompt = {-1}}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      scheduler->Submit({.prompt = Prompt(1, 64)}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      scheduler->Submit({.prompt = {1}, .max_tokens = 0}).status()));
  EXPECT_TRUE(scheduler->Submit({.prompt = {1}}).ok());
  EXPECT_TRUE(
      absl::IsResourceExhausted(scheduler->Submit({.prompt = {1}}).status()));
  SessionOptions o;
  o.slots = 2;
  auto session = TinyModel()->NewSession(o);
  ASSERT_TRUE(session.ok());
  EXPECT_TRUE(
      absl::IsInvalidArgument(Scheduler::Make(*std::move(session)).status()));
}

}  // namespace
}  // namespace weft::inline v0
