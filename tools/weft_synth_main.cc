// weft-synth: models with random weights, to measure and to test with.
#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/gguf.h"
#include "models/parallel.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/mixture.h"
#include "tools/model_flags.h"
#include "tools/stopwatch.h"
#include "tools/synth.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, preset, "",
          "the shape: tinyllama-1.1b, llama3-8b or tiny");
ABSL_FLAG(std::string, arch, "llama",
          "the architecture, by its name in GGUF files: llama, qwen3, gemma3, "
          "gpt-oss, mamba, bert, ...");
ABSL_FLAG(std::string, type, "Q4_K_M",
          "a format (f32, f16, q4_0, q4_k, ...), which all matrices get, or a "
          "mixture (Q2_K, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, "
          "Q5_K_M, Q6_K, Q8_0)");
ABSL_FLAG(bool, pure, false, "all matrices in the mixture's main format");
ABSL_FLAG(std::string, out, "",
          "the file to write; it appears only when it is complete");
ABSL_FLAG(int64_t, layers, 0, "layers; 0 here and below: as the preset says");
ABSL_FLAG(int64_t, width, 0, "width of the residual stream");
ABSL_FLAG(int64_t, heads, 0, "attention heads");
ABSL_FLAG(int64_t, kv_heads, 0, "heads of K and V, which the others share");
ABSL_FLAG(int64_t, ff, 0, "width of the feed-forward part");
ABSL_FLAG(int64_t, experts, 0,
          "experts of a layer, two of which a token uses, for deepseek2, "
          "gpt-oss, qwen3moe and llama, which becomes Mixtral");
ABSL_FLAG(int64_t, context, 0, "positions that the model says it is made for");
ABSL_FLAG(int64_t, vocab_size, 0, "tokens of the made-up vocabulary");
ABSL_FLAG(std::string, vocab, "",
          "a GGUF file whose vocabulary to copy instead of making one up");
ABSL_FLAG(uint64_t, seed, 0, "where the random numbers begin");
ABSL_FLAG(bool, header_only, false,
          "zeros for weights, as a hole that takes no room on the disk");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-synth: writes a model with random weights

  weft-synth --preset=tinyllama-1.1b --type=Q4_K_M --out=tl.gguf
  weft-synth --preset=tiny --type=q8_0 --layers=2 --seed=7 --out=t.gguf
  weft-synth --preset=tiny --arch=qwen3moe --out=experts.gguf
  weft-synth --preset=tiny --vocab=real.gguf --out=t.gguf
  weft-synth --preset=llama3-8b --header_only --out=shape.gguf

A valid GGUF file that any engine can load: to measure speed and memory without
a download, and to test with. Its text is noise. Weights are normally
distributed, of a size that keeps activations about 1. The vocabulary is of
SentencePiece's kind, with made-up pieces and the 256 bytes.

The same flags give the same file, for any --threads. Existing files are
replaced when the new one is complete, and stay as they are after an error,
Ctrl-C or a full disk.
)";

Program MakeProgram() {
  return {.name = "weft-synth",
          .usage = kUsage,
          .groups = {{"Model",
                      {"preset", "arch", "type", "pure", "layers", "width",
                       "heads", "kv_heads", "ff", "experts", "context",
                       "vocab_size", "vocab", "seed"}},
                     {"File", {"out", "header_only"}},
                     {"Machine", {"threads"}}}};
}

absl::StatusOr<SynthModel> ModelFromFlags() {
  const std::string preset = absl::GetFlag(FLAGS_preset);
  if (preset.empty())
    return absl::InvalidArgumentError(
        absl::StrCat("which shape? --preset names it: ", SynthPresetNames()));
  WEFT_ASSIGN_OR_RETURN(SynthModel model, FindSynthPreset(preset));
  const auto change = [](int64_t flag, int64_t& value) {
    if (flag != 0) value = flag;
  };
  model.arch = absl::GetFlag(FLAGS_arch);
  change(absl::GetFlag(FLAGS_layers), model.layers);
  change(absl::GetFlag(FLAGS_width), model.width);
  change(absl::GetFlag(FLAGS_heads), model.heads);
  change(absl::GetFlag(FLAGS_kv_heads), model.kv_heads);
  change(absl::GetFlag(FLAGS_ff), model.ff);
  change(absl::GetFlag(FLAGS_experts), model.experts);
  change(absl::GetFlag(FLAGS_context), model.context);
  change(absl::GetFlag(FLAGS_vocab_size), model.vocab);
  WEFT_RETURN_IF_ERROR(CheckSynthModel(model));
  return model;
}

// The file of --vocab; sets the model's number of tokens.
absl::StatusOr<GgufFile> OpenVocab(const std::string& path, SynthModel& model) {
  WEFT_ASSIGN_OR_RETURN(GgufFile file,
                        GgufFile::Open(path, {.header_only = true}));
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo tokens,
                        file.GetArrayInfo("tokenizer.ggml.tokens"));
  model.vocab = static_cast<int64_t>(tokens.count);
  return file;
}

absl::Status Run(const Arguments& args) {
  const Stopwatch time;
  WEFT_ASSIGN_OR_RETURN(SynthModel model, ModelFromFlags());
  SynthOptions options;
  WEFT_ASSIGN_OR_RETURN(
      options.mixture,
      FindMixture(absl::GetFlag(FLAGS_type), absl::GetFlag(FLAGS_pure)));
  options.seed = absl::GetFlag(FLAGS_seed);
  options.header_only = absl::GetFlag(FLAGS_header_only);
  const std::string out = absl::GetFlag(FLAGS_out);
  if (out.empty())
    return absl::InvalidArgumentError("where to? --out=FILE gets the model");
  const std::string vocab = absl::GetFlag(FLAGS_vocab);
  if (!vocab.empty() && args.Given("vocab_size"))
    return absl::InvalidArgumentError("--vocab or --vocab_size, not both");
  WEFT_RETURN_IF_ERROR(
      CheckFlag("threads", absl::GetFlag(FLAGS_threads), 0, 1024));

  std::optional<GgufFile> vocab_file;
  if (!vocab.empty()) {
    WEFT_RETURN_IF_ERROR(CheckNotSameFile(vocab, out));
    WEFT_ASSIGN_OR_RETURN(vocab_file, OpenVocab(vocab, model));
    options.vocab_from = &*vocab_file;
  }
  Progress progress("writing");
  const double total = static_cast<double>(SynthValues(model));
  double done = 0;
  EncodeContext context;
  context.threads = ThreadCount(absl::GetFlag(FLAGS_threads));
  context.cancel = &CatchInterrupt();
  context.progress = [&](int64_t values) {
    done += static_cast<double>(values);
    progress.Update(done / total);
  };
  WEFT_ASSIGN_OR_RETURN(const SynthSummary summary,
                        WriteSynth(out, std::move(model), options, context));
  progress.Clear();
  Say(absl::StrFormat(
      "wrote %s: %.1f M parameters, %.1f MiB, %.2f bits per weight, in %.1f s",
      out, static_cast<double>(summary.parameters) / 1e6,
      static_cast<double>(summary.file_bytes) / (1 << 20),
      static_cast<double>(summary.data_bytes) * 8 /
          static_cast<double>(summary.parameters),
      time.Seconds()));
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
