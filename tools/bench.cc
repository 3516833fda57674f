#include "tools/bench.h"

#include <algorithm>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/machine.h"
#include "tools/profile_file.h"
#include "tools/random_tokens.h"
#include "tools/stopwatch.h"

namespace weft::inline v0 {
namespace {

// Prefill by chunks: equal ones, and perhaps a shorter last one.
std::vector<StepSize> ChunkSteps(int64_t tokens, int64_t chunk, int64_t first) {
  std::vector<StepSize> steps;
  const auto add = [&steps](int64_t t, int64_t position, int64_t n) {
    if (t > 0 && n > 0) steps.push_back({{{"T", t}, {"R", 1}}, position, n});
  };
  add(chunk, first, tokens / chunk);
  add(tokens % chunk, first + tokens / chunk * chunk, 1);
  return steps;
}

// A token of each of `sequences` in every step, at positions of their own.
std::vector<StepSize> DecodeSteps(int64_t steps, int64_t first, int sequences) {
  std::vector<StepSize> out;
  for (int64_t i = 0; i < steps; ++i)
    out.push_back({{{"T", sequences}, {"R", sequences}}, first + i, 1});
  return out;
}

class Bencher {
 public:
  Bencher(const Model& model, const BenchOptions& options, Session& session,
          BenchRun& run)
      : options_(options),
        session_(session),
        run_(run),
        tokens_(RandomTokens(
            std::max({options.depth, options.prompt, options.generate}),
            model.vocab_size(), options.seed)) {}

  absl::Status Run(Probe* probe) {
    if (probe != nullptr) {
      Read(*probe);
      run_.peaks = probe->Peaks();
    }
    if (options_.depth > 0)
      for (int slot = 0; slot < options_.sequences; ++slot)
        WEFT_RETURN_IF_ERROR(
            session_.Prefill(slot, First(options_.depth)).status());
    for (const bool decode : {false, true}) {
      WEFT_RETURN_IF_ERROR(RunTest(decode));
      if (probe != nullptr) Read(*probe);
    }
    for (size_t i = 0; i < run_.tests.size(); ++i) SetLimits(i);
    return absl::OkStatus();
  }

 private:
  absl::Span<const Token> First(int64_t n) const {
    return absl::MakeConstSpan(tokens_).first(static_cast<size_t>(n));
  }
  void Read(Probe& probe) {
    run_.reads.push_back(probe.Read());
    Progress();
  }

  // Before a repetition and after each read.
  void Progress() {
    const double whole =
        2.0 * (options_.reps * (options_.profile ? 2 : 1) + 1) + 3;
    if (options_.progress) options_.progress(done_++ / whole);
  }

  absl::Status RunTest(bool decode) {
    BenchTest& test = run_.tests.emplace_back();
    test.name = decode ? "decode" : "prefill";
    const int64_t length = decode ? options_.generate : options_.prompt;
    const bool many = decode && options_.sequences > 1;
    test.tokens = many ? length * options_.sequences : length;
    test.steps = many
                     ? DecodeSteps(length, options_.depth, options_.sequences)
                     : ChunkSteps(length, decode ? 1 : session_.options().batch,
                                  options_.depth);
    for (const StepSize& steps : test.steps)
      test.work += WorkOfSteps(session_.graph(), steps);
    if (many) {
      absl::StrAppend(&test.name, " of ", options_.sequences);
      // Each sequence reads its own cache.
      test.work.state_bytes = 0;
      for (const StepSize& steps : ChunkSteps(length, 1, options_.depth))
        test.work.state_bytes +=
            options_.sequences *
            WorkOfSteps(session_.graph(), steps).state_bytes;
    }
    WEFT_RETURN_IF_ERROR(Repeat(decode, length).status());  // warms up
    for (int i = 0; i < options_.reps; ++i) {
      WEFT_ASSIGN_OR_RETURN(test.seconds.emplace_back(),
                            Repeat(decode, length));
    }
    return options_.profile ? RunProfile(decode, test) : absl::OkStatus();
  }

  absl::Status RunProfile(bool decode, BenchTest& test) {
    Profile profile;
    profile.trace_room = options_.trace_room;
    WEFT_RETURN_IF_ERROR(session_.SetProfile(&profile));
    absl::Status status;
    double wall = 0;
    for (int i = 0; i < options_.reps && status.ok(); ++i) {
      const absl::StatusOr<double> seconds =
          Repeat(decode, decode ? options_.generate : options_.prompt);
      status = seconds.status();
      wall += seconds.value_or(0);
    }
    status.Update(session_.SetProfile(nullptr));
    WEFT_RETURN_IF_ERROR(status);
    test.profile = std::make_unique<ProfileSummary>(Summarize(
        profile, session_.graph(), session_.plan(), test.steps, options_.reps));
    test.profile->wall = wall;
    events_.insert(events_.end(), profile.trace.begin(), profile.trace.end());
    if (options_.trace_room > 0)
      run_.trace = TraceJson(session_.graph(), session_.plan(), events_);
    return absl::OkStatus();
  }

  // Back to the depth. Caches of sliding windows cannot go back over a long
  // prompt: then it is read again.
  absl::Status Rewind(int slot) {
    const int64_t left = session_.Truncate(slot, options_.depth);
    if (left == options_.depth) return absl::OkStatus();
    const auto missing =
        First(options_.depth).subspan(static_cast<size_t>(left));
    return session_.Prefill(slot, missing).status();
  }

  // In seconds.
  absl::StatusOr<double> Repeat(bool decode, int64_t tokens) {
    Progress();
    for (int slot = 0; slot < options_.sequences; ++slot)
      WEFT_RETURN_IF_ERROR(Rewind(slot));
    const Stopwatch time;
    if (!decode) {
      WEFT_RETURN_IF_ERROR(session_.Prefill(0, First(tokens)).status());
    } else if (options_.sequences > 1) {
      for (const Token token : First(tokens)) {
        batch_.clear();
        for (int slot = 0; slot < options_.sequences; ++slot)
          batch_.push_back({token, slot, true});
        WEFT_RETURN_IF_ERROR(session_.Step(batch_).status());
      }
    } else {
      for (const Token token : First(tokens))
        WEFT_RETURN_IF_ERROR(session_.Decode(0, token).status());
    }
    return time.Seconds();
  }

  void SetLimits(size_t i) {
    Limits& limits = run_.tests[i].limits;
    if (!run_.reads.empty())
      limits.bytes_per_second = std::max(run_.reads[i].bytes_per_second,
                                         run_.reads[i + 1].bytes_per_second);
    SetPeaks(run_.peaks, limits);
  }

  const BenchOptions& options_;
  Session& session_;
  BenchRun& run_;
  std::vector<Token> tokens_;
  std::vector<StepToken> batch_;
  std::vector<TraceEvent> events_;  // of both tests
  int done_ = 0;
};

std::vector<std::string> OpsOnReference(const Session& session) {
  absl::btree_set<std::string> names;
  for (const PlannedStep& step : session.plan().steps)
    if (step.on_reference)
      names.emplace(session.graph().node(step.node).op->name);
  return {names.begin(), names.end()};
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {(values[(n - 1) / 2] + values[n / 2]) / 2, values.front(),
          values.back()};
}

std::vector<double> BenchTest::tokens_per_second() const {
  std::vector<double> out;
  for (const double s : seconds) out.push_back(static_cast<double>(tokens) / s);
  return out;
}

int64_t ProbeBytes(int64_t wanted) {
  constexpr int64_t kLeast = 16 << 20;
  const int64_t free = DescribeMachine().memory;
  return free == 0 ? wanted : std::min(wanted, std::max(free / 2, kLeast));
}

absl::StatusOr<BenchRun> Measure(const Model& model, int threads,
                                 const BenchOptions& options) {
  SessionOptions o = options.session;
  o.backend_options.threads = threads;
  o.slots = options.sequences;
  o.logits_rows = options.sequences;
  WEFT_ASSIGN_OR_RETURN(const auto session, model.NewSession(o));
  std::unique_ptr<Probe> probe;
  if (options.probe_bytes > 0) {
    WEFT_ASSIGN_OR_RETURN(const auto backend,
                          MakeBackend(o.backend, o.backend_options));
    WEFT_ASSIGN_OR_RETURN(probe, backend->MakeProbe(options.probe_bytes));
  }
  BenchRun run;
  run.threads = threads;
  run.target = session->plan().target;
  run.on_reference = OpsOnReference(*session);
  run.context = session->options().context;
  run.pack_cache = session->pack_cache_status();
  WEFT_RETURN_IF_ERROR(Bencher(model, options, *session, run).Run(probe.get()));
  return run;
}

}  // namespace weft::inline v0
