#include "tools/bench_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kCsvNames[] = {
    "model",       "kv_k",       "kv_v",       "target",
    "threads",     "test",       "tokens",     "depth",
    "median_tps",  "min_tps",    "max_tps",    "weight_bytes",
    "state_bytes", "operations", "read_limit", "f32_peak",
    "bf16_peak",   "int8_peak",  "read_share", "arithmetic_share"};

// A field in quotes, as RFC 4180 has them.
std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

// Empty where nothing is known.
std::string Known(double value) {
  return value > 0 ? absl::StrFormat("%.6g", value) : "";
}

std::string CsvLine(const BenchReport& report, const BenchRun& run,
                    const BenchTest& test) {
  const Spread speed = SpreadOf(test.tokens_per_second());
  const Shares shares = SharesOf(test.memory_bytes(), test.work,
                                 SpreadOf(test.seconds).median, test.limits);
  std::vector<std::string> fields = {
      Quoted(report.model.file),
      std::string(Name(report.options.session.kv_k)),
      std::string(Name(report.options.session.kv_v)),
      run.target,
      absl::StrCat(run.threads),
      test.name,
      absl::StrCat(test.tokens),
      absl::StrCat(report.options.depth),
      Known(speed.median),
      Known(speed.least),
      Known(speed.most),
      absl::StrCat(test.work.weight_bytes),
      absl::StrCat(test.work.state_bytes),
      absl::StrCat(test.work.total_operations()),
      Known(test.limits.bytes_per_second)};
  for (const double peak : test.limits.operations_per_second)
    fields.push_back(Known(peak));
  fields.push_back(Known(shares.read));
  fields.push_back(Known(shares.arithmetic));
  return absl::StrCat(absl::StrJoin(fields, ","), "\n");
}

}  // namespace

int64_t ModelFacts::total_bytes() const {
  int64_t total = 0;
  for (const auto& [format, n] : bytes) total += n;
  return total;
}

ModelFacts FactsOf(const Model& model) {
  const GgufFile& file = model.file();
  ModelFacts facts;
  facts.file = file.source();
  facts.architecture = std::string(model.architecture().name);
  const auto name = file.GetString("general.name");
  if (name.ok()) facts.name = std::string(*name);
  for (const GgufTensor& tensor : file.tensors()) {
    int64_t elements = 1;
    for (const int64_t dim : tensor.dims) elements *= dim;
    facts.parameters += elements;
    facts.bytes[std::string(Name(tensor.dtype))] +=
        static_cast<int64_t>(tensor.bytes);
  }
  return facts;
}

std::string BenchCsv(const BenchReport& report) {
  std::string out = absl::StrCat(absl::StrJoin(kCsvNames, ","), "\n");
  for (const BenchRun& run : report.runs)
    for (const BenchTest& test : run.tests)
      absl::StrAppend(&out, CsvLine(report, run, test));
  return out;
}

}  // namespace weft::inline v0
