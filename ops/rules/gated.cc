// activation(gate) * up, whichever operand is which.
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

}  // namespace

Rule GatedRule() { return Rule("gated").Classify(kMul, ClassifyGated); }

}  // namespace weft::inline v0
