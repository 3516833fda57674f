// Products with stored weights.
#include "graph/rewrite.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/rules/rules.h"

namespace weft::inline v0 {

Rule DequantMatMulRule() {
  return Rule("dequant_matmul")
      .Match([](Any x, Any w) { return Linear(x, w); })
      .If("w is a matrix", [](Value, Value w) { return w.rank() == 2; })
      .Emit([](Value x, Value w) { return QMatMul(x, w); });
}

Rule TransposeMatMulRule() {
  return Rule("transpose_matmul")
      .Match([](Any x, Any w) { return MatMul(x, Transpose(w)); })
      .If("w is a matrix", [](Value, Value w) { return w.rank() == 2; })
      .If("w is a weight",
          [](Value, Value w) {
            return w.graph()->producer(w.id()).op->kind == OpKind::kWeight;
          })
      .Emit([](Value x, Value w) { return QMatMul(x, w); });
}

// What is left of products with a transpose: those of values that are computed,
// as in training. Their tiles are packed, which a weight's rows, read as they
// lie, do not need.
Rule TransposedRightRule() {
  return Rule("transposed_right")
      .Match([](Any a, Any b) { return MatMul(a, Transpose(b)); })
      .Emit([](Value a, Value b) { return MatMulTransposed(a, b, 1); });
}

Rule TransposedLeftRule() {
  return Rule("transposed_left")
      .Match([](Any a, Any b) { return MatMul(Transpose(a), b); })
      .Emit([](Value a, Value b) { return MatMulTransposed(a, b, 0); });
}

Rule DequantGatherRule() {
  return Rule("dequant_gather")
      .Match([](Any w, Any ids) { return GatherRows(Dequant(w), ids); })
      .If("w is a matrix", [](Value w, Value) { return w.rank() == 2; })
      .Emit([](Value w, Value ids) { return QGather(w, ids); });
}

Rule MatMulBiasRule() {
  return Rule("matmul_bias")
      .Match([](Any x, Any w, Any b) { return QMatMul(x, w) + b; })
      .Anchor(kAdd)
      .If("the bias is a vector of w's rows",
          [](Value, Value w, Value b) {
            return b.rank() == 1 && b.dim(0) == w.dim(0);
          })
      .Emit([](Value x, Value w, Value b) { return QMatMul(x, w, b); });
}

namespace {

// The activation that is the only reader of `v`, or null.
const Node* OnlyActivation(Value v) {
  const auto& users = v.graph()->value(v.id()).users;
  if (users.size() != 1) return nullptr;
  const Node& user = v.graph()->node(users[0]);
  return FindActivation(user.op->name) == user.op ? &user : nullptr;
}

bool ClassifyActivation(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  if (!node.attrs.String("activation").empty())
    return c.Miss(product, "has an activation already");
  const Node* activation = OnlyActivation(product);
  if (activation == nullptr)
    return c.Miss(product, "is not read by an activation alone");
  c.Inside(product);
  c.root = Value(graph, activation->outputs[0]);
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  const Value bias =
      node.inputs.size() > 2 ? Value(graph, node.inputs[2]) : Value();
  const absl::string_view name = activation->op->name;
  c.emit = [=] { return QMatMul(x, w, bias, name); };
  return true;
}

}  // namespace

Rule MatMulActivationRule() {
  return Rule("matmul_activation").Classify(kQMatMul, ClassifyActivation);
}

}  // namespace weft::inline v0
