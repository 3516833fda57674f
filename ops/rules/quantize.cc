// Quantisation of activations put into the op that computes them.
#include "ops/quantize.h"
#include "graph/rewrite.h"
#include "ops/fused.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {

Rule NormQuantizeRule() {
  return Rule("norm_quantize")
      .Match([](Any x, Any w, AnyFloat eps, AnyFloat per_scale) {
        return Quantize(RmsNormMul(x, w, eps), per_scale);
      })
      .Emit([](Value x, Value w, double eps, double per_scale) {
        return RmsNormMul(x, w, eps, per_scale);
      });
}

Rule AddNormQuantizeRule() {
  return Rule("add_norm_quantize")
      .Match([](Any a, Any b, Any w, AnyFloat eps, AnyFloat per_scale) {
        const Values both = AddRmsNorm(a, b, w, eps);
        return Values{Quantize(both[1], per_scale), both[0]};
      })
      .Emit([](Value a, Value b, Value w, double eps, double per_scale) {
        const Values both = AddRmsNorm(a, b, w, eps, per_scale);
        return Values{both[1], both[0]};
      });
}

Rule LayerNormQuantizeRule() {
  return Rule("layer_norm_quantize")
      .Match([](Any x, Any w, Any b, AnyFloat eps, AnyFloat per_scale) {
        return Quantize(LayerNormMulAdd(x, w, b, eps), per_scale);
      })
      .Emit([](Value x, Value w, Value b, double eps, double per_scale) {
        return LayerNormMulAdd(x, w, b, eps, per_scale);
      });
}

namespace {

bool ClassifyGatedQuantize(Value quantized, Classification& c) {
  Graph* graph = quantized.graph();
  const Node& quantize = graph->producer(quantized.id());
  const double per_scale = quantize.attrs.Float("per_scale");
  const Value product(graph, quantize.inputs[0]);
  const Node& node = graph->producer(product.id());
  if (node.op != &kGated && node.op != &kGatedQMatMul)
    return c.Miss(product, "is no product of an activated gate");
  c.Inside(product);
  c.root = quantized;
  Values in;
  for (const ValueId id : node.inputs) in.push_back(Value(graph, id));
  const std::string activation(node.attrs.String("activation"));
  const bool stored = node.op == &kGatedQMatMul;
  c.emit = [=] {
    return stored ? GatedQMatMul(in[0], in[1], in[2], activation, per_scale)
                  : Gated(in[0], in[1], activation, per_scale);
  };
  return true;
}

}  // namespace

Rule GatedQuantizeRule() {
  return Rule("gated_quantize").Classify(kQuantize, ClassifyGatedQuantize);
}

}  // namespace weft::inline v0
