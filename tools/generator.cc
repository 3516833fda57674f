#include "tools/generator.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "tools/stopwatch.h"

namespace weft::inline v0 {
namespace {

std::string Rate(absl::string_view what, int64_t tokens, int64_t steps,
                 double seconds) {
  std::string line = absl::StrFormat("%-9s %5d tokens", what, tokens);
  if (steps > 0 && seconds > 0)
    absl::StrAppendFormat(&line, " %9.1f tokens/s",
                          static_cast<double>(steps) / seconds);
  return line;
}

}  // namespace

absl::StatusOr<Generator> Generator::Make(TextModel* model,
                                          GeneratorOptions options) {
  std::shared_ptr<const TokenPieces> pieces;
  if (options.sampler.NeedsPieces())
    pieces = std::make_shared<const TokenPieces>(model->tokenizer());
  WEFT_ASSIGN_OR_RETURN(Sampler sampler,
                        Sampler::Make(options.sampler, std::move(pieces)));
  return Generator(model, std::move(options), std::move(sampler));
}

absl::StatusOr<StopReason> Generator::Begin(absl::string_view prompt) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens, Tokenize(prompt));
  model_->Restart();
  sampler_.Reset();
  utf8_ = Utf8Stream();
  for (const Token token : tokens) sampler_.Observe(token);
  return Run(tokens);
}

absl::StatusOr<StopReason> Generator::Continue() {
  if (last_ == kNoToken || model_->position() >= model_->context())
    return absl::FailedPreconditionError("there is no text to go on with");
  const Token last = last_;
  return Run({&last, 1});
}

absl::StatusOr<StopReason> Generator::Answer(int64_t kept,
                                             absl::Span<const Token> tokens) {
  if (tokens.empty()) return absl::InvalidArgumentError("nothing to answer");
  const int64_t room = model_->context() - kept;
  if (static_cast<int64_t>(tokens.size()) > room) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the conversation has ", kept + static_cast<int64_t>(tokens.size()),
        " tokens, the context ", model_->context(),
        " positions: use a larger --context or begin a new conversation"));
  }
  model_->Rewind(kept);
  utf8_ = Utf8Stream();
  sampler_.RestartGrammar();
  for (const Token token : tokens) sampler_.Observe(token);
  return Run(tokens);
}

absl::Status CheckPrompt(absl::string_view prompt) {
  if (!prompt.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "the prompt is empty; give at least a word to go on with");
}

absl::StatusOr<std::vector<Token>> Generator::Tokenize(
    absl::string_view prompt) const {
  const Tokenizer& tokenizer = model_->tokenizer();
  WEFT_RETURN_IF_ERROR(CheckPrompt(prompt));
  WEFT_ASSIGN_OR_RETURN(std::vector<Token> tokens,
                        tokenizer.Encode(prompt, {.add_special = true}));
  // Some models ask for an EOS after a text; this one is to go on.
  if (!tokens.empty() && tokens.back() == tokenizer.eos()) tokens.pop_back();
  if (static_cast<int64_t>(tokens.size()) > model_->context())
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", tokens.size(), " tokens, the context ",
                     model_->context(),
                     " positions: use a larger --context or a shorter "
                     "prompt"));
  return tokens;
}

absl::StatusOr<StopReason> Generator::Run(absl::Span<const Token> tokens) {
  stats_ = {};
  generated_.clear();
  last_ = kNoToken;
  const Stopwatch time;
  PrefillOptions prefill;
  prefill.cancel = options_.cancel;
  prefill.progress = options_.progress;
  const auto logits = model_->Prefill(tokens, prefill);
  if (absl::IsCancelled(logits.status())) return StopReason::kInterrupted;
  WEFT_RETURN_IF_ERROR(logits.status());
  stats_.prompt_seconds = time.Seconds();
  stats_.prompt_tokens = static_cast<int64_t>(tokens.size());
  WEFT_ASSIGN_OR_RETURN(const StopReason reason, Generate(*logits));
  WEFT_RETURN_IF_ERROR(options_.write(utf8_.Finish()));
  return reason;
}

absl::StatusOr<StopReason> Generator::Generate(absl::Span<const float> logits) {
  while (true) {
    if (Cancelled()) return StopReason::kInterrupted;
    WEFT_ASSIGN_OR_RETURN(const bool more, Take(logits));
    if (!more) return StopReason::kEndOfText;
    if (options_.max_tokens > 0 && stats_.tokens >= options_.max_tokens)
      return StopReason::kMaxTokens;
    if (model_->position() >= model_->context())
      return StopReason::kContextFull;
    const Stopwatch time;
    const auto next = model_->Decode(last_, options_.cancel);
    if (absl::IsCancelled(next.status())) return StopReason::kInterrupted;
    WEFT_RETURN_IF_ERROR(next.status());
    logits = *next;
    stats_.decode_seconds += time.Seconds();
    ++stats_.decode_steps;
  }
}

absl::StatusOr<bool> Generator::Take(absl::Span<const float> logits) {
  const Stopwatch time;
  WEFT_ASSIGN_OR_RETURN(const Token token, sampler_.Sample(logits));
  if (model_->tokenizer().IsEndOfGeneration(token)) {
    last_ = kNoToken;
    return false;
  }
  sampler_.Accept(token);
  last_ = token;
  generated_.push_back(token);
  ++stats_.tokens;
  stats_.decode_seconds += time.Seconds();
  WEFT_ASSIGN_OR_RETURN(const std::string piece,
                        model_->tokenizer().Piece(token));
  WEFT_RETURN_IF_ERROR(options_.write(utf8_.Push(piece)));
  return true;
}

bool Generator::Cancelled() const {
  return options_.cancel != nullptr &&
         options_.cancel->load(std::memory_order_relaxed);
}

std::string Describe(const GeneratorStats& stats) {
  return absl::StrCat(Rate("prompt", stats.prompt_tokens, stats.prompt_tokens,
                           stats.prompt_seconds),
                      "\n",
                      Rate("generated", stats.tokens, stats.decode_steps,
                           stats.decode_seconds));
}

}  // namespace weft::inline v0
