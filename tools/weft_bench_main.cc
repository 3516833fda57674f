// weft-bench: how fast a model runs, and how fast it could.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/engine.h"
#include "tools/bench.h"
#include "tools/bench_report.h"
#include "tools/cancel_bench.h"
#include "tools/cli.h"
#include "tools/cold_start.h"
#include "tools/machine.h"
#include "tools/model_flags.h"
#include "tools/profile_file.h"
#include "tools/profile_text.h"
#include "tools/terminal.h"

ABSL_FLAG(int64_t, prompt, 512, "tokens of a prefill");
ABSL_FLAG(int64_t, generate, 64, "tokens of a decode");
ABSL_FLAG(int32_t, sequences, 1,
          "sequences that are decoded side by side, a token of each in a step");
ABSL_FLAG(int64_t, depth, 0,
          "tokens that stand in the KV cache before either begins");
ABSL_FLAG(int32_t, reps, 5, "repetitions, after one that does not count");
ABSL_FLAG(std::string, threads, "0",
          "numbers of threads, such as 1,2: everything is measured with each; "
          "0: one per core");
ABSL_FLAG(int64_t, batch, 512, "tokens of the largest step of a prefill");
ABSL_FLAG(int64_t, context, 0,
          "positions of the KV cache; 0: as many as the tests need");
ABSL_FLAG(std::string, kv, "f16",
          "type of the KV cache, or K,V for different ones: f32, f16, bf16, "
          "q8_0 or q4_0");
ABSL_FLAG(uint64_t, seed, 1, "of the tokens");
ABSL_FLAG(std::string, profile, "",
          "where the time goes, by kernel and by layer; --profile=FILE also "
          "writes it there, by node and thread, for graph-dump");
ABSL_FLAG(std::string, trace, "",
          "a file for every step of every thread of the profile, for Perfetto "
          "or chrome://tracing");
ABSL_FLAG(bool, probe, true,
          "measure the limits of the machine too; --noprobe saves the time");
ABSL_FLAG(int64_t, probe_mib, 1024,
          "memory that the probe reads, in MiB: far more than the caches hold");
ABSL_FLAG(std::string, format, "table", "table, json or csv");
ABSL_FLAG(int32_t, cancel, 0,
          "instead: how long work goes on that another thread cancels; so many "
          "times, at random moments");
ABSL_FLAG(int32_t, cold_start, 0,
          "instead: how long a new process needs to its first token; so many "
          "of them, one after the other");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-bench: measures how fast a model runs, and how fast it could

  weft-bench --model=F                        prefill and decode, all cores
  weft-bench --model=F --threads=1,2          with one thread, then with two
  weft-bench --model=F --depth=4096           with so much context
  weft-bench --model=F --sequences=8          decoded side by side
  weft-bench --model=F --profile              where the time goes
  weft-bench --model=F --profile=P --trace=T  in files: see graph-dump, Perfetto
  weft-bench --model=F --format=json > F.json
  weft-bench --model=F --cancel               how soon a cancelled step ends
  weft-bench --model=F --cold_start           how soon a process gives a token

A prefill evaluates --prompt tokens as weft-run does with a prompt; a decode
evaluates --generate tokens one by one. Both begin with --depth tokens in the KV
cache, and neither samples. Tokens are random numbers, the same for each --seed.
Speeds are medians; "spread" is the distance from the slowest to the fastest
repetition.

"of read" compares the weights and KV cache that must be read with the rate at
which this machine can read memory, "of peak" the multiplications and additions
with the rate at which it can do them; both are measured on the spot, with the
same threads and instruction set. Small models live in caches, which are faster
than memory: "of read" may pass 100 % then. With tile registers (AMX) "of peak"
is of theirs, but for f16, whose products count as f32 and may pass it.

In a profile, times and work are of one step; "of limit" is the greater of the
two shares, activations included; "imbalance" says how much longer the slowest
thread worked than the mean, "waiting" what was neither.

--cancel ends loads, packing, prefills, decodes and embeddings from another
thread and tells the time from then to the answer. --cold_start runs weft-run,
which lies beside this program, with a prompt and one token to generate.
)";

// --profile without a file.
constexpr absl::string_view kTableOnly = "table";

Program MakeProgram() {
  return {
      .name = "weft-bench",
      .usage = kUsage,
      .groups = {{"What",
                  {"model", "prompt", "generate", "sequences", "depth", "reps",
                   "profile", "trace", "probe", "probe_mib", "format", "seed",
                   "cancel", "cold_start"}},
                 {"How",
                  {"threads", "target", "numerics", "pack", "pack_cache", "kv",
                   "batch", "context"}}},
      .bare = {
          {"profile", kTableOnly}, {"cancel", "100"}, {"cold_start", "50"}}};
}

constexpr int kMaxThreads = 1024;

absl::StatusOr<std::vector<int>> ParseThreads(absl::string_view text) {
  std::vector<int> out;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int n = 0;
    if (!absl::SimpleAtoi(part, &n) || n < 0 || n > kMaxThreads)
      return absl::InvalidArgumentError(
          absl::StrCat("--threads is \"", text,
                       "\"; expected numbers from 0 "
                       "to ",
                       kMaxThreads, ", with commas between them"));
    out.push_back(
        n > 0 ? n
              : std::max(
                    1, static_cast<int>(std::thread::hardware_concurrency())));
  }
  return out;
}

absl::StatusOr<BenchOptions> OptionsFromFlags() {
  constexpr int64_t kMost = kMaxContext;
  BenchOptions o;
  o.prompt = absl::GetFlag(FLAGS_prompt);
  o.generate = absl::GetFlag(FLAGS_generate);
  o.depth = absl::GetFlag(FLAGS_depth);
  o.sequences = absl::GetFlag(FLAGS_sequences);
  o.reps = absl::GetFlag(FLAGS_reps);
  o.seed = absl::GetFlag(FLAGS_seed);
  o.profile = !absl::GetFlag(FLAGS_profile).empty() ||
              !absl::GetFlag(FLAGS_trace).empty();
  // 40 bytes each; a step of a model with 30 layers has some 2000.
  if (!absl::GetFlag(FLAGS_trace).empty()) o.trace_room = 1 << 18;
  o.session.batch = absl::GetFlag(FLAGS_batch);
  o.session.context = absl::GetFlag(FLAGS_context);
  o.session.backend_options.target = absl::GetFlag(FLAGS_target);
  WEFT_RETURN_IF_ERROR(CheckFlag("prompt", o.prompt, 1, kMost));
  WEFT_RETURN_IF_ERROR(CheckFlag("generate", o.generate, 1, kMost));
  WEFT_RETURN_IF_ERROR(CheckFlag("depth", o.depth, 0, kMost));
  WEFT_RETURN_IF_ERROR(CheckFlag("sequences", o.sequences, 1, 512));
  WEFT_RETURN_IF_ERROR(CheckFlag("reps", o.reps, 1, 1000));
  WEFT_RETURN_IF_ERROR(CheckFlag("batch", o.session.batch, 1, 1 << 16));
  if (o.sequences > o.session.batch)
    return absl::InvalidArgumentError(
        absl::StrCat("--sequences is ", o.sequences,
                     "; a step takes --batch = ", o.session.batch));
  WEFT_RETURN_IF_ERROR(CheckFlag("context", o.session.context, 0, kMost));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("probe_mib", absl::GetFlag(FLAGS_probe_mib), 4, 1 << 20));
  WEFT_ASSIGN_OR_RETURN(o.session.numerics, NumericsFromFlags());
  WEFT_ASSIGN_OR_RETURN(const KvTypes kv, ParseKv(absl::GetFlag(FLAGS_kv)));
  o.session.kv_k = kv.k;
  o.session.kv_v = kv.v;

  const int64_t needed = o.depth + std::max(o.prompt, o.generate);
  if (o.session.context == 0) o.session.context = needed;
  if (needed > std::min(o.session.context, kMost))
    return absl::InvalidArgumentError(absl::StrCat(
        "--depth and the longer of --prompt and --generate make ", needed,
        " positions, the context has ", std::min(o.session.context, kMost)));
  return o;
}

absl::StatusOr<std::string (*)(const BenchReport&)> FormatFromFlags() {
  const std::string format = absl::GetFlag(FLAGS_format);
  if (format == "csv" && absl::GetFlag(FLAGS_profile) == kTableOnly)
    return absl::InvalidArgumentError(
        "--format=csv has no room for a profile; use table or json");
  if (format == "table") return BenchTable;
  if (format == "json") return BenchJson;
  if (format == "csv") return BenchCsv;
  return absl::InvalidArgumentError(absl::StrCat(
      "--format is \"", format, "\"; expected table, json or csv"));
}

// Those that --profile and --trace ask for.
absl::Status WriteFiles(const BenchReport& report) {
  const std::string profile = absl::GetFlag(FLAGS_profile);
  if (!profile.empty() && profile != kTableOnly) {
    std::vector<NamedProfile> profiles;
    for (const BenchRun& run : report.runs)
      for (const BenchTest& test : run.tests)
        profiles.push_back({absl::StrCat(test.name, " ", test.tokens, ", ",
                                         ThreadsText(run.threads)),
                            test.profile.get(), test.limits});
    WEFT_RETURN_IF_ERROR(WriteWhole(
        profile,
        ProfileJson(report.model.file, report.runs[0].target, profiles)));
  }
  const std::string trace = absl::GetFlag(FLAGS_trace);
  if (trace.empty()) return absl::OkStatus();
  if (report.runs.size() > 1)
    Warn("the trace is of the last number of threads");
  return WriteWhole(trace, report.runs.back().trace);
}

// As it was given, for reports.
std::vector<std::string> command_line;

absl::Status RunCancel() {
  CancelOptions o;
  o.times = absl::GetFlag(FLAGS_cancel);
  WEFT_RETURN_IF_ERROR(CheckFlag("cancel", o.times, 1, 100000));
  WEFT_ASSIGN_OR_RETURN(const BenchOptions bench, OptionsFromFlags());
  WEFT_ASSIGN_OR_RETURN(const std::vector<int> threads,
                        ParseThreads(absl::GetFlag(FLAGS_threads)));
  WEFT_ASSIGN_OR_RETURN(o.path, ModelPath());
  o.prompt = bench.prompt;
  o.generate = bench.generate;
  o.seed = bench.seed;
  o.session = bench.session;
  // As sessions of the model run; the model itself is loaded many times.
  WEFT_RETURN_IF_ERROR(LoadModelFor(o.session).status());
  o.session.backend_options.threads = threads.front();
  Progress progress("measuring");
  o.progress = [&progress](double share) { progress.Update(share); };
  WEFT_ASSIGN_OR_RETURN(const auto tests, MeasureCancel(o));
  progress.Clear();
  return Print(CancelTable(tests));
}

absl::Status RunColdStart() {
  const int times = absl::GetFlag(FLAGS_cold_start);
  WEFT_RETURN_IF_ERROR(CheckFlag("cold_start", times, 1, 100000));
  WEFT_ASSIGN_OR_RETURN(const std::vector<int> threads,
                        ParseThreads(absl::GetFlag(FLAGS_threads)));
  WEFT_ASSIGN_OR_RETURN(const std::string model, ModelPath());
  WEFT_ASSIGN_OR_RETURN(
      const auto command,
      FirstTokenCommand(model, absl::StrCat(threads.front())));
  WEFT_ASSIGN_OR_RETURN(const ColdStarts starts,
                        MeasureColdStarts(command, times));
  return Print(ColdStartTable(starts));
}

absl::Status Run(const Arguments& args) {
  for (const char* flag : {"cancel", "cold_start"})
    if (args.Given(flag) && absl::GetFlag(FLAGS_format) != "table")
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " prints a table; leave --format out"));
  if (args.Given("cancel")) return RunCancel();
  if (args.Given("cold_start")) return RunColdStart();
  BenchReport report;
  report.command = command_line;
  report.machine = DescribeMachine();
  WEFT_ASSIGN_OR_RETURN(const auto print, FormatFromFlags());
  WEFT_ASSIGN_OR_RETURN(report.options, OptionsFromFlags());
  WEFT_ASSIGN_OR_RETURN(const std::vector<int> threads,
                        ParseThreads(absl::GetFlag(FLAGS_threads)));
  WEFT_ASSIGN_OR_RETURN(const auto model, LoadModelFor(report.options.session));
  if (absl::GetFlag(FLAGS_probe)) {
    const int64_t wanted = absl::GetFlag(FLAGS_probe_mib) << 20;
    report.options.probe_bytes = ProbeBytes(wanted);
    if (report.options.probe_bytes < wanted)
      Warn(absl::StrCat("memory is short: the probe reads ",
                        report.options.probe_bytes >> 20, " MiB only"));
  }
  report.model = FactsOf(*model);
  if (const int64_t trained = model->trained_context();
      trained > 0 && report.options.session.context > trained)
    Warn(absl::StrCat("the model was trained for ", trained,
                      " positions; for its speed that makes no difference"));
  Progress progress("measuring");
  for (size_t i = 0; i < threads.size(); ++i) {
    report.options.progress = [&](double share) {
      progress.Update((static_cast<double>(i) + share) /
                      static_cast<double>(threads.size()));
    };
    WEFT_ASSIGN_OR_RETURN(report.runs.emplace_back(),
                          Measure(*model, threads[i], report.options));
  }
  progress.Clear();
  if (const absl::Status& cache = report.runs[0].pack_cache; !cache.ok())
    Warn(absl::StrCat("--pack_cache: ", cache.message()));
  WEFT_RETURN_IF_ERROR(WriteFiles(report));
  return Print(print(report));
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  weft::command_line.assign(argv, argv + argc);
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
