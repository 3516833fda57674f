// The tables of weft-bench.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tools/bench_report.h"
#include "tools/profile_text.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

constexpr double kGiga = 1e9, kMega = 1e6;

// "f32 1.17 MB, q8_0 ...": what the file is made of.
std::string Formats(const ModelFacts& model) {
  const auto format = [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.first, " ",
                    ShortNumber(static_cast<double>(entry.second) / kMega),
                    " MB");
  };
  return absl::StrJoin(model.bytes, ", ", format);
}

std::string Heading(const BenchReport& r) {
  return absl::StrCat(
      r.model.file, ": ", r.model.architecture, ", ",
      ShortNumber(static_cast<double>(r.model.parameters) / kMega),
      " million parameters, ", Formats(r.model), "\n", r.machine.cpu, ", ",
      r.machine.cores, " cores; weft ", WEFT_VERSION, ", ", r.machine.compiler,
      "; seed ", r.options.seed, "\n");
}

std::string LimitsLine(const BenchRun& run) {
  std::string line = absl::StrCat(ThreadsText(run.threads), " on ", run.target);
  if (!run.reads.empty()) {
    const auto rate = [](std::string* out, const ReadRate& r) {
      absl::StrAppend(out, ShortNumber(r.bytes_per_second / kGiga));
    };
    const auto peak = [](std::string* out, const Peak& p) {
      absl::StrAppend(out, p.tiles ? "tile " : "", Name(p.arithmetic), " ",
                      ShortNumber(p.operations_per_second / kGiga));
    };
    absl::StrAppend(&line, ": reads ", absl::StrJoin(run.reads, ", ", rate),
                    " GB/s (", run.reads[0].loop, "), peaks ",
                    absl::StrJoin(run.peaks, ", ", peak), " GOP/s");
  }
  absl::StrAppend(&line, "\n");
  if (!run.on_reference.empty())
    absl::StrAppend(&line, "  SLOW: no kernel for ",
                    absl::StrJoin(run.on_reference, ", "), "\n");
  return line;
}

TableRow TestRow(const BenchRun& run, const BenchTest& test, int64_t depth) {
  const Spread speed = SpreadOf(test.tokens_per_second());
  const double seconds = SpreadOf(test.seconds).median;
  const auto tokens = static_cast<double>(test.tokens);
  const auto bytes = static_cast<double>(test.memory_bytes());
  const auto operations = static_cast<double>(test.work.total_operations());
  const Shares shares =
      SharesOf(test.memory_bytes(), test.work, seconds, test.limits);
  return {absl::StrCat(test.name, " ", test.tokens,
                       depth > 0 ? absl::StrCat(" at ", depth) : ""),
          absl::StrCat(run.threads),
          ShortNumber(speed.median),
          Percent(speed.relative()),
          ShortNumber(bytes / tokens / kMega),
          ShortNumber(bytes / seconds / kGiga),
          PartOfLimit(shares.read, test.limits),
          ShortNumber(operations / tokens / kMega),
          ShortNumber(operations / seconds / kGiga),
          PartOfLimit(shares.arithmetic, test.limits)};
}

}  // namespace

std::string BenchTable(const BenchReport& report) {
  std::string out = Heading(report);
  std::vector<TableRow> rows = {{"test", "threads", "tokens/s", "spread",
                                 "MB/token", "GB/s", "of read", "MOP/token",
                                 "GOP/s", "of peak"}};
  for (const BenchRun& run : report.runs) {
    absl::StrAppend(&out, LimitsLine(run));
    for (const BenchTest& test : run.tests)
      rows.push_back(TestRow(run, test, report.options.depth));
  }
  absl::StrAppend(&out, "\n", TextTable(rows, 1));
  for (const BenchRun& run : report.runs)
    for (const BenchTest& test : run.tests)
      if (test.profile != nullptr)
        absl::StrAppend(&out, "\n",
                        ProfileTitle(absl::StrCat(test.name, " ", test.tokens),
                                     *test.profile),
                        "\n\n", KernelTable(*test.profile, test.limits), "\n",
                        LayerTable(*test.profile, test.limits));
  return out;
}

}  // namespace weft::inline v0
