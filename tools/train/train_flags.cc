#include "tools/train/train_flags.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/parallel.h"
#include "tools/backend_flags.h"
#include "tools/model_flags.h"
#include "tools/synth.h"

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
          "the model's name in the file; empty: that of --init, or of a new "
          "model the file's name");
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
ABSL_FLAG(int64_t, lora_rank, 0,
          "train an adapter (LoRA) of this rank for --init instead of the "
          "model; 0: no");
ABSL_FLAG(double, lora_alpha, 0,
          "what the adapter adds is scaled by alpha / rank; 0: twice the rank");
ABSL_FLAG(int64_t, context, 256,
          "tokens of a window, and the context length of a new model; at most "
          "that of --init");
ABSL_FLAG(int64_t, batch, 8, "windows that are computed at once");
ABSL_FLAG(
    int64_t, accumulate, 1,
    "batches whose gradients make one step: memory for one, as if --batch "
    "were so many times as large");
ABSL_FLAG(bool, recompute, false,
          "keep of each layer its result alone and compute the rest again on "
          "the way back: less memory, a third more time");
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
      CheckFlag("accumulate", absl::GetFlag(FLAGS_accumulate), 1, 1 << 16));
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
  o.optimizer.accumulate = absl::GetFlag(FLAGS_accumulate);
  o.recompute = absl::GetFlag(FLAGS_recompute);
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

absl::Status CheckGiven(const Arguments& args, const TrainJob& job) {
  if (!job.init.empty())
    for (const char* flag : {"arch", "layers", "width", "heads", "kv_heads",
                             "ff", "tied", "vocab", "vocab_size"})
      if (args.Given(flag))
        return absl::InvalidArgumentError(
            absl::StrCat("--", flag, " is of a new model; --init has its own"));
  WEFT_RETURN_IF_ERROR(CheckFlag("lora_rank", job.adapter.rank, 0, 4096));
  if (job.adapter.rank > 0 && job.init.empty())
    return absl::InvalidArgumentError(
        "--lora_rank trains an adapter of a model; --init=FILE names it");
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

}  // namespace

absl::StatusOr<TrainJob> TrainJobFromFlags(const Arguments& args) {
  TrainJob job;
  job.corpus = absl::GetFlag(FLAGS_corpus);
  job.out = absl::GetFlag(FLAGS_out);
  job.init = absl::GetFlag(FLAGS_init);
  job.vocab = absl::GetFlag(FLAGS_vocab);
  job.name = absl::GetFlag(FLAGS_name);
  job.separator = absl::GetFlag(FLAGS_separator);
  job.tied = absl::GetFlag(FLAGS_tied);
  job.validation = absl::GetFlag(FLAGS_validation);
  job.resume = absl::GetFlag(FLAGS_resume);
  job.probe = absl::GetFlag(FLAGS_probe);
  job.adapter.rank = absl::GetFlag(FLAGS_lora_rank);
  job.adapter.alpha = static_cast<float>(absl::GetFlag(FLAGS_lora_alpha));
  if (job.adapter.alpha == 0)
    job.adapter.alpha = 2 * static_cast<float>(job.adapter.rank);
  job.adapter.seed = absl::GetFlag(FLAGS_seed);
  job.context_given = args.Given("context");
  if (job.corpus.empty())
    return absl::InvalidArgumentError(
        "which text? --corpus=FILE names it; see weft-train --help");
  if (job.out.empty())
    return absl::InvalidArgumentError("where to? --out=FILE gets the model");
  WEFT_RETURN_IF_ERROR(CheckGiven(args, job));
  WEFT_ASSIGN_OR_RETURN(job.mixture,
                        FindMixture(absl::GetFlag(FLAGS_type), false));
  job.shape = ShapeFromFlags(job.out);
  if (job.init.empty()) WEFT_RETURN_IF_ERROR(CheckSynthModel(job.shape));
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
  // Neither needs to exist yet.
  std::error_code ignored;
  if (std::filesystem::weakly_canonical(job.out, ignored) ==
      std::filesystem::weakly_canonical(o.checkpoint, ignored))
    return absl::InvalidArgumentError(
        absl::StrCat("--out and --checkpoint are the same file, ", job.out));
  if (!o.curve.empty())
    WEFT_RETURN_IF_ERROR(CheckOutput(absl::StrCat(o.curve, ".csv")));
  return job;
}

RateSchedule ScheduleFromFlags(int64_t windows_per_epoch,
                               int64_t step_windows) {
  RateSchedule r;
  r.steps = absl::GetFlag(FLAGS_steps);
  if (r.steps == 0)
    r.steps = std::max<int64_t>(
        1, std::llround(absl::GetFlag(FLAGS_epochs) *
                        static_cast<double>(windows_per_epoch) /
                        static_cast<double>(step_windows)));
  r.warm_up = absl::GetFlag(FLAGS_warm_up);
  if (r.warm_up < 0) r.warm_up = (r.steps + 49) / 50;
  r.peak = absl::GetFlag(FLAGS_rate);
  r.low = absl::GetFlag(FLAGS_low_rate);
  if (r.low < 0) r.low = r.peak / 10;
  return r;
}

std::vector<FlagGroup> TrainFlagGroups() {
  return {
      {"Text", {"corpus", "separator", "validation", "vocab_size", "vocab"}},
      {"Model",
       {"out", "type", "name", "init", "arch", "layers", "width", "heads",
        "kv_heads", "ff", "tied", "lora_rank", "lora_alpha"}},
      {"Training",
       {"context", "batch", "accumulate", "recompute", "steps", "epochs",
        "rate", "low_rate", "warm_up", "beta1", "beta2", "weight_decay", "clip",
        "seed"}},
      {"Progress",
       {"validate_every", "validation_windows", "checkpoint",
        "checkpoint_every", "resume", "curve", "probe"}},
      {"Machine", {"threads", "target"}}};
}

}  // namespace weft::inline v0
