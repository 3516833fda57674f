// Runs something again and again, each time with another of its allocations
// failing. For programs that include failing_memory.h.
#ifndef WEFT_TESTS_FAIL_EACH_H_
#define WEFT_TESTS_FAIL_EACH_H_

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "tests/failing_memory.h"
#include "tests/greedy.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {

// What a run makes, without memory of its own.
constexpr size_t kSteps = 20;
using Results = std::array<int64_t, kSteps>;

// Runs a door of the library once, or a few of them, and returns the first
// error. What it needs beforehand was made before it.
using Scenario = std::function<absl::StatusCode(Results&)>;

struct NamedScenario {
  const char* name;
  Scenario (*prepare)();
  // How many of the allocations fail in turn, from a random one on; all in
  // release builds unless a run takes too long.
  long runs = std::numeric_limits<long>::max();
};

// A sanitizer takes ten times as long: a share, another one each time.
inline constexpr long kSanitizedRuns = 100;

// A session beside what fails: it goes on throughout.
class Bystander {
 public:
  Bystander() : session_(*TinyModel()->NewSession({})), want_(Decode()) {}
  void GoesOn() {
    const Unlimited unlimited;
    ASSERT_EQ(Decode(), want_);
  }

 private:
  float Decode() {
    session_->Truncate(0, 0);
    const auto logits = session_->Decode(0, 5);
    return logits.ok() ? logits->back() : -1;
  }
  std::unique_ptr<Session> session_;
  float want_;
};

inline void FailEach(const NamedScenario& scenario) {
  const Scenario run = scenario.prepare();
  ASSERT_NE(run, nullptr);
  Bystander bystander;
  // Fills Abseil's table of the system's errors, which stays.
  EXPECT_FALSE(absl::ErrnoToStatus(ENOMEM, "").ok());
  Results want = {}, got = {};
  ASSERT_EQ(run(want), absl::StatusCode::kOk);  // fills what is kept
  const long begin = memory_counts.asked;
  ASSERT_EQ(run(got), absl::StatusCode::kOk);
  ASSERT_EQ(got, want);
  const long total = memory_counts.asked - begin;
  testing::Test::RecordProperty("allocations", std::to_string(total));
  const long runs =
      kSanitized ? std::min(scenario.runs, kSanitizedRuns) : scenario.runs;
  const long stride = std::max(1l, total / runs);
  const long first =
      std::chrono::steady_clock::now().time_since_epoch().count() % stride;
  for (long k = first; k < total; k += stride) {
    SCOPED_TRACE("allocation " + std::to_string(k) + " of " +
                 std::to_string(total));
    const long live = memory_counts.live, mapped = memory_counts.mapped;
    got = {};
    memory_counts.fails_at = memory_counts.asked + k;
    const absl::StatusCode code = run(got);
    memory_counts.fails_at = -1;
    // Some do with less: algorithms of the standard library, PCRE2's compiler
    // for this machine, loops that get no second thread.
    if (code == absl::StatusCode::kOk)
      ASSERT_EQ(got, want);
    else
      ASSERT_EQ(code, absl::StatusCode::kResourceExhausted);
    ASSERT_EQ(memory_counts.live, live) << "leaked";
    ASSERT_EQ(memory_counts.mapped, mapped) << "leaked";
    ASSERT_NO_FATAL_FAILURE(bystander.GoesOn());
  }
}

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_FAIL_EACH_H_
