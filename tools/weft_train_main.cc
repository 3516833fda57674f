// weft-train: a language model from text.
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/model_file.h"
#include "models/tokenizer.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/machine.h"
#include "tools/mixture.h"
#include "tools/model_flags.h"
#include "tools/parallel.h"
#include "tools/stopwatch.h"
#include "tools/terminal.h"
#include "tools/train/bpe_trainer.h"
#include "tools/train/corpus.h"
#include "tools/train/duration.h"
#include "tools/train/model_writer.h"
#include "tools/train/train_model.h"
#include "tools/train/trainer.h"

ABSL_FLAG(std::string, corpus, "",
          "the text: a file, or a folder of files, in UTF-8");
ABSL_FLAG(std::string, separator, "<|endoftext|>",
          "the line that stands between two documents of a file; empty: a file "
          "is one document");
ABSL_FLAG(double, validation, 0.01,
          "share of the documents that is held back to measure the loss with");
ABSL_FLAG(std::string, out, "",
          "the GGUF file to write; it appears only when it is complete");
ABSL_FLAG(std::string, type, "f32",
          "the format of the matrices written, or a mixture: f32, f16, bf16, "
          "q8_0, Q4_K_M, ... Training computes in f32");
ABSL_FLAG(std::string, name, "",
          "the model's name in the file; empty: the file's name");
ABSL_FLAG(std::string, init, "",
          "a GGUF file to go on from: its shape, vocabulary and weights, "
          "decoded to f32");
ABSL_FLAG(std::string, arch, "llama",
          "the architecture, by its name in GGUF files: llama, qwen3, gemma3, "
          "gpt2, ...");
ABSL_FLAG(int64_t, layers, 6, "layers");
ABSL_FLAG(int64_t, width, 256,
          "width of the residual stream; a multiple of 256 for K-quants");
ABSL_FLAG(int64_t, heads, 8, "attention heads");
ABSL_FLAG(int64_t, kv_heads, 0,
          "heads of K and V, which the others share; 0: --heads");
ABSL_FLAG(int64_t, ff, 0,
          "width of the feed-forward part; 0: 8/3 of --width, rounded up to a "
          "multiple of 256");
ABSL_FLAG(bool, tied, true,
          "the output reads the table of embeddings, transposed");
ABSL_FLAG(int64_t, vocab_size, 4096,
          "tokens of the vocabulary that is learnt from the corpus");
ABSL_FLAG(std::string, vocab, "",
          "a GGUF file whose vocabulary to take instead of learning one");
ABSL_FLAG(int64_t, context, 256,
          "tokens of a window, and the context length of a new model");
ABSL_FLAG(int64_t, batch, 8, "windows of a step");
ABSL_FLAG(int64_t, steps, 0, "steps; 0: as many as --epochs takes");
ABSL_FLAG(double, epochs, 1, "how often the whole corpus is seen");
ABSL_FLAG(double, rate, 1e-3, "the highest learning rate");
ABSL_FLAG(double, low_rate, -1,
          "the rate of the last step, at the end of half a cosine; -1: a tenth "
          "of --rate");
ABSL_FLAG(int64_t, warm_up, -1,
          "steps in which the rate grows from 0; -1: 2 % of all");
ABSL_FLAG(double, beta1, 0.9, "of AdamW: decay of the mean of gradients");
ABSL_FLAG(double, beta2, 0.95, "of AdamW: decay of the mean of their squares");
ABSL_FLAG(double, weight_decay, 0.1, "of AdamW, for matrices");
ABSL_FLAG(double, clip, 1,
          "the largest norm of all gradients together; 0: no limit");
ABSL_FLAG(uint64_t, seed, 0, "of the first weights, the shuffle and the split");
ABSL_FLAG(int64_t, validate_every, 100, "steps between two validations");
ABSL_FLAG(int64_t, validation_windows, 64, "windows of a validation at most");
ABSL_FLAG(std::string, checkpoint, "",
          "the file that keeps the state of the run; empty: --out with "
          ".checkpoint behind it");
ABSL_FLAG(int64_t, checkpoint_every, 500, "steps between two checkpoints");
ABSL_FLAG(bool, resume, false,
          "go on from the checkpoint; all other flags as they were");
ABSL_FLAG(std::string, curve, "",
          "write the loss of every step to CURVE.csv and a picture of it to "
          "CURVE.svg, with every checkpoint");
ABSL_FLAG(bool, probe, true,
          "measure the machine's peak first, which takes a second, to say "
          "which share of it training reaches");

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

A new model has the shape that the flags give it, any architecture's that weft
can train, and a vocabulary of SentencePiece's kind learnt from the corpus, or
that of --vocab. --init goes on from a file instead. The result runs in
weft-run and llama.cpp, and weft-quantize makes it small.

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
  return {.name = "weft-train",
          .usage = kUsage,
          .groups = {
              {"Text",
               {"corpus", "separator", "validation", "vocab_size", "vocab"}},
              {"Model",
               {"out", "type", "name", "init", "arch", "layers", "width",
                "heads", "kv_heads", "ff", "tied"}},
              {"Training",
               {"context", "batch", "steps", "epochs", "rate", "low_rate",
                "warm_up", "beta1", "beta2", "weight_decay", "clip", "seed"}},
              {"Progress",
               {"validate_every", "validation_windows", "checkpoint",
                "checkpoint_every", "resume", "curve", "probe"}},
              {"Machine", {"threads", "target"}}}};
}

constexpr double kMega = 1e6;

struct Job {
  std::string corpus, out, init, vocab;
  Mixture mixture;
  SynthModel shape;
  TrainerOptions training;
  int threads = 1;
};

std::string MiB(int64_t bytes) {
  return absl::StrFormat("%.0f MiB", static_cast<double>(bytes) / (1 << 20));
}

absl::Status CheckNumber(absl::string_view flag, double value, double low,
                         double high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "--%s is %g; expected a number from %g to %g", flag, value, low, high));
}

SynthModel ShapeFromFlags(const std::string& out) {
  SynthModel m;
  m.name = absl::GetFlag(FLAGS_name);
  if (m.name.empty()) m.name = std::filesystem::path(out).stem().string();
  m.arch = absl::GetFlag(FLAGS_arch);
  m.layers = absl::GetFlag(FLAGS_layers);
  m.width = absl::GetFlag(FLAGS_width);
  m.heads = absl::GetFlag(FLAGS_heads);
  m.kv_heads = absl::GetFlag(FLAGS_kv_heads);
  if (m.kv_heads == 0) m.kv_heads = m.heads;
  m.ff = absl::GetFlag(FLAGS_ff);
  if (m.ff == 0) m.ff = (m.width * 8 / 3 + 255) / 256 * 256;
  m.context = absl::GetFlag(FLAGS_context);
  m.vocab = absl::GetFlag(FLAGS_vocab_size);
  return m;
}

absl::Status ReadTrainingFlags(TrainerOptions& o) {
  WEFT_RETURN_IF_ERROR(
      CheckFlag("context", absl::GetFlag(FLAGS_context), 1, 1 << 20));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("batch", absl::GetFlag(FLAGS_batch), 1, 1 << 16));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("steps", absl::GetFlag(FLAGS_steps), 0, 1 << 30));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("epochs", absl::GetFlag(FLAGS_epochs), 1e-6, 1e6));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("validation", absl::GetFlag(FLAGS_validation), 0, 0.9));
  WEFT_RETURN_IF_ERROR(CheckNumber("rate", absl::GetFlag(FLAGS_rate), 0, 10));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("low_rate", absl::GetFlag(FLAGS_low_rate), -1, 10));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("warm_up", absl::GetFlag(FLAGS_warm_up), -1, 1 << 30));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("beta1", absl::GetFlag(FLAGS_beta1), 0, 0.9999));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("beta2", absl::GetFlag(FLAGS_beta2), 0, 0.999999));
  WEFT_RETURN_IF_ERROR(
      CheckNumber("weight_decay", absl::GetFlag(FLAGS_weight_decay), 0, 10));
  WEFT_RETURN_IF_ERROR(CheckNumber("clip", absl::GetFlag(FLAGS_clip), 0, 1e6));
  WEFT_RETURN_IF_ERROR(CheckFlag(
      "validate_every", absl::GetFlag(FLAGS_validate_every), 1, 1 << 30));
  WEFT_RETURN_IF_ERROR(CheckFlag("validation_windows",
                                 absl::GetFlag(FLAGS_validation_windows), 1,
                                 1 << 20));
  WEFT_RETURN_IF_ERROR(CheckFlag(
      "checkpoint_every", absl::GetFlag(FLAGS_checkpoint_every), 1, 1 << 30));
  o.windows = absl::GetFlag(FLAGS_batch);
  o.length = absl::GetFlag(FLAGS_context);
  o.optimizer.beta1 = absl::GetFlag(FLAGS_beta1);
  o.optimizer.beta2 = absl::GetFlag(FLAGS_beta2);
  o.optimizer.weight_decay = absl::GetFlag(FLAGS_weight_decay);
  o.optimizer.clip_norm = absl::GetFlag(FLAGS_clip);
  o.seed = absl::GetFlag(FLAGS_seed);
  o.validate_every = absl::GetFlag(FLAGS_validate_every);
  o.validation_windows = absl::GetFlag(FLAGS_validation_windows);
  o.checkpoint_every = absl::GetFlag(FLAGS_checkpoint_every);
  o.backend = BackendFromFlags();
  return absl::OkStatus();
}

absl::Status CheckGiven(const Arguments& args, const Job& job) {
  if (!job.init.empty())
    for (const char* flag : {"arch", "layers", "width", "heads", "kv_heads",
                             "ff", "tied", "vocab", "vocab_size"})
      if (args.Given(flag))
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag, " is of a new model; --init has its own"));
  if (!job.vocab.empty() && args.Given("vocab_size"))
    return absl::InvalidArgumentError("--vocab or --vocab_size, not both");
  if (args.Given("steps") && args.Given("epochs"))
    return absl::InvalidArgumentError("--steps or --epochs, not both");
  return absl::OkStatus();
}

// An output that cannot be written is better known before the work.
absl::Status CheckOutput(const std::string& path) {
  return AtomicFile::Create(path).status();
}

absl::StatusOr<Job> ReadFlags(const Arguments& args) {
  Job job;
  job.corpus = absl::GetFlag(FLAGS_corpus);
  job.out = absl::GetFlag(FLAGS_out);
  job.init = absl::GetFlag(FLAGS_init);
  job.vocab = absl::GetFlag(FLAGS_vocab);
  if (job.corpus.empty())
    return absl::InvalidArgumentError(
        "which text? --corpus=FILE names it; see weft-train --help");
  if (job.out.empty())
    return absl::InvalidArgumentError("where to? --out=FILE gets the model");
  WEFT_RETURN_IF_ERROR(CheckGiven(args, job));
  WEFT_ASSIGN_OR_RETURN(job.mixture,
                        FindMixture(absl::GetFlag(FLAGS_type), false));
  job.shape = ShapeFromFlags(job.out);
  WEFT_RETURN_IF_ERROR(ReadTrainingFlags(job.training));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("threads", absl::GetFlag(FLAGS_threads), 0, 1024));
  job.threads = ThreadCount(absl::GetFlag(FLAGS_threads));
  TrainerOptions& o = job.training;
  o.checkpoint = absl::GetFlag(FLAGS_checkpoint);
  if (o.checkpoint.empty()) o.checkpoint = absl::StrCat(job.out, ".checkpoint");
  o.curve = absl::GetFlag(FLAGS_curve);
  for (const std::string& output : {job.out, o.checkpoint}) {
    for (const std::string& input : {job.corpus, job.init, job.vocab})
      if (!input.empty()) WEFT_RETURN_IF_ERROR(CheckNotSameFile(input, output));
    WEFT_RETURN_IF_ERROR(CheckOutput(output));
  }
  WEFT_RETURN_IF_ERROR(CheckNotSameFile(job.out, o.checkpoint));
  if (!o.curve.empty())
    WEFT_RETURN_IF_ERROR(CheckOutput(absl::StrCat(o.curve, ".csv")));
  return job;
}

absl::StatusOr<GgufKeyValues> CopyVocab(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        GgufFile::Open(path, {.header_only = true}));
  GgufKeyValues vocab;
  for (const absl::string_view key : file.keys())
    if (absl::StartsWith(key, "tokenizer."))
      WEFT_RETURN_IF_ERROR(vocab.Copy(file, key));
  return vocab;
}

absl::StatusOr<GgufKeyValues> LearnVocab(const Corpus& corpus, int64_t size) {
  const Stopwatch time;
  WordCounts counts;
  for (const absl::string_view text : corpus.documents()) counts.Add(text);
  WEFT_ASSIGN_OR_RETURN(const NewVocab vocab, TrainSpm(counts, size));
  Say(absl::StrFormat("vocabulary: %d tokens learnt from %d words in %.1f s",
                      vocab.texts.size(), counts.words().size(),
                      time.Seconds()));
  if (static_cast<int64_t>(vocab.texts.size()) < size)
    Warn(absl::StrCat("the corpus gives no more tokens; --vocab_size is ",
                      size));
  GgufKeyValues key_values;
  vocab.AddTo(key_values);
  return key_values;
}

// `init` is opened where there is one, and outlives the model.
absl::StatusOr<std::unique_ptr<TrainModel>> MakeModel(
    const Job& job, const Corpus& corpus, std::optional<GgufFile>& init) {
  if (!job.init.empty()) {
    WEFT_ASSIGN_OR_RETURN(init, OpenModelFile(job.init));
    ShowWarnings(init->warnings());
    return ContinueModel(*init);
  }
  NewModelOptions options;
  options.shape = job.shape;
  options.tied = absl::GetFlag(FLAGS_tied);
  options.seed = job.training.seed;
  WEFT_ASSIGN_OR_RETURN(
      options.vocab, job.vocab.empty() ? LearnVocab(corpus, options.shape.vocab)
                                       : CopyVocab(job.vocab));
  // A corpus may give fewer tokens than were asked for.
  GgufKeyValues only_vocab = options.vocab;
  WEFT_ASSIGN_OR_RETURN(const std::string header,
                        MakeGgufHeader(only_vocab, {}, "the vocabulary"));
  WEFT_ASSIGN_OR_RETURN(
      const GgufFile file,
      GgufFile::Parse(
          absl::MakeConstSpan(reinterpret_cast<const std::byte*>(header.data()),
                              header.size()),
          job.vocab.empty() ? "the vocabulary" : job.vocab));
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo tokens,
                        file.GetArrayInfo("tokenizer.ggml.tokens"));
  options.shape.vocab = static_cast<int64_t>(tokens.count);
  return MakeNewModel(options);
}

void SetSchedule(int64_t windows_per_epoch, TrainerOptions& o) {
  RateSchedule& r = o.rate;
  r.steps = absl::GetFlag(FLAGS_steps);
  if (r.steps == 0)
    r.steps = std::max<int64_t>(
        1, std::llround(absl::GetFlag(FLAGS_epochs) *
                        static_cast<double>(windows_per_epoch) /
                        static_cast<double>(o.windows)));
  r.warm_up = absl::GetFlag(FLAGS_warm_up);
  if (r.warm_up < 0) r.warm_up = (r.steps + 49) / 50;
  r.peak = absl::GetFlag(FLAGS_rate);
  r.low = absl::GetFlag(FLAGS_low_rate);
  if (r.low < 0) r.low = r.peak / 10;
}

// f32 operations in a second; 0 when that is not wanted or not known.
double MeasurePeak(const BackendOptions& options) {
  if (!absl::GetFlag(FLAGS_probe)) return 0;
  // The least that a probe takes; its memory is of no interest here.
  constexpr int64_t kProbeBytes = 16 << 20;
  const auto backend = MakeBackend("cpu", options);
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
      "model: %s, %.2f M parameters in %d tensors",
      model.file->GetString("general.architecture").value_or(""),
      parameters / kMega, model.tensors.size()));
  Say(absl::StrFormat("steps: %d of %d x %d tokens, %.2f epochs", o.rate.steps,
                      o.windows, o.length,
                      static_cast<double>(o.rate.steps * o.windows) /
                          static_cast<double>(trainer.windows_per_epoch())));
  const TrainerMemory m = trainer.memory();
  Say(absl::StrFormat(
      "memory: %s (activations %s, weights and moments %s, a copy for "
      "checkpoints %s, validation %s, tokens %s)",
      MiB(m.total()), MiB(m.activations), MiB(m.states), MiB(m.copies),
      MiB(m.validation), MiB(m.tokens)));
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

absl::StatusOr<CorpusTokens> Tokenize(const Job& job, const Corpus& corpus,
                                      const TrainModel& model) {
  WEFT_ASSIGN_OR_RETURN(const auto tokenizer, MakeTokenizer(*model.file));
  ShowWarnings(tokenizer->warnings());
  SplitOptions split;
  split.validation_share = absl::GetFlag(FLAGS_validation);
  split.seed = job.training.seed;
  split.threads = job.threads;
  return TokenizeCorpus(corpus, *tokenizer, split);
}

absl::Status Run(const Arguments& args) {
  const Stopwatch time;
  WEFT_ASSIGN_OR_RETURN(Job job, ReadFlags(args));
  const std::atomic<bool>& cancel = CatchInterrupt();
  std::optional<GgufFile> init;
  std::unique_ptr<TrainModel> model;
  CorpusTokens tokens;
  {
    // Not needed any more once it is tokens.
    WEFT_ASSIGN_OR_RETURN(
        const Corpus corpus,
        Corpus::Open(job.corpus, absl::GetFlag(FLAGS_separator)));
    for (const std::string& file : corpus.files())
      for (const std::string& out : {job.out, job.training.checkpoint})
        WEFT_RETURN_IF_ERROR(CheckNotSameFile(file, out));
    Say(absl::StrFormat("corpus: %d documents, %.2f MB",
                        corpus.documents().size(),
                        static_cast<double>(corpus.bytes()) / kMega));
    WEFT_ASSIGN_OR_RETURN(model, MakeModel(job, corpus, init));
    WEFT_ASSIGN_OR_RETURN(tokens, Tokenize(job, corpus, *model));
  }
  if (cancel) return absl::CancelledError("interrupted");
  TrainerOptions& o = job.training;
  WEFT_ASSIGN_OR_RETURN(
      const ShuffledWindows windows,
      ShuffledWindows::Make(tokens.training, o.length, o.seed));
  SetSchedule(windows.per_epoch(), o);
  o.peak = MeasurePeak(o.backend);
  WEFT_ASSIGN_OR_RETURN(const auto trainer, Trainer::Make(*model, tokens, o));
  Describe(*model, tokens, *trainer, o);
  if (absl::GetFlag(FLAGS_resume)) {
    WEFT_RETURN_IF_ERROR(trainer->Resume());
    Say(absl::StrCat(o.checkpoint, ": going on after step ",
                     trainer->curve().size()));
  }
  WEFT_RETURN_IF_ERROR(trainer->Run(cancel));
  EncodeContext context;
  context.threads = job.threads;
  WEFT_RETURN_IF_ERROR(WriteTrainedModel(
      job.out, *model,
      [&](absl::string_view name) { return trainer->Values(name); },
      job.mixture, context));
  Say(absl::StrFormat("wrote %s after %s; %s of memory at most", job.out,
                      DurationText(time.Seconds()), MiB(PeakResidentBytes())));
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
