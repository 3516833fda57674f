#include "models/scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/no_throw.h"

namespace weft::inline v0 {

Scheduler::Scheduler(std::unique_ptr<Session> session, int64_t step_tokens,
                     size_t max_waiting)
    : session_(std::move(session)),
      step_tokens_(step_tokens),
      max_waiting_(max_waiting),
      sequences_(static_cast<size_t>(session_->options().slots)) {
  batch_.reserve(static_cast<size_t>(step_tokens_));
}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Make(
    std::unique_ptr<Session> session, const SchedulerOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<std::unique_ptr<Scheduler>> {
    if (session == nullptr)
      return absl::InvalidArgumentError("the scheduler's session is null");
    const SessionOptions& o = session->options();
    if (!session->model().architecture().causal || o.embeddings)
      return absl::FailedPreconditionError(
          "a scheduler generates text: it needs a session that gives logits");
    if (o.logits_rows < o.slots)
      return absl::InvalidArgumentError(absl::StrCat(
          "the session's logits_rows is ", o.logits_rows,
          "; a scheduler needs one for each of its ", o.slots, " slots"));
    const int64_t step = options.step_tokens == 0
                             ? o.batch
                             : std::min(options.step_tokens, o.batch);
    if (step < o.slots)
      return absl::InvalidArgumentError(
          absl::StrCat("a step of ", step,
                       " tokens; expected at least one for "
                       "each of the session's ",
                       o.slots, " slots"));
    return std::unique_ptr<Scheduler>(
        new Scheduler(std::move(session), step, options.max_waiting));
  });
}

absl::StatusOr<int64_t> Scheduler::Submit(Request request) {
  return NoThrow([&]() -> absl::StatusOr<int64_t> {
    if (request.prompt.empty())
      return absl::InvalidArgumentError("the prompt has no tokens");
    const auto n = static_cast<int64_t>(request.prompt.size());
    if (n >= session_->options().context)
      return absl::InvalidArgumentError(absl::StrCat(
          "a prompt of ", n, " tokens; the context of ",
          session_->options().context, " positions leaves no room for more"));
    const int64_t vocab = session_->model().vocab_size();
    for (const Token token : request.prompt)
      if (token < 0 || token >= vocab)
        return absl::OutOfRangeError(absl::StrCat(
            "token ", token, " lies outside the vocabulary of ", vocab));
    if (request.max_tokens < 1)
      return absl::InvalidArgumentError(absl::StrCat(
          "max_tokens is ", request.max_tokens, "; expected 1 or more"));
    if (waiting_.size() >= max_waiting_)
      return absl::ResourceExhaustedError(
          absl::StrCat(waiting_.size(), " requests wait already"));
    if (pieces_ == nullptr && request.sampler.NeedsPieces())
      pieces_ =
          std::make_shared<const TokenPieces>(session_->model().tokenizer());
    WEFT_ASSIGN_OR_RETURN(Sampler sampler,
                          Sampler::Make(request.sampler, pieces_));
    for (const Token token : request.prompt) sampler.Observe(token);
    waiting_.push_back({next_id_, std::move(request), std::move(sampler)});
    return next_id_++;
  });
}

bool Scheduler::Stop(int64_t id) {
  for (Sequence& sequence : sequences_) {
    if (sequence.id != id || id == 0) continue;
    End(sequence, RequestEnd::kStopped, absl::OkStatus());
    return true;
  }
  for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
    if (at->id != id) continue;
    const auto on_end = std::move(at->request.on_end);
    waiting_.erase(at);
    if (on_end) on_end(RequestEnd::kStopped, absl::OkStatus());
    return true;
  }
  return false;
}

int Scheduler::active() const {
  return static_cast<int>(
      std::count_if(sequences_.begin(), sequences_.end(),
                    [](const Sequence& s) { return s.id != 0; }));
}

void Scheduler::End(Sequence& sequence, RequestEnd end,
                    const absl::Status& status) {
  // Free before the host hears of it: it may submit the next one.
  const auto on_end = std::move(sequence.request.on_end);
  sequence.Clear();
  if (on_end) on_end(end, status);
}

void Scheduler::Admit() {
  for (size_t slot = 0; slot < sequences_.size(); ++slot) {
    if (sequences_[slot].id != 0 || waiting_.empty()) continue;
    Sequence& sequence = sequences_[slot];
    sequence.id = waiting_.front().id;
    sequence.request = std::move(waiting_.front().request);
    sequence.sampler = std::move(waiting_.front().sampler);
    waiting_.pop_front();
    session_->Truncate(static_cast<int>(slot), 0);
  }
}

void Scheduler::EndFullOnes() {
  for (size_t slot = 0; slot < sequences_.size(); ++slot) {
    Sequence& s = sequences_[slot];
    if (s.id != 0 && s.decodes() &&
        session_->position(static_cast<int>(slot)) >=
            session_->options().context)
      End(s, RequestEnd::kContextFull, absl::OkStatus());
  }
}

void Scheduler::AddTokens(int slot, int64_t count) {
  Sequence& s = sequences_[static_cast<size_t>(slot)];
  if (s.decodes()) {
    batch_.push_back({s.last, slot, true});
    s.wants_row = true;
  } else {
    for (int64_t i = 0; i < count; ++i) {
      const size_t at = s.prefilled + static_cast<size_t>(s.tokens + i);
      s.wants_row = at + 1 == s.request.prompt.size();
      batch_.push_back({s.request.prompt[at], slot, s.wants_row});
    }
  }
  s.tokens += count;
}

void Scheduler::FillBatch() {
  batch_.clear();
  const int slots = static_cast<int>(sequences_.size());
  int64_t prompts = 0;
  for (int slot = 0; slot < slots; ++slot) {
    Sequence& s = sequences_[static_cast<size_t>(slot)];
    s.tokens = 0;
    s.wants_row = false;
    if (s.id == 0) continue;
    if (s.decodes()) {
      AddTokens(slot, 1);
    } else {
      ++prompts;
    }
  }
  // What is left, in equal shares; what one does not need the next ones get.
  // Each step begins with another slot, so that rounding favours nobody.
  for (int i = 0; i < slots && prompts > 0; ++i) {
    const int slot = (first_slot_ + i) % slots;
    const Sequence& s = sequences_[static_cast<size_t>(slot)];
    if (s.id == 0 || s.decodes()) continue;
    const int64_t left = step_tokens_ - static_cast<int64_t>(batch_.size());
    const int64_t share = (left + prompts - 1) / prompts;
    --prompts;
    const auto rest =
        static_cast<int64_t>(s.request.prompt.size() - s.prefilled);
    AddTokens(slot, std::min({share, rest, left}));
  }
  first_slot_ = (first_slot_ + 1) % slots;
}

void Scheduler::Take(Sequence& s, absl::Span<const float> logits) {
  const absl::StatusOr<Token> token = s.sampler->Sample(logits);
  if (!token.ok()) return End(s, RequestEnd::kFailed, token.status());
  if (s.request.stop_at_end &&
      session_->model().tokenizer().IsEndOfGeneration(*token))
    return End(s, RequestEnd::kEndOfText, absl::OkStatus());
  const absl::Status accepted = NoThrow([&] {
    s.sampler->Accept(*token);
    return absl::OkStatus();
  });
  if (!accepted.ok()) return End(s, RequestEnd::kFailed, accepted);
  s.last = *token;
  ++s.generated;
  if (s.request.on_token && !s.request.on_token(*token))
    return End(s, RequestEnd::kStopped, absl::OkStatus());
  if (s.generated >= s.request.max_tokens)
    return End(s, RequestEnd::kMaxTokens, absl::OkStatus());
}

absl::Status Scheduler::Step(const std::atomic<bool>* cancel) {
  return NoThrow([&] { return RunStep(cancel); });
}

absl::Status Scheduler::RunStep(const std::atomic<bool>* cancel) {
  EndFullOnes();
  Admit();
  if (active() == 0) return absl::OkStatus();
  FillBatch();
  const auto logits = session_->Step(batch_, cancel);
  if (!logits.ok()) {
    // What cannot be taken back is lost (see Session::Prefill).
    for (size_t slot = 0; slot < sequences_.size(); ++slot) {
      Sequence& s = sequences_[slot];
      if (s.id != 0 && s.prefilled > 0 &&
          session_->position(static_cast<int>(slot)) == 0)
        End(s, RequestEnd::kFailed, logits.status());
    }
    return logits.status();
  }
  for (const StepToken& token : batch_) {
    Sequence& s = sequences_[static_cast<size_t>(token.slot)];
    if (!s.decodes()) ++s.prefilled;
  }
  const auto row = static_cast<size_t>(session_->row_size());
  size_t at = 0;
  // Rows come in the order in which the batch wants them. A request that ends
  // may have stopped others.
  for (const StepToken& token : batch_) {
    if (!token.want_logits) continue;
    const auto logits_row = logits->subspan(at++ * row, row);
    Sequence& s = sequences_[static_cast<size_t>(token.slot)];
    if (s.id != 0) Take(s, logits_row);
  }
  return absl::OkStatus();
}

}  // namespace weft::inline v0
