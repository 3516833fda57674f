#include "graph/graph.h"

#include <algorithm>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/escape.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "graph/verify.h"

namespace weft::inline v0 {

const OpDef kInputOp = {.name = "input",
                        .doc = "A tensor given by the caller at each step.",
                        .kind = OpKind::kInput};
const OpDef kWeightOp = {.name = "weight",
                         .doc = "A tensor of the model file.",
                         .kind = OpKind::kWeight};
const OpDef kStateOp = {.name = "state",
                        .doc = "A tensor kept between steps, zero at first.",
                        .kind = OpKind::kState};
const OpDef kConstantOp = {.name = "constant",
                           .doc = "A tensor whose data is in the graph.",
                           .kind = OpKind::kConstant};
const OpDef kAnyOp = {.name = "any",
                      .doc = "A placeholder of a rewrite pattern.",
                      .kind = OpKind::kAny};

const TensorType& Value::type() const {
  static const TensorType* const kNone = new TensorType();
  return poisoned() ? *kNone : graph_->value(id_).type;
}

Dim Value::dim(int axis) const {
  const int at = axis < 0 ? axis + rank() : axis;
  return at < 0 || at >= rank() ? Dim(0) : shape().dim(at);
}

Value Graph::AddSource(const OpDef& op, absl::string_view name, TensorType type,
                       Where at) {
  if (!status_.ok()) return Value(this, -1);
  for (const Dim& dim : type.shape)
    if (dim.bound() <= 0)
      return Fail(absl::StrCat(op.name, " ", name, " ", type.ToString(),
                               ": a dimension is not positive"),
                  at);
  if (type.shape.rank() > kMaxRank)
    return Fail(absl::StrCat(op.name, " ", name, ": rank above ", kMaxRank),
                at);
  // Blocks that are part padding are a state's alone: what lies in a file or
  // comes from a caller is whole.
  const int64_t row = type.shape.rank() == 0 ? 1 : type.shape.dim(-1).bound();
  if (type.BoundBytes() == 0 ||
      (op.kind != OpKind::kState && !RowBytes(type.dtype, row).has_value()))
    return Fail(absl::StrCat(op.name, " ", name, " ", type.ToString(),
                             ": rows are no whole blocks of ",
                             Info(type.dtype).block_values, " values"),
                at);
  if (IsPacked(type.dtype) &&
      (op.kind == OpKind::kState || type.shape.rank() != 2 ||
       !type.shape.dim(0).is_constant() ||
       type.shape.dim(0).bound() % kPackedRows != 0))
    return Fail(absl::StrCat(op.name, " ", name, " ", type.ToString(),
                             ": only matrices with a multiple of ", kPackedRows,
                             " rows are packed"),
                at);
  if (IsPacked(type.dtype) && !CanPackLength(RowsType(type.dtype), row))
    return Fail(absl::StrCat(op.name, " ", name, " ", type.ToString(),
                             ": rows are packed by two values"),
                at);
  if (type.BoundBytes() > kMaxTensorBytes)
    return Fail(absl::StrCat(op.name, " ", name, " ", type.ToString(),
                             ": is larger than any machine's memory"),
                at);
  const NodeId id = AddNode(op, {}, {}, {std::move(type)}, at);
  nodes_.back().name = std::string(name);
  return Value(this, node(id).outputs[0]);
}

Value Graph::Input(absl::string_view name, DType dtype, Shape shape, Where at) {
  return AddSource(kInputOp, name, {dtype, std::move(shape)}, at);
}

Value Graph::Weight(absl::string_view name, DType dtype, Shape shape,
                    Where at) {
  return AddSource(kWeightOp, name, {dtype, std::move(shape)}, at);
}

Value Graph::State(absl::string_view name, DType dtype, Shape shape, Where at) {
  return AddSource(kStateOp, name, {dtype, std::move(shape)}, at);
}

Value Graph::Constant(HostTensor tensor, Where at) {
  TensorType type{tensor.dtype, Shape::FromInts(tensor.dims)};
  const Value v = AddSource(kConstantOp, "constant", std::move(type), at);
  if (!v.poisoned()) {
    nodes_.back().name.clear();
    nodes_.back().constant =
        std::make_shared<const HostTensor>(std::move(tensor));
  }
  return v;
}

Value Graph::Any(int index) {
  const NodeId id =
      AddNode(kAnyOp, {}, {{"index", index}}, {TensorType()}, Where());
  return Value(this, node(id).outputs[0]);
}

NodeId Graph::AddNode(const OpDef& op, absl::Span<const Value> inputs,
                      Attrs attrs, TensorTypes types, Where at) {
  const NodeId id = num_nodes();
  Node& node = nodes_.emplace_back();
  node.id = id;
  node.op = &op;
  node.attrs = std::move(attrs);
  node.where = has_origin_ ? origin_where_ : at;
  node.made_by = has_origin_ ? origin_made_by_ : absl::string_view();
  node.rank = has_origin_ ? origin_rank_ : id;
  for (const Value& v : inputs) {
    node.inputs.push_back(v.id());
    values_[static_cast<size_t>(v.id())].users.push_back(id);
  }
  for (size_t i = 0; i < types.size(); ++i) {
    node.outputs.push_back(num_values());
    ValueInfo& value = values_.emplace_back();
    value.number = num_values() - 1;
    value.node = id;
    value.index = static_cast<int>(i);
    value.type = std::move(types[i]);
  }
  order_.push_back(id);
  return id;
}

absl::StatusOr<TensorTypes> Graph::InferTypes(const OpDef& op,
                                              absl::Span<const Value> inputs,
                                              const Attrs& attrs) {
  if (mode_ == Mode::kPattern)
    return TensorTypes(static_cast<size_t>(op.n_outputs));
  TensorTypes in;
  for (const Value& v : inputs) in.push_back(v.type());
  return Infer(op, in, attrs);
}

absl::string_view Graph::Problem(const Value& v) const {
  if (v.graph() == nullptr || v.poisoned()) return "no value";
  if (v.graph() != this) return "a value of another graph";
  if (!alive(value(v.id()).node)) return "a value that a pass has removed";
  return "";
}

Values Graph::EmitAll(const OpDef& op, absl::Span<const Value> inputs,
                      Attrs attrs, Where at) {
  const Values poison(static_cast<size_t>(op.n_outputs), Value(this, -1));
  if (!status_.ok()) return poison;
  for (const Value& v : inputs) {
    const absl::string_view problem = Problem(v);
    if (problem.empty()) continue;
    Fail(absl::StrCat(op.name, ": an operand is ", problem), at);
    return poison;
  }
  absl::StatusOr<TensorTypes> types = InferTypes(op, inputs, attrs);
  if (!types.ok()) {
    Fail(absl::StrCat(op.name, "(",
                      absl::StrJoin(inputs, ", ",
                                    [this](std::string* out, const Value& v) {
                                      out->append(Describe(v.id()));
                                    }),
                      "): ", types.status().message()),
         at);
    return poison;
  }
  const NodeId id =
      AddNode(op, inputs, std::move(attrs), *std::move(types), at);
  Values out;
  for (const ValueId v : node(id).outputs) out.push_back(Value(this, v));
  return out;
}

Value Graph::Emit(const OpDef& op, absl::Span<const Value> inputs, Attrs attrs,
                  Where at) {
  return EmitAll(op, inputs, std::move(attrs), at)[0];
}

Value Graph::Fail(absl::string_view message, Where at) {
  if (has_origin_) at = origin_where_;
  const std::string where = at.ToString();
  status_.Update(absl::InvalidArgumentError(
      where.empty() ? std::string(message)
                    : absl::StrCat(where, ": ", message)));
  return Value(this, -1);
}

void Graph::Output(absl::string_view name, Value value, Where at) {
  if (!status_.ok()) return;
  const absl::string_view problem = Problem(value);
  if (!problem.empty()) {
    Fail(absl::StrCat("output ", name, " is ", problem), at);
    return;
  }
  outputs_.push_back({std::string(name), value.id()});
}

void Graph::Expect(absl::string_view rule, int count, Where at) {
  expectations_.push_back({std::string(rule), count, at});
}

Value Value::Named(absl::string_view name) const {
  // The name is part of the graph that the handle points at.
  if (!poisoned()) graph_->SetName(id_, name);
  return *this;
}

void Graph::SetName(ValueId id, absl::string_view name) {
  values_[static_cast<size_t>(id)].name = std::string(name);
}

absl::Status Graph::Finish() {
  if (!status_.ok()) return status_;
  if (outputs_.empty())
    return absl::FailedPreconditionError(
        "the graph has no output: call Graph::Output for what a step computes");
  WEFT_RETURN_IF_ERROR(Verify(*this));
  if (!is_in_order_) PutInOrder();
  is_in_order_ = true;
  return absl::OkStatus();
}

bool Graph::IsOutput(ValueId id) const {
  return absl::c_any_of(outputs_,
                        [id](const NamedValue& o) { return o.value == id; });
}

std::vector<Dim> Graph::Symbols() const {
  std::vector<Dim> symbols;
  for (const NodeId id : order_) {
    if (node(id).op->kind == OpKind::kCompute) continue;
    for (const Dim& dim : value(node(id).outputs[0]).type.shape)
      if (dim.is_symbol() && !absl::c_linear_search(symbols, dim))
        symbols.push_back(dim);
  }
  return symbols;
}

TensorTypes Graph::InputTypes(const Node& node) const {
  TensorTypes types;
  for (const ValueId id : node.inputs) types.push_back(value(id).type);
  return types;
}

std::string Graph::Describe(ValueId id) const {
  if (id < 0) return "?";
  const Node& from = producer(id);
  if (!from.name.empty())
    return absl::StrCat(Printable(from.name), " ", value(id).type.ToString());
  return absl::StrCat("%", number(id), " ", value(id).type.ToString());
}

std::string Graph::Describe(const Node& node) const {
  const std::string where = node.where.ToString();
  return absl::StrCat(
      where, where.empty() ? "" : ": ", node.op->name, "(",
      Printable(node.name),  // of sources, which have no operands
      absl::StrJoin(
          node.inputs, ", ",
          [this](std::string* out, ValueId v) { out->append(Describe(v)); }),
      ")");
}

void Graph::ReplaceUses(ValueId from, ValueId to) {
  if (from == to) return;
  ValueInfo& old = values_[static_cast<size_t>(from)];
  ValueInfo& fresh = values_[static_cast<size_t>(to)];
  for (const NodeId user : old.users) {
    for (ValueId& in : nodes_[static_cast<size_t>(user)].inputs)
      if (in == from) in = to;
    fresh.users.push_back(user);
  }
  old.users.clear();
  for (NamedValue& output : outputs_)
    if (output.value == from) output.value = to;
  if (fresh.name.empty()) fresh.name = std::move(old.name);
}

void Graph::ReplaceInput(NodeId node, size_t input, ValueId to) {
  ValueId& in = nodes_[static_cast<size_t>(node)].inputs[input];
  auto& users = values_[static_cast<size_t>(in)].users;
  users.erase(absl::c_find(users, node));  // once for each use
  in = to;
  values_[static_cast<size_t>(to)].users.push_back(node);
}

bool Graph::EraseIfDead(NodeId id) {
  if (!DropIfDead(id)) return false;
  std::erase_if(order_, [this](NodeId other) { return !alive(other); });
  return true;
}

bool Graph::DropIfDead(NodeId id) {
  bool changed = false;
  std::vector<NodeId> left = {id};
  while (!left.empty()) {
    Node& node = nodes_[static_cast<size_t>(left.back())];
    left.pop_back();
    if (node.op == nullptr || node.op->writes_state ||
        node.op->kind == OpKind::kInput || node.op->kind == OpKind::kState ||
        absl::c_any_of(node.outputs, [this](ValueId v) {
          return !value(v).users.empty() || IsOutput(v);
        }))
      continue;
    changed = true;
    node.op = nullptr;
    for (const ValueId v : node.inputs) {
      auto& users = values_[static_cast<size_t>(v)].users;
      users.erase(std::find(users.begin(), users.end(), node.id));
      left.push_back(value(v).node);
    }
    node.inputs.clear();
  }
  return changed;
}

}  // namespace weft::inline v0
