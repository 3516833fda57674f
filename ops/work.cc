#include "ops/work.h"

#include <algorithm>
#include <numeric>

#include "graph/hash.h"

#include "ops/experts.h"
#include "ops/fused.h"
#include "ops/gather.h"
#include "ops/gradient_ops.h"
#include "ops/matmul.h"

namespace weft::inline v0 {
namespace {

// The node whose memory a value is part of.
const Node& SourceOf(const Graph& graph, ValueId id) {
  const Node* node = &graph.producer(id);
  while (node->op->view != ViewKind::kNone || node->op->writes_state)
    node = &graph.producer(node->inputs[0]);
  return *node;
}

int64_t Elements(const Shape& shape, const SymbolValues& symbols) {
  int64_t n = 1;
  for (const Dim& dim : shape) n *= symbols.Of(dim);
  return n;
}

// Bytes of rows that together have `n` values; each may end inside a block.
int64_t BytesOfRows(DType dtype, int64_t n, int64_t row_length) {
  const DTypeInfo& info = Info(dtype);
  if (row_length == 0) return 0;
  const int64_t blocks =
      (row_length + info.block_values - 1) / info.block_values;
  return n / row_length * blocks * info.block_bytes;
}

// Of a value of that shape, stored in that format.
int64_t BytesOf(DType dtype, const Shape& shape, const SymbolValues& symbols) {
  const int64_t n = Elements(shape, symbols);
  const int64_t row = shape.rank() == 0 ? 1 : symbols.Of(shape.dim(-1));
  return BytesOfRows(dtype, n, row);
}

int64_t& OperationsOf(Work& work, Arithmetic a) {
  return work.operations[static_cast<size_t>(a)];
}

// The activations tell: 8-bit blocks, bf16, or f32.
Arithmetic ArithmeticOf(const Graph& graph, const Node& node) {
  for (const ValueId id : node.inputs) {
    if (SourceOf(graph, id).op->kind != OpKind::kCompute) continue;
    const DType dtype = graph.value(id).type.dtype;
    if (Info(dtype).block_values > 1) return Arithmetic::kInt8;
    if (dtype == DType::kBF16) return Arithmetic::kBf16;
  }
  return Arithmetic::kF32;
}

// Of the matrix products of a graph.
int64_t MatMulOperations(const Graph& graph, const Node& node,
                         const SymbolValues& symbols) {
  if (node.op == &kOuterById) {
    const Shape& g = graph.value(node.inputs[0]).type.shape;
    const Shape& x = graph.value(node.inputs[1]).type.shape;
    return 2 * symbols.Of(x.dim(-1)) * Elements(g, symbols);
  }
  if (node.op != &kMatMul && node.op != &kMatMulById) return 0;
  const Shape& a = graph.value(node.inputs[0]).type.shape;
  const Shape& y = graph.value(node.outputs[0]).type.shape;
  return 2 * symbols.Of(a.dim(-1)) * Elements(y, symbols);
}

// A fused op does the products of the chain that it stands for.
int64_t Operations(const Graph& graph, const Node& node,
                   const SymbolValues& symbols) {
  if (node.op->expand == nullptr) return MatMulOperations(graph, node, symbols);
  Graph chain;
  ExpandInto(chain, *node.op, graph.InputTypes(node), node.attrs);
  int64_t total = 0;
  for (const NodeId id : chain.order())
    total += MatMulOperations(chain, chain.node(id), symbols);
  return total;
}

// Which keys the queries of a step see, the step's first at `first`.
struct VisibleKeys {
  int64_t pairs = 0;  // of a query and a key that it sees
  int64_t keys = 0;   // that any query sees
};

VisibleKeys CountKeys(const Attrs& attrs, int64_t queries, int64_t keys,
                      int64_t first) {
  const bool causal = attrs.Int("causal") != 0;
  const int64_t window = attrs.Int("window");
  VisibleKeys out;
  int64_t low = keys, high = 0;
  for (int64_t pos = first; pos < first + queries; ++pos) {
    const int64_t end = causal ? std::min(pos + 1, keys) : keys;
    const int64_t begin =
        window > 0 ? std::clamp<int64_t>(pos + 1 - window, 0, end) : 0;
    out.pairs += end - begin;
    low = std::min(low, begin);
    high = std::max(high, end);
  }
  out.keys = std::max<int64_t>(0, high - low);
  return out;
}

// Adds up what nodes do; `one_` holds what is the same in every step.
class Counter {
 public:
  Counter(const Graph& graph, const StepSize& size)
      : graph_(graph), size_(size) {}

  void Add(const Node& node) {
    if (node.op->kind != OpKind::kCompute || node.op->view != ViewKind::kNone)
      return;
    if (node.op == &kAttention) return AddAttention(node);
    if (node.op->writes_state) return AddAppend(node);
    const bool picks_rows = node.op == &kGatherRows || node.op == &kQGather;
    const bool picks_matrices = node.attrs.Int("has_ids") != 0;
    for (size_t i = 0; i < node.inputs.size(); ++i)
      Read(node.inputs[i], i == 0 && picks_rows       ? PickedBytes(node)
                           : i == 1 && picks_matrices ? MatrixBytes(node)
                                                      : Bytes(node.inputs[i]));
    for (const ValueId id : node.outputs) one_.activation_bytes += Bytes(id);
    OperationsOf(one_, ArithmeticOf(graph_, node)) +=
        Operations(graph_, node, size_.symbols);
  }

  Work Total() const {
    Work out = one_;
    // The parts that nodes read of a weight are no more than it.
    for (const auto& [weight, bytes] : weights_)
      out.weight_bytes += std::min(bytes, Bytes(weight->outputs[0]));
    out *= size_.steps;
    out += attention_;
    return out;
  }

 private:
  int64_t Bytes(ValueId id) const {
    const TensorType& type = graph_.value(id).type;
    return BytesOf(type.dtype, type.shape, size_.symbols);
  }
  int64_t DimOf(ValueId id, int axis) const {
    return size_.symbols.Of(graph_.value(id).type.shape.dim(axis));
  }
  // Rows of a table that a gather takes, in the table's format.
  int64_t PickedBytes(const Node& node) const {
    return BytesOf(graph_.value(node.inputs[0]).type.dtype,
                   graph_.value(node.outputs[0]).type.shape, size_.symbols);
  }

  // Matrices that a product by id reads at most: one for each pick, or all.
  int64_t MatrixBytes(const Node& node) const {
    const int64_t all = DimOf(node.inputs[1], 0);
    const int64_t picks = DimOf(node.inputs[2], 0) * DimOf(node.inputs[2], 1);
    return Bytes(node.inputs[1]) / all * std::min(all, picks);
  }

  void Read(ValueId id, int64_t bytes) {
    const Node& source = SourceOf(graph_, id);
    if (source.op->kind == OpKind::kWeight)
      weights_[&source] += bytes;
    else if (source.op->kind == OpKind::kState)
      one_.state_bytes += bytes;
    else
      one_.activation_bytes += bytes;
  }

  // Rows go from one place to another, perhaps in another format.
  void AddAppend(const Node& node) {
    for (size_t i = 1; i < node.inputs.size(); ++i)
      Read(node.inputs[i], Bytes(node.inputs[i]));
    one_.activation_bytes +=
        BytesOf(graph_.value(node.inputs[0]).type.dtype,
                graph_.value(node.inputs[1]).type.shape, size_.symbols);
  }

  // Keys and values that are seen; all else as everywhere.
  void AddAttention(const Node& node) {
    const ValueId q = node.inputs[0], k = node.inputs[1], v = node.inputs[2];
    const bool cached = graph_.value(k).type.shape.rank() == 4;
    VisibleKeys all;
    for (int64_t i = 0; i < size_.steps; ++i) {
      const int64_t queries = DimOf(q, 0);
      const VisibleKeys seen =
          CountKeys(node.attrs, queries, DimOf(k, cached ? 1 : 0),
                    size_.first_position + i * queries);
      all.pairs += seen.pairs;
      all.keys += seen.keys;
    }
    OperationsOf(attention_, Arithmetic::kF32) +=
        2 * all.pairs * DimOf(q, 1) * (DimOf(k, -1) + DimOf(v, -1));
    for (const ValueId id : {k, v}) {
      const int64_t row = DimOf(id, -1);
      const int64_t bytes = all.keys * BytesOfRows(graph_.value(id).type.dtype,
                                                   DimOf(id, -2) * row, row);
      (cached ? attention_.state_bytes : attention_.activation_bytes) += bytes;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i)
      if (i != 1 && i != 2) Read(node.inputs[i], Bytes(node.inputs[i]));
    for (const ValueId id : node.outputs) one_.activation_bytes += Bytes(id);
  }

  const Graph& graph_;
  const StepSize& size_;
  Work one_, attention_;
  HashMap<const Node*, int64_t> weights_;  // bytes read in a step
};

}  // namespace

absl::string_view Name(Arithmetic a) {
  constexpr absl::string_view kNames[] = {"f32", "bf16", "int8"};
  return kNames[static_cast<size_t>(a)];
}

int64_t Work::total_operations() const {
  return std::accumulate(operations.begin(), operations.end(), int64_t{0});
}

Work& Work::operator+=(const Work& other) {
  weight_bytes += other.weight_bytes;
  state_bytes += other.state_bytes;
  activation_bytes += other.activation_bytes;
  for (size_t i = 0; i < operations.size(); ++i)
    operations[i] += other.operations[i];
  return *this;
}

Work& Work::operator*=(int64_t times) {
  weight_bytes *= times;
  state_bytes *= times;
  activation_bytes *= times;
  for (int64_t& n : operations) n *= times;
  return *this;
}

Work WorkOf(const Graph& graph, const Node& node, const StepSize& size) {
  Counter counter(graph, size);
  counter.Add(node);
  return counter.Total();
}

Work WorkOfSteps(const Graph& graph, const StepSize& size) {
  Counter counter(graph, size);
  for (const NodeId id : graph.order()) counter.Add(graph.node(id));
  return counter.Total();
}

}  // namespace weft::inline v0
