// weft-diff: the rewrite, kernel or plan that makes a model compute something
// else.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "tools/backend_flags.h"
#include "tools/cli.h"
#include "tools/diff.h"
#include "tools/diff_model.h"
#include "tools/model_flags.h"
#include "tools/random_tokens.h"
#include "tools/stopwatch.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, prompt, "", "the text to evaluate");
ABSL_FLAG(int64_t, random, 8,
          "without a prompt: so many random tokens of the vocabulary");
ABSL_FLAG(uint64_t, seed, 1, "where the random numbers begin");
ABSL_FLAG(std::string, kv, "f16",
          "type of the KV cache, or K,V for different ones: f32, f16, bf16, "
          "q8_0 or q4_0");
ABSL_FLAG(std::string, targets, "",
          "instruction sets to run, as in AVX2,SSE2; without it all that the "
          "machine has");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-diff: finds what makes a model compute something else

  weft-diff --model=F                           8 random tokens
  weft-diff --model=F --prompt="Once upon a time"
  weft-diff --model=F --random=4 --seed=7 --targets=AVX2
  weft-diff --model=F --numerics=exact          leaves 8-bit activations out

Runs the model's graph as built and after every pass on the scalar references,
and without fusion, fused, with 8-bit activations and with packed weights on the
kernels of every instruction set: the tokens but the last as a prompt, then the
last one. Says for each run how far the values are from those that they replace
(the share of the power that is wrong, NMSE, and the distance in ulp), and of
the first value beyond its tolerance

  made by     the rule or pass, and the line of the model
  kernel      that computed it, held to its op's reference on the same operands
  cause       a pass, a kernel, or two buffers of the memory plan that overlap
  rewrite     the single application of a rule that brings it, found by halving
  without it  what comes of switching only that one off

Ends with 1 when anything diverges. References are slow: 8 tokens of a model of
1 GB take some minutes, and 2 GB of memory beside it, most of them for the
unfused graph, which decodes every weight as a whole; --targets leaves some out.
)";

Program MakeProgram() {
  return {.name = "weft-diff",
          .usage = kUsage,
          .groups = {{"What", {"model", "prompt", "random", "seed"}},
                     {"How", {"numerics", "kv", "targets", "threads"}}}};
}

absl::StatusOr<std::vector<std::string>> TargetsFromFlags() {
  const std::string text = absl::GetFlag(FLAGS_targets);
  if (text.empty()) return std::vector<std::string>();
  std::vector<std::string> targets = absl::StrSplit(text, ',');
  for (const std::string& target : targets)
    WEFT_RETURN_IF_ERROR(MakeBackend("cpu", {.target = target}).status());
  return targets;
}

absl::StatusOr<std::vector<Token>> TokensFromFlags(const Arguments& args,
                                                   const Model& model) {
  if (args.Given("prompt"))
    return model.tokenizer().Encode(absl::GetFlag(FLAGS_prompt),
                                    {.add_special = true});
  const int64_t count = absl::GetFlag(FLAGS_random);
  // As in the help: references are slow.
  WEFT_RETURN_IF_ERROR(CheckFlag("random", count, 1, 4096));
  return RandomTokens(count, model.vocab_size(), absl::GetFlag(FLAGS_seed));
}

absl::Status Run(const Arguments& args) {
  if (args.Given("prompt") && (args.Given("random") || args.Given("seed")))
    return absl::InvalidArgumentError("--prompt or --random, not both");
  DiffOptions options;
  WEFT_ASSIGN_OR_RETURN(options.numerics, NumericsFromFlags());
  WEFT_ASSIGN_OR_RETURN(options.targets, TargetsFromFlags());
  WEFT_ASSIGN_OR_RETURN(const KvTypes kv, ParseKv(absl::GetFlag(FLAGS_kv)));
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, LoadModel());
  WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens,
                        TokensFromFlags(args, *model));
  BuildOptions build;
  build.kv_k = kv.k;
  build.kv_v = kv.v;
  WEFT_ASSIGN_OR_RETURN(const DiffSubject subject,
                        SubjectOf(model, tokens, build));
  options.threads = absl::GetFlag(FLAGS_threads);
  options.cancel = &CatchInterrupt();
  const Stopwatch time;
  Progress bar("running");
  options.share = [&bar](double share) { bar.Update(share); };
  options.progress = [&time, &bar](absl::string_view what) {
    bar.Clear();
    // Only where one would wonder.
    if (time.Seconds() > 1)
      Say(absl::StrFormat("%7.1f s  %s", time.Seconds(), what));
  };
  Say(absl::StrCat("token", tokens.size() == 1 ? " " : "s ",
                   absl::StrJoin(tokens, ",")));
  WEFT_ASSIGN_OR_RETURN(const DiffReport report,
                        FindDivergences(subject, options));
  bar.Clear();
  WEFT_RETURN_IF_ERROR(Print(DiffReportText(report)));
  if (report.divergences.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      report.divergences.size(), " of ", report.runs.size(), " runs diverge"));
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
