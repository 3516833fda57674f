#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/engine.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

// A pointer to an input's memory as i32.
absl::StatusOr<int32_t*> Ints(Executable& executable, const char* name) {
  WEFT_ASSIGN_OR_RETURN(const auto bytes, executable.Input(name));
  return reinterpret_cast<int32_t*>(bytes.data());
}

}  // namespace

absl::Status Session::Init() {
  WEFT_ASSIGN_OR_RETURN(tokens_, Ints(*executable_, kTokensInput));
  WEFT_ASSIGN_OR_RETURN(pos_, Ints(*executable_, kPosInput));
  WEFT_ASSIGN_OR_RETURN(slot_, Ints(*executable_, kSlotInput));
  WEFT_ASSIGN_OR_RETURN(rows_, Ints(*executable_, kRowsInput));
  for (const Graph::NamedValue& out : graph_->outputs()) {
    hidden_ = out.name == kEmbeddingsOutput;
    if (!hidden_ && out.name != kLogitsOutput) continue;
    WEFT_ASSIGN_OR_RETURN(const auto rows, executable_->Output(out.name));
    rows_out_ = reinterpret_cast<const float*>(rows.data());
    row_size_ = graph_->value(out.value).type.shape.dim(-1).bound();
    break;
  }
  if (hidden_ && !options_.embeddings)
    return absl::FailedPreconditionError(
        absl::StrCat("the architecture ", model_->architecture().name,
                     " has no logits; its hidden states come with "
                     "SessionOptions::embeddings"));
  positions_.assign(static_cast<size_t>(options_.slots), 0);
  pending_ = positions_;
  written_ = positions_;
  batch_.reserve(static_cast<size_t>(options_.batch));
  return absl::OkStatus();
}

absl::Status Session::CheckStep(absl::Span<const StepToken> batch) const {
  if (batch.empty())
    return absl::InvalidArgumentError("there are no tokens to evaluate");
  if (static_cast<int64_t>(batch.size()) > options_.batch)
    return absl::InvalidArgumentError(
        absl::StrCat("a step of ", batch.size(),
                     " tokens; this session takes "
                     "up to batch = ",
                     options_.batch));
  int64_t wanted = 0;
  for (const StepToken& t : batch) {
    wanted += t.want_logits;
    WEFT_RETURN_IF_ERROR(CheckSlot(t.slot));
    if (t.token < 0 || t.token >= model_->vocab_size())
      return absl::OutOfRangeError(
          absl::StrCat("token ", t.token, " lies outside the vocabulary of ",
                       model_->vocab_size()));
  }
  if (!model_->architecture().causal)
    for (const StepToken& t : batch)
      if (t.slot != batch[0].slot || position(t.slot) != 0)
        return absl::InvalidArgumentError(absl::StrCat(
            "the architecture ", model_->architecture().name,
            " sees whole texts; expected all tokens of one text in one step"));
  if (wanted > options_.logits_rows)
    return absl::InvalidArgumentError(
        absl::StrCat(wanted,
                     " rows of logits wanted; this session gives up "
                     "to logits_rows = ",
                     options_.logits_rows));
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> Session::Step(
    absl::Span<const StepToken> batch, const std::atomic<bool>* cancel) {
  return NoThrow([&] { return RunStep(batch, cancel); });
}

absl::StatusOr<absl::Span<const float>> Session::RunStep(
    absl::Span<const StepToken> batch, const std::atomic<bool>* cancel) {
  WEFT_RETURN_IF_ERROR(CheckStep(batch));
  std::copy(positions_.begin(), positions_.end(), pending_.begin());
  size_t wanted = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    int64_t& position = pending_[static_cast<size_t>(batch[i].slot)];
    if (position >= options_.context)
      return absl::ResourceExhaustedError(absl::StrCat(
          "the context of slot ", batch[i].slot, " is full: ", options_.context,
          " positions; use a larger context or a shorter "
          "text"));
    tokens_[i] = batch[i].token;
    pos_[i] = static_cast<int32_t>(position++);
    slot_[i] = batch[i].slot;
    if (batch[i].want_logits) rows_[wanted++] = static_cast<int32_t>(i);
  }
  // A step always has a row of logits; without a taker it is the last token's.
  if (wanted == 0) rows_[0] = static_cast<int32_t>(batch.size() - 1);
  for (size_t i = 0; i < written_.size(); ++i) {
    executable_->PrepareAppend(static_cast<int64_t>(i), positions_[i],
                               pending_[i]);
    // Also where the step fails halfway.
    written_[i] = std::max(written_[i], pending_[i]);
  }
  SymbolValues symbols;
  symbols.Set("T", static_cast<int64_t>(batch.size()));
  symbols.Set("R", static_cast<int64_t>(std::max<size_t>(1, wanted)));
  absl::Status run = executable_->Run(symbols, cancel);
  if (run.ok() && tap_sink_) run = NoThrow([&] { return EmitTaps(symbols); });
  if (!run.ok()) {
    // States may have moved on in some layers and not in others.
    if (!model_->architecture().rewinds)
      for (const StepToken& t : batch) Truncate(t.slot, 0);
    return run;
  }
  std::swap(positions_, pending_);
  return absl::MakeConstSpan(rows_out_,
                             wanted * static_cast<size_t>(row_size_));
}

absl::Status Session::EmitTaps(const SymbolValues& symbols) const {
  for (const Tap& tap : taps_) {
    const TensorType& type = graph_->value(tap.value).type;
    HostTensor value(type.dtype, type.shape.Bind(symbols));
    WEFT_ASSIGN_OR_RETURN(const auto bytes, executable_->Output(tap.name));
    std::memcpy(value.bytes.data(), bytes.data(), value.bytes.size());
    WEFT_RETURN_IF_ERROR(tap_sink_(tap.name, std::move(value)));
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> Session::Prefill(
    int slot, absl::Span<const Token> tokens, const PrefillOptions& options) {
  return NoThrow([&] { return RunPrefill(slot, tokens, options); });
}

absl::StatusOr<absl::Span<const float>> Session::RunPrefill(
    int slot, absl::Span<const Token> tokens, const PrefillOptions& options) {
  if (tokens.empty())
    return absl::InvalidArgumentError("there are no tokens to evaluate");
  if (!model_->architecture().causal &&
      static_cast<int64_t>(tokens.size()) > options_.batch)
    return absl::InvalidArgumentError(
        absl::StrCat("a text of ", tokens.size(),
                     " tokens; a model that sees whole texts "
                     "takes up to batch = ",
                     options_.batch));
  const size_t row = static_cast<size_t>(row_size_);
  const int64_t chunk = options.chunk > 0
                            ? std::min(options.chunk, options_.batch)
                            : options_.batch;
  absl::Span<const float> logits;
  for (size_t done = 0; done < tokens.size();) {
    const size_t n = std::min(static_cast<size_t>(chunk), tokens.size() - done);
    batch_.clear();
    for (size_t i = 0; i < n; ++i)
      batch_.push_back(
          {tokens[done + i], slot,
           options.on_logits != nullptr || done + i + 1 == tokens.size()});
    WEFT_ASSIGN_OR_RETURN(logits, Step(batch_, options.cancel));
    if (options.on_logits)
      for (size_t i = 0; i < n; ++i)
        options.on_logits(static_cast<int64_t>(done + i),
                          logits.subspan(i * row, row));
    done += n;
    if (options.progress)
      options.progress(static_cast<int64_t>(done),
                       static_cast<int64_t>(tokens.size()));
  }
  return logits.last(row);
}

absl::StatusOr<absl::Span<const float>> Session::Decode(
    int slot, Token token, const std::atomic<bool>* cancel) {
  const StepToken one = {token, slot, true};
  return Step({&one, 1}, cancel);
}

int64_t Session::Truncate(int slot, int64_t position) {
  if (!HasSlot(slot)) return 0;
  int64_t& current = positions_[static_cast<size_t>(slot)];
  if (position >= current) return current;
  position = std::max<int64_t>(position, 0);
  int64_t& written = written_[static_cast<size_t>(slot)];
  const bool rewinds =
      model_->architecture().rewinds && written - position <= plan().rewind;
  current = rewinds ? position : 0;
  if (current == 0) written = 0;
  return current;
}

}  // namespace weft::inline v0
