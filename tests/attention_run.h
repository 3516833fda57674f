// Attention over caches as models run it, step by step: rows are appended, then
// queries read what their sequence has so far.
#ifndef WEFT_TESTS_ATTENTION_RUN_H_
#define WEFT_TESTS_ATTENTION_RUN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "ops/composite.h"

namespace weft::inline v0 {

struct AttentionSetup {
  int64_t heads = 4, groups = 2, d = 16, e = 16;
  int64_t context = 64;
  int64_t slots = 1;
  int64_t tokens = 64;  // of the largest step
  DType kv_k = DType::kF32, kv_v = DType::kF32;
  AttendOptions options = {.scale = 0.25};
  // [heads][context], added to the scores; empty: none.
  std::vector<float> bias = {};
  std::string backend = "cpu";
  BackendOptions backend_options = {.threads = 1, .target = ""};
};

class AttentionRun {
 public:
  explicit AttentionRun(AttentionSetup setup);

  // Seeded numbers of a token: its query [heads][d], key [groups][d] and value
  // [groups][e]. Tests may change them before they are used.
  struct Token {
    std::vector<float> q, k, v;
  };
  Token& At(int64_t slot, int64_t pos) {
    return tokens_[static_cast<size_t>(slot * setup_.context + pos)];
  }

  // The results of one step, [tokens][heads][e].
  struct Place {
    int64_t slot, pos;
  };
  absl::StatusOr<std::vector<float>> Step(absl::Span<const Place> places);
  // Those of positions [begin, end) of a slot, `chunk` a step. Failures are
  // reported to GoogleTest.
  std::vector<float> Positions(int64_t begin, int64_t end, int64_t chunk,
                               int64_t slot = 0);

  const BackendPlan& plan() const { return executable_->plan(); }

 private:
  AttentionSetup setup_;
  std::vector<Token> tokens_;
  std::unique_ptr<Executable> executable_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_ATTENTION_RUN_H_
