// Texts of what weft-bench measured.
#ifndef WEFT_TOOLS_BENCH_REPORT_H_
#define WEFT_TOOLS_BENCH_REPORT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/engine.h"
#include "tools/bench.h"
#include "tools/machine.h"

namespace weft::inline v0 {

struct ModelFacts {
  std::string file, architecture, name;
  int64_t parameters = 0;
  std::map<std::string, int64_t> bytes;  // of tensors, by format
  int64_t total_bytes() const;
};
ModelFacts FactsOf(const Model& model);

struct BenchReport {
  std::vector<std::string> command;  // the program and its arguments
  Machine machine;
  ModelFacts model;
  BenchOptions options;
  std::vector<BenchRun> runs;
};

// For people: limits, tests, profiles.
std::string BenchTable(const BenchReport& report);
// One object, with a line feed; tools/weft_bench.md describes it.
std::string BenchJson(const BenchReport& report);
// A line of names, then one for each test.
std::string BenchCsv(const BenchReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_BENCH_REPORT_H_
