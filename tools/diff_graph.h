// Graphs after some of the passes, whose values are found again in each other;
// a part of diff.h.
#ifndef WEFT_TOOLS_DIFF_GRAPH_H_
#define WEFT_TOOLS_DIFF_GRAPH_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "tools/diff.h"

namespace weft::inline v0 {

// One place where a rule was applied.
struct Application {
  std::string rule;
  ValueId anchor = -1;
  std::string text;  // "rule gated at %31 llama.cc:52: mul(...)"
};

struct DiffGraph {
  std::shared_ptr<const Graph> graph;
  // In the order in which they were done. Ids are the same in every graph that
  // has the same applications before.
  std::vector<Application> applications;
  bool changed = false;  // by the last pass
  // By ValueId: computed from weights and constants alone.
  std::vector<bool> from_weights;
};

// The graph after the pass, with the applications that `allow` lets through.
absl::StatusOr<DiffGraph> MakeDiffGraph(const DiffSubject& subject,
                                        const DiffOptions& options,
                                        const std::string& last_pass,
                                        const RewriteFilter& allow = nullptr);

// Lets the first `n` through, or all but the one of that index.
RewriteFilter FirstOf(const std::vector<Application>& all, size_t n);
RewriteFilter AllBut(const Application& one);

// Rows `begin` to `end`, multiples of 16 but for the last, of a weight of that
// type whose bytes the file has; packed where the type is. InvalidArgument
// where there are too few.
absl::StatusOr<HostTensor> WeightRows(const TensorType& type,
                                      absl::Span<const std::byte> bytes,
                                      int64_t begin, int64_t end);
// All of them.
absl::StatusOr<HostTensor> WeightTensor(const Graph& graph, const Node& node,
                                        const WeightSource& weights);

// "%12 llama.cc:31: gated(...)".
std::string NodeText(const Graph& graph, const Node& node);

// "%12 gated (llama.cc:31)", for tables.
std::string ShortNodeText(const Graph& graph, const Node& node);

// What is kept of a run: a tensor by ValueId for each step, of values that are
// computed from more than weights.
using StepValues = std::vector<std::vector<HostTensor>>;

// A graph after a pass, and what it computes.
struct DiffStage {
  std::string pass;  // the last one
  DiffGraph graph;
  StepValues values;
  // What kernels read: packed weights as copies that live as long as this.
  WeightSource weights;
  // Hashes of values that are computed from weights alone, of those that a
  // reference has computed.
  absl::flat_hash_map<ValueId, size_t> weight_hashes;
  std::string name() const;  // "after fuse, reference"
};

// Where the graph's weights lie for a backend.
WeightSource SourceFor(const DiffGraph& graph, const DiffSubject& subject);

// Takes a value of the node that was `difference` from what it is held to into
// the run's numbers.
void Count(const Graph& graph, const Node& node, size_t step,
           const Difference& difference, DiffRun& run);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DIFF_GRAPH_H_
