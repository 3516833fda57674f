// Products by id with stored weights.
#include "ops/experts.h"
#include "graph/rewrite.h"
#include "ops/matmul.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {
namespace {

// The weight may be f32, and then has no dequant.
bool ClassifyById(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  Value w(graph, node.inputs[1]);
  const Node& source = graph->producer(w.id());
  if (source.op == &kDequant) {
    c.Inside(w);
    w = Value(graph, source.inputs[0]);
  }
  if (graph->producer(w.id()).op->kind != OpKind::kWeight)
    return c.Miss(w, "is no stored weight");
  size_t next = 2;
  const Value x(graph, node.inputs[0]);
  const Value ids = node.attrs.Int("has_ids") != 0
                        ? Value(graph, node.inputs[next++])
                        : Value();
  const Value bias = node.attrs.Int("has_bias") != 0
                         ? Value(graph, node.inputs[next++])
                         : Value();
  c.root = product;
  c.emit = [=] { return QMatMulById(x, w, ids, bias); };
  return true;
}

}  // namespace

Rule ByIdRule() { return Rule("matmul_by_id").Classify(kMatMulById, ClassifyById); }

}  // namespace weft::inline v0
