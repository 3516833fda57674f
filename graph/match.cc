#include "graph/match.h"
#include "graph/hash.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/escape.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// "%12 softmax"; a model's inputs and weights by their names.
std::string Name(const Graph& graph, const Node& node) {
  if (!node.name.empty())
    return absl::StrCat(node.op->name, " ", Printable(node.name));
  return absl::StrCat("%", graph.number(node), " ", node.op->name);
}

// "is an output of the graph" or "has 2 uses (%13 mul, %14 exp)".
std::string Readers(const Graph& graph, ValueId v) {
  if (graph.IsOutput(v)) return "is an output of the graph";
  auto users = graph.value(v).users;
  absl::c_sort(users, [&graph](NodeId a, NodeId b) {
    return graph.number(graph.node(a)) < graph.number(graph.node(b));
  });
  return absl::StrCat("has ", users.size(), " uses (",
                      absl::StrJoin(users, ", ",
                                    [&graph](std::string* out, NodeId u) {
                                      out->append(Name(graph, graph.node(u)));
                                    }),
                      ")");
}

// What would make Readers() no matter.
std::string ReaderHint(const Graph& graph, ValueId v) {
  return graph.IsOutput(v)
             ? "a fused node does not give it: make it no output, or output a "
               "copy that is computed apart"
             : "only what is fused may read it: compute it apart for the "
               "others";
}

bool IsCommutative(const Node& node) {
  return node.op->commutative && node.inputs.size() == 2;
}

// A pattern node's bit in Matcher::State::swapped. Patterns have a dozen nodes;
// of one beyond the 64th only the first order of operands is tried.
uint64_t Bit(const Node& node) {
  return IsCommutative(node) && node.id < 64 ? uint64_t{1} << node.id : 0;
}

// Longest path from `from` down to a node of op `to`, -1 when there is none.
int Distance(const Graph& pattern, NodeId from, const OpDef* to) {
  const Node& node = pattern.node(from);
  int longest = node.op == to ? 0 : -1;
  for (const ValueId in : node.inputs) {
    const int below = Distance(pattern, pattern.value(in).node, to);
    if (below >= 0) longest = std::max(longest, below + 1);
  }
  return longest;
}

}  // namespace

bool Classification::Miss(Value v, absl::string_view why,
                          absl::string_view hint) {
  reason_ = absl::StrCat(Name(graph_, graph_.producer(v.id())), " ", why);
  hint_ = std::string(hint);
  return false;
}

bool Classification::MissReaders(Value v) {
  return Miss(v, Readers(graph_, v.id()), ReaderHint(graph_, v.id()));
}

bool Matcher::Fail(int depth, std::string why, std::string hint) {
  if (depth > reason_depth_) {
    reason_depth_ = depth;
    reason_ = std::move(why);
    hint_ = std::move(hint);
  }
  return false;
}

bool Matcher::BindFloat(int index, double number, State& state) {
  const size_t i = static_cast<size_t>(index);
  if (state.is_bound[i] && state.bound[i].number != number) return false;
  state.is_bound[i] = true;
  state.bound[i].number = number;
  return true;
}

bool Matcher::MatchAttrs(const Node& pattern, const Node& node, State& state) {
  for (const auto& [name, want] : pattern.attrs) {
    const AttrValue* have = node.attrs.Find(name);
    bool same = have != nullptr && *have == want;
    if (const auto* capture = want.As<AttrCapture>(); capture && have) {
      const double* number = have->As<double>();
      same = number != nullptr && BindFloat(capture->index, *number, state);
    }
    if (!same)
      return Fail(state.depth,
                  absl::StrCat(Name(graph_, node), " has ", name, "=",
                               have ? have->ToString() : "(none)",
                               ", the pattern wants ", want.ToString()),
                  absl::StrCat("give it ", name, "=", want.ToString()));
  }
  return true;
}

bool Matcher::MatchValue(ValueId pattern, ValueId value, State& state) {
  const Graph& patterns = *rule_.pattern_;
  const Node& want = patterns.producer(pattern);
  if (want.op->kind == OpKind::kAny) {
    const size_t i = static_cast<size_t>(want.attrs.Int("index"));
    const Value bound(&graph_, value);
    if (state.is_bound[i] && !(state.bound[i].value == bound))
      return Fail(state.depth,
                  absl::StrCat("%", graph_.number(value), " and %",
                               graph_.number(state.bound[i].value.id()),
                               " would have to be the same value"),
                  "use one value in both places");
    state.is_bound[i] = true;
    state.bound[i].value = bound;
    return true;
  }
  const Node& node = graph_.producer(value);
  const int output = graph_.value(value).index;
  if (output != patterns.value(pattern).index)
    return Fail(state.depth,
                absl::StrCat("%", graph_.number(value), " is result ", output,
                             " of ", node.op->name));
  return MatchNode(want, node, state);
}

bool Matcher::MatchInputs(const Node& pattern, const Node& node, bool swap,
                          State& state) {
  for (size_t i = 0; i < pattern.inputs.size(); ++i) {
    const size_t j = swap ? 1 - i : i;
    if (!MatchValue(pattern.inputs[i], node.inputs[j], state)) return false;
  }
  return true;
}

bool Matcher::MatchNode(const Node& pattern, const Node& node, State& state) {
  NodeId& mapped = state.node_of[static_cast<size_t>(pattern.id)];
  if (mapped >= 0) return mapped == node.id;
  if (pattern.op != node.op)
    return Fail(state.depth,
                absl::StrCat(Name(graph_, node), " is no ", pattern.op->name),
                absl::StrCat("let it come from ", pattern.op->name, " (it is ",
                             graph_.Describe(node), ")"));
  if (pattern.inputs.size() != node.inputs.size())
    return Fail(state.depth,
                absl::StrCat(Name(graph_, node), " has ", node.inputs.size(),
                             " operands, the pattern ", pattern.inputs.size()));
  mapped = node.id;
  ++state.depth;
  if (!MatchAttrs(pattern, node, state)) return false;
  return MatchInputs(pattern, node, (state.swapped & Bit(pattern)) != 0, state);
}

bool Matcher::IsFromWeights(NodeId id, absl::Span<const NodeId> nodes) const {
  const Node& node = graph_.node(id);
  if (node.op->kind == OpKind::kWeight || node.op->kind == OpKind::kConstant)
    return true;
  return absl::c_linear_search(nodes, id) &&
         absl::c_all_of(node.inputs, [&](ValueId in) {
           return IsFromWeights(graph_.value(in).node, nodes);
         });
}

bool Matcher::CheckInterior(absl::Span<const NodeId> nodes,
                            absl::Span<const ValueId> roots) {
  for (const NodeId id : nodes) {
    // A decoded weight that several products share (tied embeddings, say): each
    // takes it in, and it goes with the last of them.
    if (IsFromWeights(id, nodes)) continue;
    for (const ValueId v : graph_.node(id).outputs) {
      if (absl::c_linear_search(roots, v)) continue;
      const auto& users = graph_.value(v).users;
      if (!graph_.IsOutput(v) && absl::c_all_of(users, [&](NodeId u) {
            return absl::c_linear_search(nodes, u);
          }))
        continue;
      return Fail(
          1000,
          absl::StrCat(Name(graph_, graph_.node(id)), " ", Readers(graph_, v)),
          ReaderHint(graph_, v));
    }
  }
  return true;
}

bool Matcher::MatchRoot(NodeId root, NodeId anchor, State& state) {
  const Node& node = graph_.node(root);
  const ValueId want = rule_.roots_[0].id();
  const size_t index = static_cast<size_t>(rule_.pattern_->value(want).index);
  if (index >= node.outputs.size() ||
      !MatchValue(want, node.outputs[index], state))
    return false;
  if (!absl::c_linear_search(state.node_of, anchor))
    return Fail(state.depth, absl::StrCat(Name(graph_, graph_.node(anchor)),
                                          " is not part of this match"));
  for (const Rule::Condition& condition : rule_.conditions_)
    if (!condition.holds(state.bound))
      return Fail(900, absl::StrCat("not so: ", condition.what),
                  absl::StrCat("make it so that ", condition.what));
  return true;
}

// Whether one of `from` is or depends on `on`, other than through a value that
// `on` itself is computed from by `nodes`: that cannot depend on it, and what
// lies before it, most of a model, needs no search.
bool Matcher::DependsOn(absl::Span<const Bound> from, ValueId on,
                        absl::Span<const NodeId> nodes) const {
  HashSet<NodeId> seen;
  std::vector<NodeId> stack = {graph_.value(on).node};
  HashSet<ValueId> before;
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (!absl::c_linear_search(nodes, id) || !seen.insert(id).second) continue;
    for (const ValueId in : graph_.node(id).inputs) {
      before.insert(in);
      stack.push_back(graph_.value(in).node);
    }
  }
  seen.clear();
  for (const Bound& b : from)
    if (b.value.graph() != nullptr && !before.contains(b.value.id()))
      stack.push_back(graph_.value(b.value.id()).node);
  while (!stack.empty()) {
    const NodeId id = stack.back();
    stack.pop_back();
    if (id == graph_.value(on).node) return true;
    if (!seen.insert(id).second) continue;
    for (const ValueId in : graph_.node(id).inputs)
      if (!before.contains(in)) stack.push_back(graph_.value(in).node);
  }
  return false;
}

// With several roots, the replacement stands where the first of them stood: no
// input of it may depend on one of them.
bool Matcher::WouldCycle(absl::Span<const ValueId> roots,
                         absl::Span<const NodeId> nodes,
                         absl::Span<const Bound> inputs) const {
  return roots.size() > 1 && absl::c_any_of(roots, [&](ValueId root) {
           return DependsOn(inputs, root, nodes);
         });
}

absl::Status Matcher::Replace(absl::Span<const ValueId> roots,
                              const Values& fresh) {
  if (!graph_.status().ok())
    return absl::InternalError(
        absl::StrCat("rule ", rule_.name(), ": ", graph_.status().message()));
  for (size_t i = 0; i < roots.size(); ++i)
    if (fresh.size() != roots.size() ||
        fresh[i].type() != graph_.value(roots[i]).type)
      return absl::InternalError(absl::StrCat(
          "rule ", rule_.name(), " replaces ", graph_.Describe(roots[i]),
          " by ", i < fresh.size() ? fresh[i].type().ToString() : "?"));
  for (size_t i = 0; i < roots.size(); ++i)
    graph_.ReplaceUses(roots[i], fresh[i].id());
  for (const ValueId root : roots)
    if (graph_.alive(graph_.value(root).node))
      graph_.DropIfDead(graph_.value(root).node);
  return absl::OkStatus();
}

void Matcher::CandidateRoots(NodeId anchor, int levels,
                             std::vector<NodeId>& out) {
  const OpDef* root_op = rule_.pattern_->producer(rule_.roots_[0].id()).op;
  if (graph_.node(anchor).op == root_op && !absl::c_linear_search(out, anchor))
    out.push_back(anchor);
  if (levels == 0) return;
  for (const ValueId v : graph_.node(anchor).outputs)
    for (const NodeId user : graph_.value(v).users)
      CandidateRoots(user, levels - 1, out);
}

absl::StatusOr<bool> Matcher::TryPattern(NodeId anchor) {
  const Graph& pattern = *rule_.pattern_;
  const NodeId root_node = pattern.value(rule_.roots_[0].id()).node;
  uint64_t commutative = 0;
  for (const NodeId id : pattern.order()) commutative |= Bit(pattern.node(id));
  std::vector<NodeId> candidates;
  CandidateRoots(anchor, Distance(pattern, root_node, rule_.anchor()),
                 candidates);
  if (candidates.empty())
    return Fail(0, absl::StrCat("no ", pattern.node(root_node).op->name,
                                " uses ", Name(graph_, graph_.node(anchor))));
  // Every order of operands at once, not node by node: which one is right may
  // show far from the node, at a second use of a parameter or in a condition.
  for (const NodeId candidate : candidates)
    for (uint64_t swapped = 0;;) {
      WEFT_ASSIGN_OR_RETURN(const bool applied,
                            TryRoot(candidate, anchor, swapped));
      if (applied) return true;
      swapped = (swapped - commutative) & commutative;  // the next subset
      if (swapped == 0) break;
    }
  return false;
}

absl::StatusOr<bool> Matcher::TryRoot(NodeId candidate, NodeId anchor,
                                      uint64_t swapped) {
  const Graph& pattern = *rule_.pattern_;
  State state;
  state.bound.resize(rule_.n_parameters_);
  state.is_bound.resize(rule_.n_parameters_, false);
  state.node_of.resize(static_cast<size_t>(pattern.num_nodes()), -1);
  state.swapped = swapped;
  if (!MatchRoot(candidate, anchor, state)) return false;
  std::vector<NodeId> nodes;
  for (const NodeId id : state.node_of)
    if (id >= 0) nodes.push_back(id);
  std::vector<ValueId> roots;
  for (const Value& root : rule_.roots_) {
    const ValueInfo& info = pattern.value(root.id());
    const NodeId id = state.node_of[static_cast<size_t>(info.node)];
    roots.push_back(graph_.node(id).outputs[static_cast<size_t>(info.index)]);
  }
  if (!CheckInterior(nodes, roots)) return false;
  if (WouldCycle(roots, nodes, state.bound))
    return Fail(1000, "the fused node would depend on itself");
  Values fresh;
  {
    Graph::Origin origin(graph_, graph_.node(candidate), rule_.name());
    fresh = rule_.emit_(state.bound);
  }
  WEFT_RETURN_IF_ERROR(Replace(roots, fresh));
  return true;
}

absl::StatusOr<bool> Matcher::TryClassify(NodeId anchor) {
  Classification found(graph_);
  if (!rule_.classify_(Value(&graph_, graph_.node(anchor).outputs[0]), found))
    return Fail(0, found.reason_, found.hint_);
  const ValueId root = found.root.id();
  std::vector<NodeId> nodes = std::move(found.interior_);
  nodes.push_back(graph_.value(root).node);
  if (!CheckInterior(nodes, {root})) return false;
  Value fresh;
  {
    Graph::Origin origin(graph_, graph_.producer(root), rule_.name());
    fresh = found.emit();
  }
  WEFT_RETURN_IF_ERROR(Replace({root}, {fresh}));
  return true;
}

absl::StatusOr<bool> Matcher::TryAnchor(NodeId anchor) {
  reason_.clear();
  hint_.clear();
  reason_depth_ = -1;
  return rule_.classify_ ? TryClassify(anchor) : TryPattern(anchor);
}

}  // namespace weft::inline v0
