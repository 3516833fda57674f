// The graph: nodes, values, and the builder that DSL functions call.
#ifndef WEFT_GRAPH_GRAPH_H_
#define WEFT_GRAPH_GRAPH_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/attr.h"
#include "graph/host_tensor.h"
#include "graph/op.h"
#include "graph/shape.h"
#include "graph/small_vector.h"
#include "graph/where.h"

namespace weft::inline v0 {

class Graph;
using NodeId = int32_t;  // a node's number in its graph
using ValueId = int32_t;  // the same of a value

// A handle on one tensor of a graph: cheap to copy, valid as long as the graph.
// A poisoned value (after an error) goes through every DSL function unharmed.
class Value {
 public:
  Value() = default;
  Value(Graph* graph, ValueId id) : graph_(graph), id_(id) {}

  Graph* graph() const { return graph_; }
  ValueId id() const { return id_; }
  bool poisoned() const { return id_ < 0; }

  // Of a poisoned value: dtype kUnknown, rank 0.
  const TensorType& type() const;
  DType dtype() const { return type().dtype; }
  const Shape& shape() const { return type().shape; }
  int rank() const { return shape().rank(); }
  // Dim(0) when the axis does not exist, so that model code can compute with
  // it; the error comes from the op that gets it.
  Dim dim(int axis) const;

  // Gives the value a name for dumps ("attn_out"). Returns itself.
  Value Named(absl::string_view name) const;

  bool operator==(const Value&) const = default;

 private:
  Graph* graph_ = nullptr;
  ValueId id_ = -1;
};

// The left operand of an operator: its converting constructor captures the
// line of the model on which the operator stands.
struct Lhs {
  Lhs(Value v, Where w = std::source_location::current())  // NOLINT
      : value(v), at(w) {}
  Value value;
  Where at;
};

// One application of an op. Read-only outside the graph.
struct Node {
  NodeId id = -1;
  const OpDef* op = nullptr;
  SmallVector<ValueId, 4> inputs;
  SmallVector<ValueId, 2> outputs;
  Attrs attrs;
  std::string name;                            // of inputs, weights, states
  std::shared_ptr<const HostTensor> constant;  // of constants
  Where where;                                 // the line of model code
  absl::string_view made_by;                   // rule or pass; "" = as built
  int64_t rank = 0;  // place in the order: a replacement takes its root's
};

struct ValueInfo {  // What a graph knows of a value.
  NodeId node = -1;
  int number = 0;  // what dumps call it, see Graph::number()
  int index = 0;   // among the node's outputs
  TensorType type;
  std::string name;
  // Nodes that read the value, once for each use, in no order.
  SmallVector<NodeId, 2> users;
};

// How many times a model wants a rule to match (see Graph::Expect).
struct Expectation {
  std::string rule;
  int count;
  Where where;
};

// A static graph of typed tensor nodes in topological order. Built with DSL
// functions; the first error sticks and comes out of Finish(). Not movable,
// since values point at it. Not thread-safe; const use is.
class Graph {
 public:
  enum class Mode {
    kModel,
    kPattern,  // types are unknown and no shape rule runs
  };
  explicit Graph(Mode mode = Mode::kModel) : mode_(mode) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // ---- Building ----

  // A tensor that the caller gives at each step.
  Value Input(absl::string_view name, DType dtype, Shape shape,
              Where at = std::source_location::current());
  // A tensor of the model file, by its name there.
  Value Weight(absl::string_view name, DType dtype, Shape shape,
               Where at = std::source_location::current());
  // A tensor that is kept between steps, zero at first. Logical layout: the
  // backend chooses how it lies in memory.
  Value State(absl::string_view name, DType dtype, Shape shape,
              Where at = std::source_location::current());
  Value Constant(HostTensor tensor, Where at = std::source_location::current());
  // A placeholder of a pattern.
  Value Any(int index);

  // What every DSL function calls: adds a node of `op`. EmitAll is for ops of
  // several outputs. Poisoned values when an input is poisoned or the shape
  // rule fails.
  Value Emit(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
             Where at);
  Values EmitAll(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
                 Where at);
  // Records an error at `at` (the first one wins); returns a poisoned value.
  Value Fail(absl::string_view message, Where at);

  // Makes `value` a result that the caller can read after a step.
  void Output(absl::string_view name, Value value,
              Where at = std::source_location::current());
  // States that the pipeline must apply `rule` exactly `count` times; anything
  // else is an error of Optimize() that names the node and the reason.
  void Expect(absl::string_view rule, int count,
              Where at = std::source_location::current());

  // The first error of building, or the verifier's. Call when the model is
  // complete, before anything else. Puts nodes in the order of number() the
  // first time: inputs, weights and states first, in the order of their use.
  absl::Status Finish();
  const absl::Status& status() const { return status_; }

  // ---- Reading ----

  Mode mode() const { return mode_; }
  // Live nodes in topological order.
  absl::Span<const NodeId> order() const { return order_; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  const ValueInfo& value(ValueId id) const {
    return values_[static_cast<size_t>(id)];
  }
  int num_nodes() const { return static_cast<int>(nodes_.size()); }
  int num_values() const { return static_cast<int>(values_.size()); }
  bool alive(NodeId id) const { return node(id).op != nullptr; }
  const Node& producer(ValueId id) const { return node(value(id).node); }
  bool IsOutput(ValueId id) const;
  // What dumps and messages call the value: "%7". Kept through every pass, and
  // the same whatever order a compiler evaluates nested calls in, which ids are
  // not: Finish() and rewrites number values from operands to results, operands
  // from left to right. Unique in the graph.
  int number(ValueId id) const { return value(id).number; }
  // That of the node's first output.
  int number(const Node& node) const { return number(node.outputs[0]); }
  struct NamedValue {
    std::string name;
    ValueId value;
  };
  absl::Span<const NamedValue> outputs() const { return outputs_; }
  absl::Span<const Expectation> expectations() const { return expectations_; }
  // Symbols of all inputs and states, in order of first appearance.
  std::vector<Dim> Symbols() const;
  // Types of a node's inputs, for calling its shape rule.
  TensorTypes InputTypes(const Node& node) const;
  // "%7 f32[T,64]", or the weight's name and type.
  std::string Describe(ValueId id) const;
  // "llama.cc:42: matmul(%7 f32[T,64], w q8_0[64,32])".
  std::string Describe(const Node& node) const;

  // Gives a value a name for dumps.
  void SetName(ValueId id, absl::string_view name);

  // ---- Rewriting (passes and the rewrite engine) ----

  // While it lives, new nodes get this origin instead of the DSL caller's.
  class Origin {
   public:
    Origin(Graph& graph, const Node& like, absl::string_view made_by);
    ~Origin();
    Origin(const Origin&) = delete;
    Origin& operator=(const Origin&) = delete;

   private:
    Graph& graph_;
    NodeId first_;  // node that is made
  };
  // Every reader of `from`, and the outputs, read `to`; a name moves along.
  void ReplaceUses(ValueId from, ValueId to);
  // One operand of one node.
  void ReplaceInput(NodeId node, size_t input, ValueId to);
  // Removes the node if nothing reads it and it writes no state, then its
  // inputs' producers likewise. Inputs and states stay. True if it was removed.
  bool EraseIfDead(NodeId id);
  // The same, but order() goes on listing what was removed until Sort(): a pass
  // that removes thousands of nodes closes the gaps once.
  bool DropIfDead(NodeId id);
  // Sorts the order again after rewriting: topological, ties by rank, then
  // number. Internal error when the graph has a cycle.
  absl::Status Sort();
  // Sets the sticky error (a rewrite that failed halfway).
  void SetStatus(absl::Status status) { status_.Update(std::move(status)); }

 private:
  friend class Origin;
  NodeId AddNode(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
                 TensorTypes types, Where at);
  Value AddSource(const OpDef& op, absl::string_view name, TensorType type,
                  Where at);
  // The live nodes from `first` on, each after its operands, operands from left
  // to right, beginning with `roots`.
  std::vector<NodeId> OperandsFirst(NodeId first,
                                    absl::Span<const NodeId> roots) const;
  // Gives the values of nodes from `first` on the numbers that they have, in
  // that order.
  void Renumber(NodeId first, absl::Span<const NodeId> sorted);
  void PutInOrder();
  // What is wrong with a value as an operand or output of this graph, or "".
  absl::string_view Problem(const Value& v) const;
  absl::StatusOr<TensorTypes> InferTypes(const OpDef& op,
                                         absl::Span<const Value> inputs,
                                         const Attrs& attrs);

  Mode mode_;
  std::vector<Node> nodes_;
  std::vector<ValueInfo> values_;
  std::vector<NodeId> order_;
  std::vector<NamedValue> outputs_;
  std::vector<Expectation> expectations_;
  absl::Status status_;
  bool is_in_order_ = false;
  // Origin of new nodes while a rewrite runs.
  bool has_origin_ = false;
  Where origin_where_;
  absl::string_view origin_made_by_;
  int64_t origin_rank_ = 0;
};

// Ops without computation.
extern const OpDef kInputOp, kWeightOp, kStateOp, kConstantOp, kAnyOp;

// Output types of `op` by its shape rule, or by its expansion when it is fused.
absl::StatusOr<TensorTypes> Infer(const OpDef& op,
                                  absl::Span<const TensorType> inputs,
                                  const Attrs& attrs);

// Builds the expansion of a fused op into `into`, whose Input nodes "0", "1",
// ... have the given types. Returns the values that its outputs are.
Values ExpandInto(Graph& into, const OpDef& op,
                  absl::Span<const TensorType> inputs, const Attrs& attrs);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_GRAPH_H_
