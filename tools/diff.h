// Finds the rewrite, kernel or plan that makes a graph compute something else.
//
// A graph is run as built and after each pass on the scalar references, and
// without rules, with them, with 8-bit activations and with packed weights on
// the kernels of every instruction set, all on the same inputs. After a pass,
// values must be those that they replace (a rewrite's result keeps the name of
// what it replaced); a kernel must give what the reference gave, and finds the
// reference's operands, so that errors upstream do not count and a reference is
// run once for all targets; nobody may touch a buffer between its writer and its
// last reader; and a second run, in which nothing is put in the kernels' way,
// may not drift far.
#ifndef WEFT_TOOLS_DIFF_H_
#define WEFT_TOOLS_DIFF_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "backends/backend.h"
#include "graph/graph.h"
#include "graph/host_tensor.h"
#include "graph/rewrite.h"
#include "ops/optimize.h"
#include "tools/value_difference.h"

namespace weft::inline v0 {

// One step: the values of symbols, and every input under them by name.
struct DiffStep {
  SymbolValues symbols;
  std::map<std::string, HostTensor, std::less<>> inputs;
};

// What is run. `build` gives the same finished graph at each call, before any
// pass; states are kept from step to step.
struct DiffSubject {
  std::function<absl::StatusOr<std::unique_ptr<Graph>>()> build;
  WeightSource weights;
  std::vector<DiffStep> steps;
};

struct DiffOptions {
  Numerics numerics = Numerics::kFast;
  std::vector<std::string> targets;  // of the CPU; empty: all
  int threads = 1;
  const std::atomic<bool>* cancel = nullptr;  // polled between nodes
  // Called before each run with what it is, and within it with the share of its
  // nodes that have run.
  std::function<void(absl::string_view)> progress;
  std::function<void(double)> share;
  // For tests that plant faults.
  std::optional<std::vector<Rule>> fusion_rules;
  std::function<absl::StatusOr<std::unique_ptr<Backend>>(const BackendOptions&)>
      make_cpu;
};

// One graph in one place, and how far it came from what it is held to.
struct DiffRun {
  std::string name;     // "after fuse, reference"; "fused, AVX2"
  std::string against;  // "after cse, reference"
  int64_t values = 0;   // that were compared, over all steps
  Difference worst;     // by NMSE
  std::string worst_value;
  size_t worst_step = 0;  // of DiffSubject::steps
  bool diverges = false;
};

// The first value of a run that is wrong.
struct Divergence {
  enum class Kind { kPass, kKernel, kPlan, kDrift };
  Kind kind = Kind::kPass;
  std::string run;
  size_t step = 0;      // of DiffSubject::steps
  std::string node;     // "%12 llama.cc:31: gated(...)"
  std::string made_by;  // the node's rule or pass; "" as built
  std::string kernel;   // that ran it; "" on the reference
  Difference difference;
  double tolerance = 0;  // that the error or NMSE is beyond
  std::string cause;     // in words
  // The single rewrite that brings it: "rule gated at %31 llama.cc:52: ...", or
  // "" where no rewrite does.
  std::string culprit;
  // What came of switching that rewrite off; "" where it was not tried.
  std::string without;
};

struct DiffReport {
  std::vector<DiffRun> runs;
  std::vector<Divergence> divergences;  // the first of each run that has one
};

// Cancelled; errors of building, passes and backends.
absl::StatusOr<DiffReport> FindDivergences(const DiffSubject& subject,
                                           const DiffOptions& options);

// A table of the runs and a paragraph for each divergence.
std::string DiffReportText(const DiffReport& report);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_H_
