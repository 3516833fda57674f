// The JSON of weft-bench. Names and units are promised in tools/weft_bench.md.
#include "graph/dtype.h"
#include "nlohmann/json.hpp"
#include "tools/bench_report.h"

namespace weft::inline v0 {
namespace {

// Members in the order in which they are written here.
using Json = nlohmann::ordered_json;

std::string Str(absl::string_view s) { return std::string(s); }

Json Operations(const Work& work) {
  Json out = Json::object();
  for (size_t i = 0; i < kNumArithmetics; ++i)
    if (work.operations[i] > 0)
      out[Str(Name(static_cast<Arithmetic>(i)))] = work.operations[i];
  return out;
}

Json WorkJson(const Work& work) {
  return {{"weight_bytes", work.weight_bytes},
          {"state_bytes", work.state_bytes},
          {"activation_bytes", work.activation_bytes},
          {"operations", Operations(work)}};
}

// Null where limits are not known.
Json SharesJson(const Shares& shares, const Limits& limits) {
  if (limits.bytes_per_second <= 0) return nullptr;
  return {{"read", shares.read}, {"arithmetic", shares.arithmetic}};
}

Json RowJson(const char* key, const ProfileRow& row, const Limits& limits) {
  const StepProfile& t = row.time;
  return {{key, row.name},
          {"steps", row.steps},
          {"seconds", t.elapsed},
          {"slowest_seconds", t.slowest},
          {"mean_seconds", t.mean},
          {"split", t.split},
          {"work", WorkJson(row.work)},
          {"share",
           SharesJson(SharesOf(row.work.bytes(), row.work, t.elapsed, limits),
                      limits)}};
}

Json ProfileJson(const ProfileSummary& profile, const Limits& limits) {
  Json kernels = Json::array(), layers = Json::array();
  for (const ProfileRow& row : profile.kernels)
    kernels.push_back(RowJson("kernel", row, limits));
  for (const ProfileRow& row : profile.layers)
    layers.push_back(RowJson("layer", row, limits));
  return {{"runs", profile.runs},
          {"seconds", profile.elapsed},
          {"wall_seconds", profile.wall},
          {"kernels", kernels},
          {"layers", layers}};
}

Json SpeedJson(const BenchTest& test) {
  const std::vector<double> samples = test.tokens_per_second();
  const Spread spread = SpreadOf(samples);
  return {{"median", spread.median},
          {"min", spread.least},
          {"max", spread.most},
          {"spread", spread.relative()},
          {"samples", samples}};
}

Json TestJson(const BenchTest& test, int64_t depth) {
  const double seconds = SpreadOf(test.seconds).median;
  const auto tokens = static_cast<double>(test.tokens);
  const auto bytes = static_cast<double>(test.memory_bytes());
  const auto operations = static_cast<double>(test.work.total_operations());
  Json out = {{"name", test.name},
              {"tokens", test.tokens},
              {"depth", depth},
              {"tokens_per_second", SpeedJson(test)},
              {"seconds", test.seconds},
              {"work", WorkJson(test.work)},
              {"bytes_per_token", bytes / tokens},
              {"operations_per_token", operations / tokens},
              {"bytes_per_second", bytes / seconds},
              {"operations_per_second", operations / seconds},
              {"share", SharesJson(SharesOf(test.memory_bytes(), test.work,
                                            seconds, test.limits),
                                   test.limits)}};
  if (test.profile != nullptr)
    out["profile"] = ProfileJson(*test.profile, test.limits);
  return out;
}

Json LimitsJson(const BenchRun& run) {
  if (run.reads.empty()) return nullptr;
  Json reads = Json::array(), peaks = Json::array();
  for (const ReadRate& read : run.reads) reads.push_back(read.bytes_per_second);
  for (const Peak& peak : run.peaks)
    peaks.push_back({{"arithmetic", Str(Name(peak.arithmetic))},
                     {"operations_per_second", peak.operations_per_second},
                     {"loop", peak.loop},
                     {"tiles", peak.tiles}});
  return {{"read_bytes_per_second", reads},
          {"read_loop", run.reads[0].loop},
          {"peaks", peaks}};
}

Json RunJson(const BenchRun& run, int64_t depth) {
  Json tests = Json::array();
  for (const BenchTest& test : run.tests)
    tests.push_back(TestJson(test, depth));
  return {{"threads", run.threads},    {"target", run.target},
          {"context", run.context},    {"on_reference", run.on_reference},
          {"limits", LimitsJson(run)}, {"tests", tests}};
}

Json OptionsJson(const BenchOptions& o) {
  return {
      {"prompt", o.prompt},
      {"generate", o.generate},
      {"depth", o.depth},
      {"batch", o.session.batch},
      {"reps", o.reps},
      {"numerics", o.session.numerics == Numerics::kFast ? "fast" : "exact"},
      {"pack", o.session.pack_weights},
      {"kv_k", Str(Name(o.session.kv_k))},
      {"kv_v", Str(Name(o.session.kv_v))},
      {"probe_bytes", o.probe_bytes}};
}

}  // namespace

std::string BenchJson(const BenchReport& report) {
  Json runs = Json::array();
  for (const BenchRun& run : report.runs)
    runs.push_back(RunJson(run, report.options.depth));
  const Json out = {{"weft", WEFT_VERSION},
                    {"command", report.command},
                    {"seed", report.options.seed},
                    {"machine",
                     {{"cpu", report.machine.cpu},
                      {"cores", report.machine.cores},
                      {"system", report.machine.system},
                      {"compiler", report.machine.compiler}}},
                    {"model",
                     {{"file", report.model.file},
                      {"architecture", report.model.architecture},
                      {"name", report.model.name},
                      {"parameters", report.model.parameters},
                      {"bytes", report.model.bytes}}},
                    {"options", OptionsJson(report.options)},
                    {"runs", runs}};
  // What is no UTF-8 (a file's name) is replaced rather than an error.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace weft::inline v0
