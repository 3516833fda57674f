// The speed of a model: what weft-bench measures.
#ifndef WEFT_TOOLS_BENCH_H_
#define WEFT_TOOLS_BENCH_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/engine.h"
#include "ops/work.h"
#include "tools/profile_summary.h"
#include "tools/roofline.h"

namespace weft::inline v0 {

struct BenchOptions {
  int64_t prompt = 512;   // tokens of a prefill
  int64_t generate = 64;  // tokens of a decode, one step each
  // Of the decode: a token of each in every step. Each has its `depth` tokens.
  int sequences = 1;
  int64_t depth = 0;  // tokens that stand in the cache before either
  int reps = 5;       // repetitions that count, after one that does not
  uint64_t seed = 1;  // of the tokens
  bool profile = false;
  int64_t trace_room = 0;  // events of the profile to keep in BenchRun::trace
  // Memory that the probe reads, in bytes; 0: no limits are measured.
  int64_t probe_bytes = 0;
  SessionOptions session;  // threads apart
  // Called now and then with the share of a Measure() that is done.
  std::function<void(double share)> progress;
};

struct Spread {
  double median = 0, least = 0, most = 0;
  // The distance between the extremes, as a part of the median.
  double relative() const { return median > 0 ? (most - least) / median : 0; }
};
Spread SpreadOf(std::vector<double> values);  // not empty

// One kind of work.
struct BenchTest {
  std::string name;             // "prefill", "decode" or "decode of 8"
  int64_t tokens = 0;           // in a repetition
  std::vector<double> seconds;  // of each repetition
  Work work;                    // in a repetition
  std::vector<StepSize> steps;  // in a repetition
  // All limits; the read rate is the better of those taken just before and just
  // after, since it is not the same from minute to minute on shared machines.
  Limits limits;
  // Of as many repetitions again, which do not count; null when it was not
  // asked for.
  std::unique_ptr<ProfileSummary> profile;

  std::vector<double> tokens_per_second() const;
  // Weights and states: what must come from memory when it is far larger than
  // the caches.
  int64_t memory_bytes() const { return work.weight_bytes + work.state_bytes; }
};

// What was measured with one number of threads.
struct BenchRun {
  int threads = 0;
  std::string target;                     // the instruction set
  std::vector<std::string> on_reference;  // ops without a kernel: slow
  int64_t context = 0;                    // positions of the KV cache
  std::vector<ReadRate> reads;  // before, between and after the tests, or empty
  std::vector<Peak> peaks;
  std::vector<BenchTest> tests;
  std::string trace;  // JSON, see TraceJson(); empty when it was not asked for
  absl::Status pack_cache;  // see Session::pack_cache_status()
};

// What a probe may read without harm to others: `wanted` bytes, but no more
// than half of the memory that is free.
int64_t ProbeBytes(int64_t wanted);

// A prefill of `prompt` tokens as Session::Prefill does it, and a decode of
// `generate` tokens that takes no part of the prefill's; both begin at `depth`.
absl::StatusOr<BenchRun> Measure(const Model& model, int threads,
                                 const BenchOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_BENCH_H_
