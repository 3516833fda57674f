// activation(gate) * up, whichever operand is which, and the products that both
// are.
#include <string>

#include "absl/strings/str_cat.h"
#include "graph/rewrite.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

bool ClassifyGated(Value product, Classification& c) {
  Graph* graph = product.graph();
  const auto inputs = graph->producer(product.id()).inputs;
  for (size_t i = 0; i < 2; ++i) {
    const Value gate(graph, inputs[i]), up(graph, inputs[1 - i]);
    const Node& activation = graph->producer(gate.id());
    if (FindActivation(activation.op->name) != activation.op) continue;
    if (gate.shape() != up.shape())
      return c.Miss(gate, "has another shape than the other factor");
    c.Inside(gate);
    c.root = product;
    const Value x(graph, activation.inputs[0]);
    const absl::string_view name = activation.op->name;
    c.emit = [=] { return Gated(x, up, name); };
    return true;
  }
  return c.Miss(product, "multiplies no activation");
}

// The product with a weight and nothing else that is gated, or null.
const Node* PlainProduct(const Graph& graph, ValueId id) {
  const Node& node = graph.producer(id);
  const bool plain = node.op == &kQMatMul && node.inputs.size() == 2 &&
                     node.attrs.String("activation").empty();
  return plain ? &node : nullptr;
}

bool ClassifyGatedMatMul(Value gated, Classification& c) {
  Graph* graph = gated.graph();
  const Node& node = graph->producer(gated.id());
  const Value gate(graph, node.inputs[0]), up(graph, node.inputs[1]);
  const Node* products[2];
  for (size_t i = 0; i < 2; ++i) {
    const Value factor(graph, node.inputs[i]);
    products[i] = PlainProduct(*graph, factor.id());
    if (products[i] == nullptr)
      return c.Miss(factor, "is no product with a weight alone");
  }
  if (products[0] == products[1]) return c.Miss(gate, "is both factors");
  if (products[0]->inputs[0] != products[1]->inputs[0])
    return c.Miss(up, "is a product of another value");
  const Value x(graph, products[0]->inputs[0]);
  const Value w_gate(graph, products[0]->inputs[1]);
  const Value w_up(graph, products[1]->inputs[1]);
  if (w_gate.dtype() != w_up.dtype())
    return c.Miss(up,
                  absl::StrCat("has a weight in ", Name(w_up.dtype()),
                               ", the gate's is in ", Name(w_gate.dtype())));
  c.Inside(gate);
  c.Inside(up);
  c.root = gated;
  const std::string activation(node.attrs.String("activation"));
  c.emit = [=] { return GatedQMatMul(x, w_gate, w_up, activation); };
  return true;
}

}  // namespace

Rule GatedRule() { return Rule("gated").Classify(kMul, ClassifyGated); }

Rule GatedMatMulRule() {
  return Rule("gated_matmul").Classify(kGated, ClassifyGatedMatMul);
}

}  // namespace weft::inline v0
