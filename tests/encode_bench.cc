// Encoders: time for a value of each format, on normal rows, with equal and
// with different importance. `--benchmark_filter=encode/` chooses these.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/encode.h"
#include "benchmark/benchmark.h"
#include "graph/dtype.h"
#include "tests/encode_data.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kLength = 2048, kRows = 16;

void Encode(benchmark::State& state, DType type, bool weighted) {
  const std::vector<float> values =
      RowsOf(RowKind::kNormal, kLength * kRows, /*seed=*/1);
  const std::vector<float> importance =
      RowsOf(RowKind::kPositive, weighted ? kLength : 0, /*seed=*/2);
  const int64_t bytes = RowBytes(type, kLength * kRows).value_or(0);
  std::vector<std::byte> out(static_cast<size_t>(bytes));
  for (auto _ : state)
    if (const absl::Status s = EncodeRows(type, values, kLength, importance,
                                          {out.data(), out.size()});
        !s.ok()) {
      state.SkipWithError(s.ToString().c_str());
      return;
    }
  using benchmark::Counter;
  state.counters["time/value"] =
      Counter(static_cast<double>(values.size()),
              Counter::kIsIterationInvariantRate | Counter::kInvert);
}

const bool registered = [] {
  for (const DTypeInfo& info : AllDTypes())
    for (const bool weighted : {false, true})
      if (CanEncode(info.type))
        benchmark::RegisterBenchmark(
            absl::StrCat("encode/", info.name, weighted ? "/importance" : "")
                .c_str(),
            [type = info.type, weighted](benchmark::State& state) {
              Encode(state, type, weighted);
            })
            ->Unit(benchmark::kMicrosecond);
  return true;
}();

}  // namespace
}  // namespace weft::inline v0
