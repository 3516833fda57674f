#include "tools/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "tools/machine.h"
#include "tools/normal.h"
#include "tools/stopwatch.h"
#include "tools/terminal.h"
#include "tools/text_table.h"
#include "tools/train/duration.h"

namespace weft::inline v0 {
namespace {

constexpr double kReportSeconds = 10;

// A number that differs for other tokens in another order.
uint64_t Fingerprint(absl::Span<const Token> tokens) {
  return StreamKey(tokens.size(), {reinterpret_cast<const char*>(tokens.data()),
                                   tokens.size() * sizeof(Token)});
}

// One that differs for another model: other metadata than its name, or other
// weights that it goes on from (the beginnings of them).
uint64_t Fingerprint(const TrainModel& model) {
  constexpr size_t kSample = 4096;
  GgufKeyValues kv = model.key_values;
  kv.Remove("general.name");
  std::string bytes;
  kv.AppendTo(bytes);
  uint64_t mixed = StreamKey(0, bytes);
  if (model.source == nullptr) return mixed;
  for (const GgufTensor& tensor : model.source->tensors()) {
    const auto sample =
        tensor.data.first(std::min(kSample, tensor.data.size()));
    mixed = StreamKey(
        mixed, {reinterpret_cast<const char*>(sample.data()), sample.size()});
  }
  return mixed;
}

absl::Span<float> Floats(absl::Span<std::byte> bytes) {
  return absl::MakeSpan(reinterpret_cast<float*>(bytes.data()),
                        bytes.size() / sizeof(float));
}

WindowSpan WindowOf(WindowLoss& loss, int64_t window, int64_t length) {
  const auto at = static_cast<size_t>(window * length);
  const auto n = static_cast<size_t>(length);
  return {loss.tokens().subspan(at, n), loss.targets().subspan(at, n)};
}

const StateRows* FindState(absl::Span<const StateRows> states,
                           absl::string_view name) {
  for (const StateRows& state : states)
    if (state.name == name) return &state;
  return nullptr;
}

// What does not fit needs to be known in terms of flags.
absl::Status Explained(const absl::Status& status, const TrainerOptions& o) {
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::ResourceExhaustedError(
      absl::StrCat("a step of ", o.windows, " windows of ", o.length,
                   " tokens does not fit into memory: ", status.message(),
                   "; a smaller --batch (with --accumulate), a "
                   "smaller --context or --recompute takes less"));
}

}  // namespace

Trainer::Trainer(const TrainModel& model, const CorpusTokens& tokens,
                 TrainerOptions options, ShuffledWindows windows)
    : model_(model),
      tokens_(tokens),
      options_(std::move(options)),
      windows_(std::move(windows)),
      validation_windows_(tokens.validation, options_.length,
                          options_.validation_windows) {}

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Make(
    const TrainModel& model, const CorpusTokens& tokens,
    const TrainerOptions& options) {
  WEFT_ASSIGN_OR_RETURN(
      ShuffledWindows windows,
      ShuffledWindows::Make(tokens.training, options.length, options.seed));
  auto trainer = std::unique_ptr<Trainer>(
      new Trainer(model, tokens, options, std::move(windows)));
  WindowLossOptions loss;
  loss.windows = options.windows;
  loss.length = options.length;
  loss.recompute = options.recompute;
  loss.backend = options.backend;
  loss.backend.max_bytes = DescribeMachine().memory;
  std::vector<std::byte>& states = trainer->states_;
  loss.weights = [&](absl::string_view name) {
    if (const StateRows* state = FindState(trainer->training_ == nullptr
                                               ? absl::Span<const StateRows>()
                                               : trainer->training_->states(),
                                           name))
      return absl::MakeConstSpan(states).subspan(state->offset, state->bytes);
    return model.source->FindTensor(name)->data;
  };
  loss.optimizer = options.optimizer;
  auto training = WindowLoss::Make(model, loss);
  WEFT_RETURN_IF_ERROR(Explained(training.status(), options));
  trainer->training_ = *std::move(training);
  states.resize(trainer->training_->state_bytes());
  loss.optimizer.reset();
  auto validation = WindowLoss::Make(model, loss);
  WEFT_RETURN_IF_ERROR(Explained(validation.status(), options));
  trainer->validation_ = *std::move(validation);
  trainer->Begin();
  return trainer;
}

// The first weights; moments are zero.
void Trainer::Begin() {
  for (size_t i = 0; i < model_.tensors.size(); ++i)
    if (const StateRows* state =
            FindState(training_->states(), model_.tensors[i].name))
      model_.values(i, Floats(absl::MakeSpan(states_).subspan(state->offset,
                                                              state->bytes)));
  training_->Load(states_);
}

TrainerMemory Trainer::memory() const {
  const MemoryUse& m = training_->plan().memory;
  TrainerMemory memory;
  memory.activations = m.arena + m.scratch;
  memory.states = m.state;
  memory.validation = validation_->plan().memory.total();
  memory.copies = static_cast<int64_t>(states_.size());
  memory.tokens = static_cast<int64_t>(
      (tokens_.training.size() + tokens_.validation.size()) * sizeof(Token));
  if (model_.is_adapter)
    for (const GgufTensor& tensor : model_.source->tensors())
      memory.mapped += static_cast<int64_t>(tensor.bytes);
  return memory;
}

std::vector<std::string> Trainer::Settings() const {
  const AdamWOptions& o = options_.optimizer;
  const RateSchedule& r = options_.rate;
  return {absl::StrFormat(
              "model=%s, %016x",
              model_.file->GetString("general.architecture").value_or(""),
              Fingerprint(model_)),
          absl::StrCat("batch=", options_.windows),
          absl::StrCat("accumulate=", o.accumulate),
          absl::StrCat("context=", options_.length),
          absl::StrCat("steps=", r.steps),
          absl::StrFormat("rate=%.17g", r.peak),
          absl::StrFormat("low_rate=%.17g", r.low),
          absl::StrCat("warm_up=", r.warm_up),
          absl::StrFormat("beta1=%.17g", o.beta1),
          absl::StrFormat("beta2=%.17g", o.beta2),
          absl::StrFormat("weight_decay=%.17g", o.weight_decay),
          absl::StrFormat("clip=%.17g", o.clip_norm),
          absl::StrCat("seed=", options_.seed),
          absl::StrFormat("corpus=%d tokens, %016x", tokens_.training.size(),
                          Fingerprint(tokens_.training))};
}

absl::Status Trainer::Resume() {
  auto curve = ReadCheckpoint(options_.checkpoint, Settings(),
                              training_->states(), absl::MakeSpan(states_));
  if (absl::IsNotFound(curve.status()))
    return absl::NotFoundError(
        absl::StrCat(curve.status().message(),
                     "; without --resume the run begins at its first step"));
  WEFT_RETURN_IF_ERROR(curve.status());
  curve_ = *std::move(curve);
  training_->Load(states_);
  saved_ = static_cast<int64_t>(curve_.size());
  return absl::OkStatus();
}

std::string Trainer::Where() const {
  return absl::StrCat("step ", curve_.size(), "/", options_.rate.steps);
}

absl::Status Trainer::Step() {
  const auto step = static_cast<int64_t>(curve_.size());
  const Stopwatch time;
  CurvePoint point;
  point.rate = static_cast<float>(RateAt(options_.rate, step));
  double loss = 0;
  const int64_t runs = options_.optimizer.accumulate;
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t first = (step * runs + run) * options_.windows;
    for (int64_t i = 0; i < options_.windows; ++i)
      windows_.Fill(first + i, WindowOf(*training_, i, options_.length));
    WEFT_RETURN_IF_ERROR(training_->Run(point.rate, run + 1 == runs));
    loss += training_->loss();
  }
  point.loss = static_cast<float>(loss / static_cast<double>(runs));
  point.gradient_norm = training_->gradient_norm();
  point.seconds = static_cast<float>(time.Seconds());
  curve_.push_back(point);
  if (std::isfinite(point.loss) && std::isfinite(point.gradient_norm))
    return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(
      Where(), ": the loss is ", point.loss, " and its gradient's norm ",
      point.gradient_norm,
      "; a lower --rate, a longer --warm_up or a lower "
      "--clip may help; ",
      saved_ >= 0 ? absl::StrCat(options_.checkpoint, " has step ", saved_)
                  : "nothing was saved yet"));
}

absl::StatusOr<float> Trainer::Validate() {
  training_->Save(absl::MakeSpan(states_));
  double sum = 0;
  int64_t targets = 0;
  for (int64_t first = 0; first < validation_windows_.count();
       first += options_.windows) {
    int64_t n = 0;
    for (int64_t i = 0; i < options_.windows; ++i)
      n += validation_windows_.Fill(first + i,
                                    WindowOf(*validation_, i, options_.length));
    WEFT_RETURN_IF_ERROR(validation_->Run());
    sum += static_cast<double>(n) * validation_->loss();
    targets += n;
  }
  return static_cast<float>(sum / static_cast<double>(targets));
}

absl::Status Trainer::Save() {
  training_->Save(absl::MakeSpan(states_));
  WEFT_RETURN_IF_ERROR(WriteCheckpoint(options_.checkpoint, model_.key_values,
                                       {Settings(), curve_},
                                       training_->states(), states_));
  saved_ = static_cast<int64_t>(curve_.size());
  if (options_.curve.empty()) return absl::OkStatus();
  return WriteCurve(options_.curve, curve_, step_tokens());
}

void Trainer::Report(double seconds, int64_t steps, double left) {
  const CurvePoint& p = curve_.back();
  const double rate = static_cast<double>(steps) / seconds;
  double loss = 0;  // of the steps since the last line
  for (int64_t i = 1; i <= steps; ++i)
    loss += curve_[curve_.size() - static_cast<size_t>(i)].loss;
  std::string line = absl::StrFormat("%s  loss %.4f", Where(),
                                     loss / static_cast<double>(steps));
  if (!std::isnan(p.validation))
    absl::StrAppendFormat(&line, "  validation %.4f", p.validation);
  absl::StrAppendFormat(&line, "  rate %.2e  norm %.2f  %.0f tokens/s", p.rate,
                        p.gradient_norm,
                        rate * static_cast<double>(step_tokens()));
  if (options_.peak > 0)
    absl::StrAppend(
        &line, "  ",
        Percent(rate * static_cast<double>(operations()) / options_.peak),
        " of peak");
  if (left > 0) absl::StrAppend(&line, "  ", DurationText(left), " left");
  Say(line);
}

absl::Status Trainer::Run(const std::atomic<bool>& cancel) {
  const auto total = options_.rate.steps;
  const auto first = static_cast<int64_t>(curve_.size());
  if (first == 0 && !cancel && validation_windows_.count() > 0) {
    WEFT_ASSIGN_OR_RETURN(const float loss, Validate());
    Say(absl::StrFormat("%s  validation %.4f", Where(), loss));
  }
  const Stopwatch whole;
  double computing = 0;  // seconds of steps since the last line
  int64_t reported = first;
  for (int64_t step = first; step < total && !cancel; ++step) {
    WEFT_RETURN_IF_ERROR(Step());
    computing += static_cast<double>(curve_.back().seconds);
    const int64_t done = step + 1;
    const bool validates =
        validation_windows_.count() > 0 &&
        (done % options_.validate_every == 0 || done == total);
    if (validates) {
      WEFT_ASSIGN_OR_RETURN(curve_.back().validation, Validate());
    }
    if (validates || computing > kReportSeconds || done == total) {
      const double left = whole.Seconds() / static_cast<double>(done - first) *
                          static_cast<double>(total - done);
      Report(computing, done - reported, left);
      reported = done;
      computing = 0;
    }
    if (done % options_.checkpoint_every == 0 && done < total)
      WEFT_RETURN_IF_ERROR(Save());
  }
  // An older checkpoint is worth more than one of no step.
  if (curve_.empty())
    return absl::CancelledError("interrupted before the first step");
  if (saved_ != static_cast<int64_t>(curve_.size()))
    WEFT_RETURN_IF_ERROR(Save());
  if (static_cast<int64_t>(curve_.size()) < total)
    return absl::CancelledError(
        absl::StrCat("interrupted at ", Where(), "; ", options_.checkpoint,
                     " has it all: the same command with --resume goes on"));
  return absl::OkStatus();
}

absl::Span<const float> Trainer::Values(absl::string_view name) const {
  const StateRows* state = FindState(training_->states(), name);
  if (state == nullptr) return {};
  return absl::MakeConstSpan(
      reinterpret_cast<const float*>(states_.data() + state->offset),
      state->bytes / sizeof(float));
}

}  // namespace weft::inline v0
