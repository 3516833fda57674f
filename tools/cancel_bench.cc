#include "tools/cancel_bench.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/bench.h"
#include "tools/random_tokens.h"
#include "tools/stopwatch.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

using Flag = const std::atomic<bool>*;
using Clock = std::chrono::steady_clock;

class Canceller {
 public:
  explicit Canceller(const CancelOptions& options)
      : options_(options), random_(options.seed) {}

  absl::StatusOr<std::vector<CancelTest>> Run() {
    WEFT_RETURN_IF_ERROR(Loads());
    WEFT_ASSIGN_OR_RETURN(model_, Model::Load(options_.path));
    prompt_ =
        RandomTokens(options_.prompt, model_->vocab_size(), options_.seed);
    if (options_.session.pack_weights) WEFT_RETURN_IF_ERROR(Packing());
    if (model_->architecture().causal) WEFT_RETURN_IF_ERROR(Steps());
    WEFT_RETURN_IF_ERROR(Embeddings());
    return std::move(tests_);
  }

 private:
  // `work` runs until it is done or cancelled, without a flag until it is done;
  // `reset`, which is not measured, before it.
  absl::Status Measure(std::string name,
                       absl::FunctionRef<absl::Status()> reset,
                       absl::FunctionRef<absl::Status(Flag)> work) {
    CancelTest& test = tests_.emplace_back();
    test.name = std::move(name);
    WEFT_RETURN_IF_ERROR(reset());
    WEFT_RETURN_IF_ERROR(work(nullptr));  // warms up
    WEFT_RETURN_IF_ERROR(reset());
    const Stopwatch time;
    WEFT_RETURN_IF_ERROR(work(nullptr));
    std::uniform_real_distribution<double> moment(0, time.Seconds());
    // Some are done before the flag is set.
    for (int tries = 0; tries < 10 * options_.times; ++tries) {
      if (static_cast<int>(test.seconds.size()) == options_.times) break;
      WEFT_RETURN_IF_ERROR(reset());
      WEFT_RETURN_IF_ERROR(CancelOnce(moment(random_), work, test));
      Progress();
    }
    return absl::OkStatus();
  }

  static absl::Status CancelOnce(double after_seconds,
                                 absl::FunctionRef<absl::Status(Flag)> work,
                                 CancelTest& test) {
    std::atomic<bool> cancel{false};
    Clock::time_point set;
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::duration<double>(after_seconds));
      set = Clock::now();
      cancel.store(true);
    });
    const absl::Status status = work(&cancel);
    const Clock::time_point end = Clock::now();
    other.join();
    if (!absl::IsCancelled(status)) return status;
    test.seconds.push_back(std::chrono::duration<double>(end - set).count());
    return absl::OkStatus();
  }

  absl::Status Loads() {
    const auto nothing = [] { return absl::OkStatus(); };
    for (const bool copy : {false, true}) {
      const auto load = [&](Flag cancel) {
        LoadOptions o;
        o.read_into_memory = copy;
        o.progress = [](double) {};
        o.cancel = cancel;
        return Model::Load(options_.path, o).status();
      };
      WEFT_RETURN_IF_ERROR(
          Measure(copy ? "load a copy" : "load, touch pages", nothing, load));
    }
    return absl::OkStatus();
  }

  absl::Status Packing() {
    std::shared_ptr<const Model> fresh;  // has nothing packed
    const auto reset = [&] {
      fresh = nullptr;  // first: not two copies at once
      auto loaded = Model::Load(options_.path);
      if (loaded.ok()) fresh = *std::move(loaded);
      return loaded.status();
    };
    return Measure("pack weights", reset, [&](Flag cancel) {
      SessionOptions o = options_.session;
      o.cancel = cancel;
      return fresh->NewSession(o).status();
    });
  }

  absl::Status Steps() {
    WEFT_ASSIGN_OR_RETURN(const auto session,
                          model_->NewSession(options_.session));
    const auto reset = [&] {
      session->Truncate(0, 0);
      return absl::OkStatus();
    };
    const auto prefill = [&](Flag cancel) {
      PrefillOptions o;
      o.cancel = cancel;
      return session->Prefill(0, prompt_, o).status();
    };
    WEFT_RETURN_IF_ERROR(
        Measure(absl::StrCat("prefill ", options_.prompt), reset, prefill));
    // Goes on until it is cancelled.
    const auto decode = [&](Flag cancel) {
      absl::Status status;
      for (size_t i = 0; status.ok(); ++i) {
        if (cancel == nullptr && i == static_cast<size_t>(options_.generate))
          break;
        if (session->position(0) == session->options().context)
          session->Truncate(0, 0);
        status =
            session->Decode(0, prompt_[i % prompt_.size()], cancel).status();
      }
      return status;
    };
    return Measure("decode", reset, decode);
  }

  absl::Status Embeddings() {
    SessionOptions o = options_.session;
    o.embeddings = true;
    WEFT_ASSIGN_OR_RETURN(const auto session, model_->NewSession(o));
    const auto nothing = [] { return absl::OkStatus(); };
    const auto text = absl::MakeConstSpan(prompt_).first(
        model_->architecture().causal
            ? prompt_.size()
            : std::min(prompt_.size(),
                       static_cast<size_t>(session->options().batch)));
    return Measure(absl::StrCat("embed ", text.size()), nothing,
                   [&](Flag cancel) {
                     EmbedOptions e;
                     e.cancel = cancel;
                     return session->Embed(text, e).status();
                   });
  }

  void Progress() {
    size_t done = 0;
    for (const CancelTest& test : tests_) done += test.seconds.size();
    constexpr double kTests = 6;
    if (options_.progress)
      options_.progress(static_cast<double>(done) / kTests / options_.times);
  }

  const CancelOptions& options_;
  std::mt19937_64 random_;
  std::shared_ptr<const Model> model_;
  std::vector<Token> prompt_;
  std::vector<CancelTest> tests_;
};

}  // namespace

absl::StatusOr<std::vector<CancelTest>> MeasureCancel(
    const CancelOptions& options) {
  return Canceller(options).Run();
}

std::string CancelTable(absl::Span<const CancelTest> tests) {
  std::vector<TableRow> rows = {
      {"cancelled", "times", "median ms", "99 % ms", "worst ms"}};
  for (const CancelTest& test : tests) {
    TableRow& row = rows.emplace_back();
    row = {test.name, absl::StrCat(test.seconds.size()), "-", "-", "-"};
    if (test.seconds.empty()) continue;
    std::vector<double> sorted = test.seconds;
    std::sort(sorted.begin(), sorted.end());
    const auto n = static_cast<double>(sorted.size());
    const Spread spread = SpreadOf(sorted);
    row[2] = ShortNumber(1e3 * spread.median);
    row[3] =
        ShortNumber(1e3 * sorted[static_cast<size_t>(std::ceil(0.99 * n)) - 1]);
    row[4] = ShortNumber(1e3 * spread.most);
  }
  return TextTable(rows, 1);
}

}  // namespace weft::inline v0
