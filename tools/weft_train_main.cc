// weft-train: a language model from text.
#include <sys/resource.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/model_file.h"
#include "models/tokenizer.h"
#include "tools/cli.h"
#include "tools/model_flags.h"
#include "tools/stopwatch.h"
#include "tools/terminal.h"
#include "tools/text_table.h"
#include "tools/train/bpe_trainer.h"
#include "tools/train/corpus.h"
#include "tools/train/duration.h"
#include "tools/train/model_writer.h"
#include "tools/train/train_flags.h"
#include "tools/train/train_model.h"
#include "tools/train/trainer.h"

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-train: trains a language model on text

  weft-train --corpus=stories.txt --out=model.gguf
  weft-train --corpus=texts/ --out=model.gguf --layers=8 --width=512 \
      --vocab_size=8192 --context=512 --batch=16 --steps=5000 --curve=loss
  weft-train --corpus=stories.txt --out=model.gguf --resume
  weft-train --corpus=more.txt --init=model.gguf --out=better.gguf \
      --rate=1e-4 --epochs=2
  weft-train --corpus=more.txt --init=model-q4_k.gguf --lora_rank=8 \
      --out=adapter.gguf

A new model has the shape that the flags give it, any architecture's that weft
can train, and a vocabulary of SentencePiece's kind learnt from the corpus, or
that of --vocab. --init goes on from a file instead, with all of its weights, or
with --lora_rank trains an adapter beside them: they stay quantised as they are,
and --out gets what --lora of weft-run takes. The result runs in weft-run and
llama.cpp, and weft-quantize makes it small.

Documents stand between lines of --separator; each gets the vocabulary's BOS
before and EOS after it. Windows of --context tokens are cut from all of them in
one row and shuffled. Where there are few documents, the end of the text is
held back for validation instead of some of them.

The run is the same for any --threads, and the same whether it is broken off or
not: Ctrl-C finishes the step and saves the checkpoint, and the same command
with --resume goes on from it. An existing --out is replaced when the model is
complete and stays as it is after an error or a full disk.

Standard error tells the loss (the mean of -log p of the next token, in nats),
the loss on what was held back, the speed, and its share of the machine's peak
for f32.
)";

Program MakeProgram() {
  return {.name = "weft-train", .usage = kUsage, .groups = TrainFlagGroups()};
}

constexpr double kMega = 1e6;

// Sets the tokenizer.* keys of a new model and its number of tokens.
absl::Status CopyVocab(const std::string& path, NewModelOptions& model) {
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        GgufFile::Open(path, {.header_only = true}));
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo tokens,
                        file.GetArrayInfo("tokenizer.ggml.tokens"));
  model.shape.vocab = static_cast<int64_t>(tokens.count);
  for (const absl::string_view key : file.keys())
    if (absl::StartsWith(key, "tokenizer."))
      WEFT_RETURN_IF_ERROR(model.vocab.Copy(file, key));
  return absl::OkStatus();
}

absl::Status LearnVocab(const Corpus& corpus, NewModelOptions& model) {
  const Stopwatch time;
  WordCounts counts;
  Progress progress("reading");
  double done = 0;
  for (const absl::string_view text : corpus.documents()) {
    counts.Add(text);
    done += static_cast<double>(text.size());
    progress.Update(done / static_cast<double>(corpus.bytes()));
    if (CatchInterrupt()) return absl::CancelledError("interrupted");
  }
  progress.Clear();
  const int64_t wanted = model.shape.vocab;
  WEFT_ASSIGN_OR_RETURN(const NewVocab vocab, TrainSpm(counts, wanted));
  model.shape.vocab = static_cast<int64_t>(vocab.texts.size());
  vocab.AddTo(model.vocab);
  Say(absl::StrFormat("vocabulary: %d tokens learnt from %d words in %.1f s",
                      model.shape.vocab, counts.words().size(),
                      time.Seconds()));
  if (model.shape.vocab < wanted)
    Warn(absl::StrCat("the corpus gives no more tokens; --vocab_size is ",
                      wanted));
  return absl::OkStatus();
}

// `source` is opened where there is one, and outlives the model.
absl::StatusOr<std::unique_ptr<TrainModel>> MakeModel(
    const TrainJob& job, const Corpus& corpus,
    std::optional<GgufFile>& source) {
  if (!job.init.empty()) {
    WEFT_ASSIGN_OR_RETURN(source, OpenModelFile(job.init));
    ShowWarnings(source->warnings());
    if (job.adapter.rank > 0) return MakeAdapter(*source, job.adapter);
    return ContinueModel(*source);
  }
  NewModelOptions options;
  options.shape = job.shape;
  options.tied = job.tied;
  options.seed = job.training.seed;
  WEFT_RETURN_IF_ERROR(job.vocab.empty() ? LearnVocab(corpus, options)
                                         : CopyVocab(job.vocab, options));
  return MakeNewModel(options);
}

// A window is no longer than the model's own context.
void FitWindow(const TrainModel& model, TrainJob& job) {
  const GgufFile& file = model.model_file();
  const auto architecture = file.GetString("general.architecture");
  const auto context =
      file.GetInt64(absl::StrCat(architecture.value_or(""), ".context_length"));
  if (!job.context_given && context.ok() && *context > 0)
    job.training.length = std::min(job.training.length, *context);
}

// f32 operations in a second; 0 when that is not wanted or not known.
double MeasurePeak(const TrainJob& job) {
  if (!job.probe) return 0;
  // The least that a probe takes; its memory is of no interest here.
  constexpr int64_t kProbeBytes = 16 << 20;
  const auto backend = MakeBackend("cpu", job.training.backend);
  if (!backend.ok()) return 0;
  const auto probe = (*backend)->MakeProbe(kProbeBytes);
  if (!probe.ok()) return 0;
  for (const Peak& peak : (*probe)->Peaks())
    if (peak.arithmetic == Arithmetic::kF32) return peak.operations_per_second;
  return 0;
}

void Describe(const TrainModel& model, const CorpusTokens& tokens,
              const Trainer& trainer, const TrainerOptions& o) {
  double parameters = 0;
  for (const NewGgufTensor& tensor : model.tensors) {
    double n = 1;
    for (const int64_t dim : tensor.dims) n *= static_cast<double>(dim);
    parameters += n;
  }
  Say(absl::StrFormat("tokens: %.2f M to train on, %.3f M to validate with",
                      static_cast<double>(tokens.training.size()) / kMega,
                      static_cast<double>(tokens.validation.size()) / kMega));
  Say(absl::StrFormat(
      "%s: %s, %.2f M parameters in %d tensors",
      model.is_adapter ? "adapter" : "model",
      model.file->GetString("general.architecture").value_or(""),
      parameters / kMega, model.tensors.size()));
  Say(absl::StrFormat("steps: %d of %d x %d tokens, %.2f epochs", o.rate.steps,
                      trainer.step_windows(), o.length,
                      static_cast<double>(o.rate.steps) *
                          static_cast<double>(trainer.step_windows()) /
                          static_cast<double>(trainer.windows_per_epoch())));
  const TrainerMemory m = trainer.memory();
  const std::string mapped =
      m.mapped == 0 ? "" : absl::StrCat(", the model's file ", MiB(m.mapped));
  Say(absl::StrFormat(
      "memory: %s (activations %s, weights and moments %s, a copy for "
      "checkpoints %s, validation %s, tokens %s%s)",
      MiB(m.total()), MiB(m.activations), MiB(m.states), MiB(m.copies),
      MiB(m.validation), MiB(m.tokens), mapped));
  if (const std::string ops = trainer.SlowOps(); !ops.empty())
    Warn(absl::StrCat("slow, for want of a kernel: ", ops));
  if (o.peak > 0)
    Say(absl::StrFormat(
        "machine: %.0f GFLOP/s in f32 at most; a step takes %.1f GFLOP",
        o.peak / 1e9, static_cast<double>(trainer.operations()) / 1e9));
}

int64_t PeakResidentBytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

absl::StatusOr<Corpus> OpenCorpus(const TrainJob& job) {
  WEFT_ASSIGN_OR_RETURN(Corpus corpus, Corpus::Open(job.corpus, job.separator));
  for (const std::string& file : corpus.files())
    for (const std::string& out : {job.out, job.training.checkpoint})
      WEFT_RETURN_IF_ERROR(CheckNotSameFile(file, out));
  Say(absl::StrFormat("corpus: %d documents, %.2f MB",
                      corpus.documents().size(),
                      static_cast<double>(corpus.bytes()) / kMega));
  return corpus;
}

absl::StatusOr<CorpusTokens> Tokenize(const TrainJob& job, const Corpus& corpus,
                                      const TrainModel& model) {
  WEFT_ASSIGN_OR_RETURN(const auto tokenizer,
                        MakeTokenizer(model.model_file()));
  ShowWarnings(tokenizer->warnings());
  SplitOptions split;
  split.validation_share = job.validation;
  split.seed = job.training.seed;
  split.threads = job.threads;
  split.cancel = &CatchInterrupt();
  Progress progress("tokenizing");
  split.progress = [&](double share) { progress.Update(share); };
  return TokenizeCorpus(corpus, *tokenizer, split);
}

absl::Status Run(const Arguments& args) {
  const Stopwatch time;
  WEFT_ASSIGN_OR_RETURN(TrainJob job, TrainJobFromFlags(args));
  const std::atomic<bool>& cancel = CatchInterrupt();
  std::optional<GgufFile> source;
  std::unique_ptr<TrainModel> model;
  CorpusTokens tokens;
  {
    // Not needed any more once it is tokens.
    WEFT_ASSIGN_OR_RETURN(const Corpus corpus, OpenCorpus(job));
    WEFT_ASSIGN_OR_RETURN(model, MakeModel(job, corpus, source));
    if (!job.name.empty())
      model->key_values.SetString("general.name", job.name);
    WEFT_ASSIGN_OR_RETURN(tokens, Tokenize(job, corpus, *model));
  }
  FitWindow(*model, job);
  TrainerOptions& o = job.training;
  WEFT_ASSIGN_OR_RETURN(
      const ShuffledWindows windows,
      ShuffledWindows::Make(tokens.training, o.length, o.seed));
  o.rate = ScheduleFromFlags(windows.per_epoch(),
                             o.windows * o.optimizer.accumulate);
  o.peak = MeasurePeak(job);
  WEFT_ASSIGN_OR_RETURN(const auto trainer, Trainer::Make(*model, tokens, o));
  Describe(*model, tokens, *trainer, o);
  if (job.resume) {
    WEFT_RETURN_IF_ERROR(trainer->Resume());
    Say(absl::StrCat(o.checkpoint, ": going on after step ",
                     trainer->curve().size()));
  }
  WEFT_RETURN_IF_ERROR(trainer->Run(cancel));
  EncodeContext context;
  context.threads = job.threads;
  const absl::Status written = WriteTrainedModel(
      job.out, *model,
      [&](absl::string_view name) { return trainer->Values(name); },
      job.mixture, context);
  if (!written.ok())
    return absl::Status(
        written.code(),
        absl::StrCat(written.message(), "; nothing is lost: --resume writes ",
                     "it from ", o.checkpoint));
  Say(absl::StrFormat("wrote %s after %s; %s of memory at most, %s planned",
                      job.out, DurationText(time.Seconds()),
                      MiB(PeakResidentBytes()),
                      MiB(trainer->memory().total())));
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
