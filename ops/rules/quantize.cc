// Quantisation of activations put into the op that computes them.
#include "ops/quantize.h"
#include "graph/rewrite.h"
#include "ops/fused.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {

Rule NormQuantizeRule() {
  return Rule("norm_quantize")
      .Match([](Any x, Any w, AnyFloat eps) {
        return Quantize(RmsNormMul(x, w, eps));
      })
      .Emit([](Value x, Value w, double eps) {
        return RmsNormMul(x, w, eps, /*quantized=*/true);
      });
}

Rule AddNormQuantizeRule() {
  return Rule("add_norm_quantize")
      .Match([](Any a, Any b, Any w, AnyFloat eps) {
        const Values both = AddRmsNorm(a, b, w, eps);
        return Values{Quantize(both[1]), both[0]};
      })
      .Emit([](Value a, Value b, Value w, double eps) {
        const Values both = AddRmsNorm(a, b, w, eps, /*quantized=*/true);
        return Values{both[1], both[0]};
      });
}

Rule LayerNormQuantizeRule() {
  return Rule("layer_norm_quantize")
      .Match([](Any x, Any w, Any b, AnyFloat eps) {
        return Quantize(LayerNormMulAdd(x, w, b, eps));
      })
      .Emit([](Value x, Value w, Value b, double eps) {
        return LayerNormMulAdd(x, w, b, eps, /*quantized=*/true);
      });
}

namespace {

bool ClassifyGatedQuantize(Value quantized, Classification& c) {
  Graph* graph = quantized.graph();
  const Value product(graph, graph->producer(quantized.id()).inputs[0]);
  const Node& node = graph->producer(product.id());
  if (node.op != &kGated)
    return c.Miss(product, "is no product of an activated gate");
  c.Inside(product);
  c.root = quantized;
  const Value gate(graph, node.inputs[0]), up(graph, node.inputs[1]);
  const std::string activation(node.attrs.String("activation"));
  c.emit = [=] { return Gated(gate, up, activation, /*quantized=*/true); };
  return true;
}

}  // namespace

Rule GatedQuantizeRule() {
  return Rule("gated_quantize").Classify(kQuantize, ClassifyGatedQuantize);
}

}  // namespace weft::inline v0
