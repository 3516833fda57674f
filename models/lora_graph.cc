// Adapters as nodes of a graph.
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "graph/verify.h"
#include "models/input_error.h"
#include "models/lora.h"
#include "ops/composite.h"
#include "ops/experts.h"
#include "ops/matmul.h"
#include "ops/ops.h"

namespace weft::inline v0 {

// Applies one use of an adapter.
class LoraApplier {
 public:
  LoraApplier(Graph& graph, const LoraUse& use, size_t number)
      : graph_(graph), use_(use), number_(number) {
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      if (node.op == &kWeightOp) weights_[node.name] = node.outputs[0];
    }
  }

  absl::Status Run() {
    for (const LoraAdapter::Pair& pair : use_.adapter->pairs_)
      WEFT_RETURN_IF_ERROR(Apply(pair));
    return absl::OkStatus();
  }

 private:
  using Pair = LoraAdapter::Pair;

  const Node& Producer(ValueId v) const { return graph_.producer(v); }

  absl::Status Unsupported(const Pair& pair, absl::string_view found,
                           absl::string_view expected) const {
    return absl::UnimplementedError(absl::StrCat(
        use_.adapter->file().source(), ": LORA-11: weight ",
        QuoteInput(pair.weight), " is ", found, "; expected ", expected));
  }

  // The products and look-ups of a weight: through its decoded and transposed
  // forms.
  void FindUses(ValueId v, std::vector<NodeId>& uses) const {
    for (const NodeId id : graph_.value(v).users) {
      const Node& user = graph_.node(id);
      if (user.op == &kDequant || user.op == &kTranspose)
        FindUses(user.outputs[0], uses);
      else
        uses.push_back(id);
    }
  }

  absl::Status Apply(const Pair& pair) {
    std::vector<NodeId> uses;
    if (const auto found = weights_.find(pair.weight); found != weights_.end())
      FindUses(found->second, uses);
    if (uses.empty())
      return Unsupported(pair, "in the file but not in the model's graph",
                         "a weight that is used");
    const bool table = pair.weight == "token_embd.weight";
    for (const NodeId id : uses) {
      const OpDef* op = graph_.node(id).op;
      if (table && op == &kMatMul)
        return Unsupported(pair, "the output too, where the two are tied",
                           "a model with an output.weight of its own");
      if (op != (table                      ? &kGatherRows
                 : pair.a->dims.size() == 3 ? &kMatMulById
                                            : &kMatMul))
        return Unsupported(pair, absl::StrCat("read by ", op->name),
                           "a product with it");
    }
    for (const NodeId id : uses) AddTo(pair, id);
    return graph_.status();
  }

  // Once for all uses of a weight.
  Value Half(const GgufTensor& tensor) {
    const auto [at, is_new] = halves_.try_emplace(std::string(tensor.name));
    if (is_new)
      at->second =
          graph_.Weight(absl::StrCat("lora.", number_, ".", tensor.name),
                        tensor.dtype, Shape::FromInts(tensor.dims));
    return at->second;
  }

  float Factor(const Pair& pair) const {
    const float alpha = use_.adapter->alpha_;
    const auto rank = static_cast<float>(pair.b->dims.back());
    return alpha == 0 ? use_.scale : use_.scale * alpha / rank;
  }

  Value Delta(const Pair& pair, const Node& use) {
    const Value a = Half(*pair.a), b = Half(*pair.b);
    const Value x(&graph_, use.inputs[0]);
    const double factor = Factor(pair);
    // The scaling where it is cheapest: between the two products.
    if (use.op == &kMatMul) return Linear(Scale(Linear(x, a), factor), b);
    if (use.op == &kGatherRows) {
      const Value rows(&graph_, use.inputs[1]);
      return Linear(Scale(GatherRows(Dequant(a), rows), factor), b);
    }
    const Value ids =
        use.attrs.Int("has_ids") != 0 ? Value(&graph_, use.inputs[2]) : Value();
    return LinearById(Scale(LinearById(x, a, ids), factor), b, ids);
  }

  Value CopyOf(const Node& node) {
    std::vector<Value> inputs;
    for (const ValueId in : node.inputs) inputs.emplace_back(&graph_, in);
    return graph_.Emit(*node.op, inputs, node.attrs, node.where);
  }

  // The bias that is added to a product and to nothing else: it stays next to
  // it, so that the two still fuse.
  NodeId BiasOf(const Node& product) const {
    const auto& users = graph_.value(product.outputs[0]).users;
    if (users.size() != 1 || graph_.node(users[0]).op != &kAdd) return -1;
    for (const ValueId in : graph_.node(users[0]).inputs)
      if (graph_.value(in).type.shape.rank() == 1) return users[0];
    return -1;
  }

  void AddTo(const Pair& pair, NodeId id) {
    const Node use = graph_.node(id);  // copies: new nodes move the old ones
    const NodeId bias = BiasOf(use);
    const Node last = bias < 0 ? use : graph_.node(bias);
    Value sum;
    {
      const Graph::Origin origin(graph_, last, "lora");
      // A copy of the last node, since all readers of that one are about to
      // read the sum.
      sum = Add(CopyOf(last), Delta(pair, use));
    }
    if (sum.poisoned()) return;
    graph_.ReplaceUses(last.outputs[0], sum.id());
    graph_.EraseIfDead(last.id);
  }

  Graph& graph_;
  const LoraUse& use_;
  const size_t number_;
  HashMap<std::string, ValueId> weights_;
  HashMap<std::string, Value> halves_;
};

absl::Status ApplyLora(Graph& graph, absl::Span<const LoraUse> uses) {
  bool changed = false;
  for (size_t i = 0; i < uses.size(); ++i) {
    if (!std::isfinite(uses[i].scale))
      return absl::InvalidArgumentError(
          absl::StrCat(uses[i].adapter->file().source(), ": LORA-10: scale is ",
                       uses[i].scale, "; expected a finite number"));
    if (uses[i].scale == 0) continue;
    WEFT_RETURN_IF_ERROR(LoraApplier(graph, uses[i], i).Run());
    changed = true;
  }
  if (!changed) return absl::OkStatus();
  WEFT_RETURN_IF_ERROR(graph.Sort());
  return Verify(graph);
}

}  // namespace weft::inline v0
