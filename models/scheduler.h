// Many clients on one model: requests wait, get a slot, are stepped together
// and leave, each when it is done.
//
// Each step takes at most Session's `batch` tokens: first one of every sequence
// that is being decoded, then as much of the prompts of those that are not yet
// as fits, in equal shares. So a long prompt delays nobody by more than a step,
// and the weights are read once for all.
//
//   auto scheduler = Scheduler::Make(std::move(session));
//   auto id = (*scheduler)->Submit({.prompt = tokens, .on_token = ...});
//   while ((*scheduler)->busy()) absl::Status status = (*scheduler)->Step();
#ifndef WEFT_MODELS_SCHEDULER_H_
#define WEFT_MODELS_SCHEDULER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/engine.h"
#include "models/sampler.h"

namespace weft::inline v0 {

// Why a request ended.
enum class RequestEnd {
  kEndOfText,  // the model ended the text
  kMaxTokens,
  kContextFull,  // the slot has no more positions
  kStopped,      // on_token said so, or Scheduler::Stop
  kFailed,       // no token could be sampled, or its state was lost; see status
};

struct Request {  // A text to be continued.
  std::vector<Token> prompt;
  int64_t max_tokens = 256;
  SamplerOptions sampler = {};
  // False: an end-of-text token is a token like any other.
  bool stop_at_end = true;
  // Called in Step(), in order, with each token but the one that ends the text;
  // false stops the request. Must not call the scheduler.
  std::function<bool(Token token)> on_token = nullptr;
  // Called once, in Step() or Stop(), when the request is done. May Submit()
  // and Stop() others. Neither callback may throw.
  std::function<void(RequestEnd end, const absl::Status& status)> on_end =
      nullptr;
};

struct SchedulerOptions {  // The bounds of a step.
  // Tokens of a step, at most the session's batch; 0: just that. Smaller steps
  // answer those who decode sooner and take longer over prompts.
  int64_t step_tokens = 0;
  // Requests that may wait for a slot.
  size_t max_waiting = 1 << 16;
};

// Not thread-safe: a server calls it from one thread and hands it requests
// through a queue of its own.
class Scheduler {
 public:
  // Takes the session, all of whose slots it uses. InvalidArgument where that
  // is null, unless its logits_rows is at least its slots, or with step_tokens
  // below its slots;
  // FailedPrecondition for models without logits.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Make(
      std::unique_ptr<Session> session, const SchedulerOptions& options = {});

  // The number of the request. InvalidArgument for an empty prompt, sampler
  // options out of range and one that fills the context; OutOfRange for a token
  // outside the vocabulary; ResourceExhausted when too many wait.
  absl::StatusOr<int64_t> Submit(Request request);
  // Ends a request with kStopped. False when there is none of that number.
  bool Stop(int64_t id);

  // One step of all sequences, nothing when there is none. After an error
  // (Cancelled, ResourceExhausted) it may be called again: sequences are as
  // they were, or have ended with kFailed where the architecture cannot rewind.
  // A request whose sampling fails, for lack of memory too, ends with kFailed,
  // and the others go on.
  absl::Status Step(const std::atomic<bool>* cancel = nullptr);

  bool busy() const { return !waiting_.empty() || active() > 0; }
  size_t waiting() const { return waiting_.size(); }
  int active() const;
  const Session& session() const { return *session_; }

 private:
  // A request in a slot, or the place of one.
  struct Sequence {
    int64_t id = 0;  // 0: the slot is free
    Request request;
    std::optional<Sampler> sampler;
    size_t prefilled = 0;   // tokens of the prompt that the model has seen
    Token last = kNoToken;  // sampled, not seen yet
    int64_t generated = 0;
    bool wants_row = false;  // of this step
    int64_t tokens = 0;      // in this step
    bool decodes() const { return prefilled == request.prompt.size(); }
    // To that of no request. A new one's options would take memory.
    void Clear() {
      id = 0;
      request.prompt.clear();
      request.on_token = nullptr;
      request.on_end = nullptr;
      sampler.reset();
      prefilled = 0;
      last = kNoToken;
      generated = 0;
      wants_row = false;
      tokens = 0;
    }
  };
  struct Waiting {
    int64_t id;
    Request request;
    Sampler sampler;
  };

  Scheduler(std::unique_ptr<Session> session, int64_t step_tokens,
            size_t max_waiting);
  absl::Status RunStep(const std::atomic<bool>* cancel);
  void Admit();
  void EndFullOnes();
  void FillBatch();
  void AddTokens(int slot, int64_t count);
  void Take(Sequence& sequence, absl::Span<const float> logits);
  void End(Sequence& sequence, RequestEnd end, const absl::Status& status);

  std::unique_ptr<Session> session_;
  int64_t step_tokens_;
  size_t max_waiting_;
  int64_t next_id_ = 1;
  int first_slot_ = 0;  // who comes first in this step
  std::deque<Waiting> waiting_;
  std::vector<Sequence> sequences_;  // by slot
  std::vector<StepToken> batch_;
  std::shared_ptr<const TokenPieces> pieces_;  // once a sampler needs them
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SCHEDULER_H_
