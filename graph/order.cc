// The order of a graph's nodes and the numbers of its values.
#include <algorithm>
#include <compare>
#include <exception>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "graph/graph.h"

namespace weft::inline v0 {
namespace {

// What nodes are sorted by, and the node.
struct Place {
  int64_t rank;
  int number;
  NodeId id;

  auto operator<=>(const Place&) const = default;
};

// The rule rather than the exception: a replacement has the rank of what it
// replaces.
bool OperandsComeFirst(const Graph& graph, absl::Span<const Place> places) {
  std::vector<bool> seen(static_cast<size_t>(graph.num_nodes()), false);
  for (const Place& place : places) {
    for (const ValueId in : graph.node(place.id).inputs)
      if (!seen[static_cast<size_t>(graph.value(in).node)]) return false;
    seen[static_cast<size_t>(place.id)] = true;
  }
  return true;
}

// Kahn's algorithm with a heap: the lowest place that is ready comes first.
// Nodes of a cycle are left out.
std::vector<Place> LowestFirst(const Graph& graph,
                               absl::Span<const Place> places) {
  std::priority_queue<Place, std::vector<Place>, std::greater<Place>> ready;
  std::vector<size_t> waiting(static_cast<size_t>(graph.num_nodes()), 0);
  for (const Place& place : places) {
    const size_t operands = graph.node(place.id).inputs.size();
    waiting[static_cast<size_t>(place.id)] = operands;
    if (operands == 0) ready.push(place);
  }
  std::vector<Place> sorted;
  sorted.reserve(places.size());
  while (!ready.empty()) {
    const NodeId id = ready.top().id;
    sorted.push_back(ready.top());
    ready.pop();
    for (const ValueId v : graph.node(id).outputs)
      for (const NodeId user : graph.value(v).users)
        if (--waiting[static_cast<size_t>(user)] == 0) {
          const Node& node = graph.node(user);
          ready.push({node.rank, graph.number(node), user});
        }
  }
  return sorted;
}

}  // namespace

std::vector<NodeId> Graph::OperandsFirst(NodeId first,
                                         absl::Span<const NodeId> roots) const {
  std::vector<NodeId> sorted;
  // A model has thousands of nodes in a row: no recursion.
  std::vector<std::pair<NodeId, size_t>> stack;  // and the next operand
  std::vector<bool> seen(static_cast<size_t>(num_nodes() - first), false);
  const auto visit = [&](NodeId id) {
    if (id < first || !alive(id) || seen[static_cast<size_t>(id - first)])
      return;
    seen[static_cast<size_t>(id - first)] = true;
    stack.emplace_back(id, 0);
  };
  for (const NodeId root : roots) {
    visit(root);
    while (!stack.empty()) {
      const auto [id, next] = stack.back();
      if (next == node(id).inputs.size()) {
        sorted.push_back(id);
        stack.pop_back();
      } else {
        ++stack.back().second;
        visit(value(node(id).inputs[next]).node);
      }
    }
  }
  return sorted;
}

void Graph::Renumber(NodeId first, absl::Span<const NodeId> sorted) {
  std::vector<int> numbers;
  for (const NodeId id : sorted)
    for (const ValueId v : node(id).outputs) numbers.push_back(number(v));
  std::sort(numbers.begin(), numbers.end());
  auto next = numbers.begin();
  for (const NodeId id : sorted)
    for (const ValueId v : node(id).outputs)
      if (id >= first) values_[static_cast<size_t>(v)].number = *next++;
}

void Graph::PutInOrder() {
  std::vector<NodeId> roots;
  for (const NamedValue& output : outputs_)
    roots.push_back(value(output.value).node);
  // What no output depends on comes last.
  roots.insert(roots.end(), order_.begin(), order_.end());
  order_ = OperandsFirst(0, roots);
  // Inputs, weights and states before all else, as a function's parameters.
  std::stable_partition(order_.begin(), order_.end(), [this](NodeId id) {
    return node(id).op->kind != OpKind::kCompute;
  });
  Renumber(0, order_);
  for (size_t i = 0; i < order_.size(); ++i)
    nodes_[static_cast<size_t>(order_[i])].rank = static_cast<int64_t>(i);
}

Graph::Origin::Origin(Graph& graph, const Node& like, absl::string_view made_by)
    : graph_(graph), first_(graph.num_nodes()) {
  graph.has_origin_ = true;
  graph.origin_where_ = like.where;
  graph.origin_made_by_ = made_by;
  graph.origin_rank_ = like.rank;
}

Graph::Origin::~Origin() {
  graph_.has_origin_ = false;
  // Memory ran out while a node was made: it has no values yet that could be
  // numbered, and the graph goes no further.
  if (std::uncaught_exceptions() > 0) return;
  try {
    // From what no other new node reads: the results, as a rule one.
    std::vector<NodeId> roots, rest;
    for (NodeId id = first_; id < graph_.num_nodes(); ++id) {
      const Node& node = graph_.node(id);
      const bool is_read = std::any_of(
          node.outputs.begin(), node.outputs.end(),
          [&](ValueId v) { return !graph_.value(v).users.empty(); });
      (is_read ? rest : roots).push_back(id);
    }
    roots.insert(roots.end(), rest.begin(), rest.end());
    graph_.Renumber(first_, graph_.OperandsFirst(first_, roots));
  } catch (...) {
    // Without memory the values keep numbers that are as good, but come in the
    // order in which a compiler evaluates operands. Destructors do not throw.
  }
}

absl::Status Graph::Sort() {
  std::erase_if(order_, [this](NodeId id) { return !alive(id); });
  std::vector<Place> places;
  places.reserve(order_.size());
  for (const NodeId id : order_)
    places.push_back({node(id).rank, number(node(id)), id});
  // What was there is in order, as a rule, and what was made stands behind it.
  const auto made = std::is_sorted_until(places.begin(), places.end());
  std::sort(made, places.end());
  std::inplace_merge(places.begin(), made, places.end());
  if (!OperandsComeFirst(*this, places)) places = LowestFirst(*this, places);
  if (places.size() != order_.size())
    return absl::InternalError("the graph has a cycle");
  for (size_t i = 0; i < places.size(); ++i) order_[i] = places[i].id;
  return absl::OkStatus();
}

}  // namespace weft::inline v0
