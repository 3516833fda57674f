// Shape inference: an op's own rule, or the types of its expansion.
#include <string>

#include "absl/strings/str_cat.h"
#include "graph/graph.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {

absl::Status Call::Require(bool ok, absl::string_view message) const {
  if (ok) return absl::OkStatus();
  return absl::InvalidArgumentError(message);
}

Values ExpandInto(Graph& into, const OpDef& op,
                  absl::Span<const TensorType> inputs, const Attrs& attrs) {
  Values in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto& [dtype, shape] = inputs[i];
    const std::string name = absl::StrCat(i);
    // Only states have rows that end within a block.
    const bool whole =
        shape.rank() == 0 || RowBytes(dtype, shape.dim(-1).bound()).has_value();
    in.push_back(whole ? into.Input(name, dtype, shape, Where())
                       : into.State(name, dtype, shape, Where()));
  }
  return op.expand({in, attrs});
}

absl::StatusOr<TensorTypes> Infer(const OpDef& op,
                                  absl::Span<const TensorType> inputs,
                                  const Attrs& attrs) {
  TensorTypes types;
  if (op.infer != nullptr) {
    WEFT_ASSIGN_OR_RETURN(types, op.infer({op, inputs, attrs}));
  } else if (op.expand != nullptr) {
    Graph expansion;
    const Values out = ExpandInto(expansion, op, inputs, attrs);
    WEFT_RETURN_IF_ERROR(expansion.status());
    for (const Value& v : out) types.push_back(v.type());
  } else {
    return absl::InternalError(absl::StrCat(op.name, " has no shape rule"));
  }
  if (static_cast<int>(types.size()) != op.n_outputs)
    return absl::InternalError(
        absl::StrCat(op.name, "'s shape rule gives ", types.size(),
                     " outputs, its record says ", op.n_outputs));
  for (const TensorType& type : types)
    if (type.BoundBytes() > kMaxTensorBytes)
      return absl::InvalidArgumentError(
          absl::StrCat("the result ", type.ToString(),
                       " is larger than any machine's memory"));
  return types;
}

}  // namespace weft::inline v0
