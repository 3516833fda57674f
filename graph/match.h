// Matching of one rule at one place; used by the rewrite engine alone.
#ifndef WEFT_GRAPH_MATCH_H_
#define WEFT_GRAPH_MATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "graph/graph.h"
#include "graph/rewrite.h"

namespace weft::inline v0 {

class Matcher {
 public:
  Matcher(Graph& graph, const Rule& rule) : graph_(graph), rule_(rule) {}

  // Tries the rule at an anchor node; rewrites and returns true on a match,
  // otherwise reason() says why not. Internal error when the rule's own
  // emitter fails. `anchor` must be alive and of the rule's anchor op.
  absl::StatusOr<bool> TryAnchor(NodeId anchor);
  const std::string& reason() const { return reason_; }
  // What would make it match, or "".
  const std::string& hint() const { return hint_; }

 private:
  struct State {
    std::vector<Bound> bound;
    std::vector<bool> is_bound;
    std::vector<NodeId> node_of;  // by pattern node; -1 = not matched
    // Commutative pattern nodes, by bit, whose operands are taken in the other
    // order.
    uint64_t swapped = 0;
    int depth = 0;  // pattern nodes matched so far
  };

  bool MatchValue(ValueId pattern, ValueId value, State& state);
  bool MatchNode(const Node& pattern, const Node& node, State& state);
  bool MatchInputs(const Node& pattern, const Node& node, bool swap,
                   State& state);
  bool MatchAttrs(const Node& pattern, const Node& node, State& state);
  bool BindFloat(int index, double number, State& state);
  // Records why a match failed unless an earlier attempt got further.
  bool Fail(int depth, std::string why, std::string hint = "");

  bool MatchRoot(NodeId root, NodeId anchor, State& state);
  // Whether a node of the match computes from weights and constants alone.
  bool IsFromWeights(NodeId id, absl::Span<const NodeId> nodes) const;
  // No interior value is read outside the match, except roots and what is
  // computed from weights alone.
  bool CheckInterior(absl::Span<const NodeId> nodes,
                     absl::Span<const ValueId> roots);
  absl::StatusOr<bool> TryPattern(NodeId anchor);
  absl::StatusOr<bool> TryRoot(NodeId candidate, NodeId anchor,
                               uint64_t swapped);
  absl::StatusOr<bool> TryClassify(NodeId anchor);
  absl::Status Replace(absl::Span<const ValueId> roots, const Values& fresh);
  bool DependsOn(absl::Span<const Bound> from, ValueId on,
                 absl::Span<const NodeId> nodes) const;
  bool WouldCycle(absl::Span<const ValueId> roots,
                  absl::Span<const NodeId> nodes,
                  absl::Span<const Bound> inputs) const;
  // Nodes of the root's op from which `anchor` is reached by `levels` steps.
  void CandidateRoots(NodeId anchor, int levels, std::vector<NodeId>& out);

  Graph& graph_;
  const Rule& rule_;
  std::string reason_, hint_;
  int reason_depth_ = -1;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_MATCH_H_
