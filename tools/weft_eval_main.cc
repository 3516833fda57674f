// weft-eval: numbers from a model.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/engine.h"
#include "models/model_file.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/eval.h"
#include "tools/model_flags.h"
#include "tools/read_file.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, text, "", "the text itself");
ABSL_FLAG(std::string, file, "",
          "a file with the text, byte for byte; - is standard input");
ABSL_FLAG(std::string, tokens, "", "token ids, as in 1,2,3 or \"1 2 3\"");
ABSL_FLAG(bool, special, false,
          "tokenize: add BOS and EOS as the model asks; detokenize: show them");
ABSL_FLAG(bool, parse_special, false,
          "tokenize: the text of a special token is that token");
ABSL_FLAG(int64_t, max_tokens, 32, "greedy: how many tokens to generate");
ABSL_FLAG(std::string, out, "",
          "the file to write, little-endian float32 without a header; it "
          "appears only when it is complete");
ABSL_FLAG(int64_t, chunk, 0,
          "tokens evaluated in one step; 0: up to 512, fewer for large "
          "vocabularies. The results are the same");
ABSL_FLAG(int64_t, context, 0,
          "positions of the KV cache; 0: as many as are needed, and 512 for "
          "perplexity");
ABSL_FLAG(std::string, kv, "f32",
          "type of the KV cache, or K,V for different ones: f32, f16, bf16, "
          "q8_0 or q4_0");
ABSL_FLAG(std::string, backend, "cpu",
          "cpu, or reference: slow scalar code, the truth that kernels are "
          "tested against");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-eval: what a model computes, as numbers

  weft-eval tokenize --model=F --text=T | --file=T [--special]
      The ids of a text, separated by spaces, on one line.
  weft-eval detokenize --model=F --tokens=1,2,3 [--special]
      The text of token ids, byte for byte.
  weft-eval logits --model=F --tokens=1,2,3 --out=X
      Writes the scores of every next token, float32 [tokens][vocabulary]; row
      i follows tokens 0 to i.
  weft-eval greedy --model=F --tokens=1,2,3 [--max_tokens=N]
      The ids that the model goes on with, always taking the best.
  weft-eval perplexity --model=F --text=T | --file=T [--context=N] [--out=X]
      exp of the mean negative log-likelihood of the text's tokens, given BOS
      and what precedes them within consecutive pieces of N - 1 tokens. --out
      gets the value of every token.

Nothing is added to --tokens: they begin with the model's BOS where it wants
one. Results go to standard output, all else to standard error.
)";

Program MakeProgram() {
  return {.name = "weft-eval",
          .usage = kUsage,
          .groups = {{"What",
                      {"model", "lora", "text", "file", "tokens", "special",
                       "parse_special", "max_tokens", "out"}},
                     {"How",
                      {"context", "chunk", "kv", "numerics", "threads",
                       "target", "backend"}}},
          .takes_words = true};
}

// Steps of 512 tokens, unless all their logits together are too much memory.
int64_t DefaultChunk(int64_t vocab) {
  constexpr int64_t kMaxLogits = int64_t{16} << 20;  // 64 MiB
  return std::clamp<int64_t>(kMaxLogits / std::max<int64_t>(vocab, 1), 1, 512);
}

// A model with one session in which `positions` tokens fit.
struct Opened {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Session> session;
};

absl::StatusOr<Opened> OpenSession(std::shared_ptr<const Model> model,
                                   int64_t positions, bool all_logits) {
  SessionOptions options;
  WEFT_ASSIGN_OR_RETURN(const KvTypes kv, ParseKv(absl::GetFlag(FLAGS_kv)));
  options.kv_k = kv.k;
  options.kv_v = kv.v;
  options.context = absl::GetFlag(FLAGS_context);
  if (options.context == 0) options.context = positions;
  if (positions > options.context)
    return absl::InvalidArgumentError(absl::StrCat(
        positions, " positions are needed, --context is ", options.context));
  options.batch = absl::GetFlag(FLAGS_chunk);
  if (options.batch == 0) options.batch = DefaultChunk(model->vocab_size());
  options.logits_rows = all_logits ? options.batch : 1;
  WEFT_ASSIGN_OR_RETURN(options.numerics, NumericsFromFlags());
  options.backend = absl::GetFlag(FLAGS_backend);
  options.backend_options = BackendFromFlags();
  WEFT_ASSIGN_OR_RETURN(auto session, model->NewSession(options));
  return Opened{std::move(model), std::move(session)};
}

EvalOptions EvalOptionsFor(Progress& progress) {
  EvalOptions options;
  options.cancel = &CatchInterrupt();
  options.progress = [&progress](double share) { progress.Update(share); };
  return options;
}

// The vocabulary of --model, without the rest of it.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer() {
  WEFT_ASSIGN_OR_RETURN(const std::string path, ModelPath());
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        OpenModelFile(path, {.header_only = true}));
  ShowWarnings(file.warnings());
  WEFT_ASSIGN_OR_RETURN(auto tokenizer, MakeTokenizer(file));
  ShowWarnings(tokenizer->warnings());
  return tokenizer;
}

absl::StatusOr<std::string> TextFromFlags(const Arguments& args) {
  if (args.Given("text") == args.Given("file"))
    return absl::InvalidArgumentError(
        "which text? --text=TEXT or --file=FILE gives it");
  if (args.Given("text")) return absl::GetFlag(FLAGS_text);
  return ReadTextFile(absl::GetFlag(FLAGS_file));
}

absl::StatusOr<std::vector<Token>> TokensFromFlags() {
  return ParseTokens(absl::GetFlag(FLAGS_tokens));
}

absl::Status Tokenize(const Arguments& args) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, TextFromFlags(args));
  WEFT_ASSIGN_OR_RETURN(const auto tokenizer, LoadTokenizer());
  const EncodeOptions options = {
      .add_special = absl::GetFlag(FLAGS_special),
      .parse_special = absl::GetFlag(FLAGS_parse_special)};
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens,
                        tokenizer->Encode(text, options));
  return Print(absl::StrCat(JoinTokens(tokens), "\n"));
}

absl::Status Detokenize(const Arguments&) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens, TokensFromFlags());
  WEFT_ASSIGN_OR_RETURN(const auto tokenizer, LoadTokenizer());
  WEFT_ASSIGN_OR_RETURN(
      const std::string text,
      tokenizer->Decode(tokens, absl::GetFlag(FLAGS_special)));
  if (!StdoutIsTerminal()) return Print(text);
  return Print(absl::StrCat(WithoutControls(text), "\n"));
}

absl::Status Logits(const Arguments& args) {
  if (!args.Given("out"))
    return absl::InvalidArgumentError("where to? --out=FILE gets the logits");
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens, TokensFromFlags());
  // Before the work, so that an unwritable name is known at once.
  WEFT_ASSIGN_OR_RETURN(AtomicFile out,
                        AtomicFile::Create(absl::GetFlag(FLAGS_out)));
  WEFT_ASSIGN_OR_RETURN(auto model, LoadModel());
  WEFT_ASSIGN_OR_RETURN(
      const Opened opened,
      OpenSession(std::move(model), static_cast<int64_t>(tokens.size()), true));
  Progress progress("evaluating");
  WEFT_RETURN_IF_ERROR(EvalLogits(
      *opened.session, tokens, EvalOptionsFor(progress),
      [&](absl::Span<const float> row) { return out.WriteFloats(row); }));
  WEFT_RETURN_IF_ERROR(out.Commit());
  progress.Clear();
  Say(absl::StrCat("wrote float32 [", tokens.size(), "][",
                   opened.model->vocab_size(), "] to ",
                   absl::GetFlag(FLAGS_out)));
  return absl::OkStatus();
}

absl::Status Greedy(const Arguments&) {
  const int64_t n = absl::GetFlag(FLAGS_max_tokens);
  WEFT_RETURN_IF_ERROR(CheckFlag("max_tokens", n, 0, kMaxContext));
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens, TokensFromFlags());
  WEFT_ASSIGN_OR_RETURN(auto model, LoadModel());
  // The last token made is not evaluated.
  const int64_t positions =
      static_cast<int64_t>(tokens.size()) + std::max<int64_t>(n - 1, 0);
  WEFT_ASSIGN_OR_RETURN(const Opened opened,
                        OpenSession(std::move(model), positions, false));
  Progress progress("generating");
  WEFT_ASSIGN_OR_RETURN(
      const std::vector<Token> made,
      EvalGreedy(*opened.session, tokens, n, EvalOptionsFor(progress)));
  progress.Clear();
  return Print(absl::StrCat(JoinTokens(made), "\n"));
}

absl::Status PrintPerplexity(const Perplexity& result) {
  return Print(absl::StrFormat(
      "perplexity %.6g\nmean_nll %.8g\ntokens %d\npieces %d\n",
      result.perplexity, result.mean_nll, result.nll.size(), result.pieces));
}

absl::Status RunPerplexity(const Arguments& args) {
  constexpr int64_t kDefaultContext = 512;
  int64_t context = absl::GetFlag(FLAGS_context);
  if (context == 0) context = kDefaultContext;
  WEFT_RETURN_IF_ERROR(CheckFlag("context", context, 2, kMaxContext));
  WEFT_ASSIGN_OR_RETURN(const std::string text, TextFromFlags(args));
  WEFT_ASSIGN_OR_RETURN(auto model, LoadModel());
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens,
                        model->tokenizer().Encode(text, {}));
  if (tokens.empty())
    return absl::InvalidArgumentError("the text has no tokens to score");
  const auto bos = model->tokenizer().bos();
  if (!bos.has_value())
    return absl::FailedPreconditionError(
        "the model has no BOS token, behind which every piece stands");
  const int64_t positions =
      std::min(context, static_cast<int64_t>(tokens.size()));
  // Taken before the work, so that an unwritable name is known at once.
  std::unique_ptr<AtomicFile> out;
  if (args.Given("out")) {
    WEFT_ASSIGN_OR_RETURN(AtomicFile file,
                          AtomicFile::Create(absl::GetFlag(FLAGS_out)));
    out = std::make_unique<AtomicFile>(std::move(file));
  }
  WEFT_ASSIGN_OR_RETURN(const Opened opened,
                        OpenSession(std::move(model), positions, true));
  Progress progress("evaluating");
  WEFT_ASSIGN_OR_RETURN(const Perplexity result,
                        EvalPerplexity(*opened.session, *bos, tokens, context,
                                       EvalOptionsFor(progress)));
  if (out != nullptr) {
    WEFT_RETURN_IF_ERROR(out->WriteFloats(result.nll));
    WEFT_RETURN_IF_ERROR(out->Commit());
  }
  progress.Clear();
  return PrintPerplexity(result);
}

struct Command {
  absl::string_view name;
  absl::Status (*run)(const Arguments& args);
};

constexpr Command kCommands[] = {{"tokenize", Tokenize},
                                 {"detokenize", Detokenize},
                                 {"logits", Logits},
                                 {"greedy", Greedy},
                                 {"perplexity", RunPerplexity}};

absl::Status Run(const Arguments& args) {
  const std::string names = absl::StrJoin(
      kCommands, ", ",
      [](std::string* out, const Command& c) { absl::StrAppend(out, c.name); });
  if (args.words.empty())
    return absl::InvalidArgumentError(absl::StrCat(
        "what to do? The commands are ", names, "; see weft-eval --help"));
  if (args.words.size() > 1)
    return absl::InvalidArgumentError(
        absl::StrCat("there is no use for \"", args.words[1], "\" after \"",
                     args.words[0], "\"; see weft-eval --help"));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("chunk", absl::GetFlag(FLAGS_chunk), 0, 1 << 16));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("context", absl::GetFlag(FLAGS_context), 0, kMaxContext));
  CatchInterrupt();  // from here on, so that no half-made file stays
  for (const Command& command : kCommands) {
    if (command.name != args.words[0]) continue;
    const absl::Status status = command.run(args);
    return absl::IsCancelled(status) ? absl::CancelledError("interrupted")
                                     : status;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no command \"", args.words[0], "\"; the commands are ", names));
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
