// The record of an op: everything that the framework knows of it.
#ifndef WEFT_GRAPH_OP_H_
#define WEFT_GRAPH_OP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/attr.h"
#include "graph/shape.h"
#include "graph/small_vector.h"

namespace weft::inline v0 {

struct OpDef;
struct HostTensor;  // graph/host_tensor.h
class Value;        // graph/graph.h
class SampleGraph;  // graph/sample.h
using Values = SmallVector<Value, 2>;

// What a shape rule sees: input types and attributes.
struct Call {
  const OpDef& op;
  absl::Span<const TensorType> in;
  const Attrs& attrs;

  // InvalidArgument("<message>") unless `ok`. `message` begins with the
  // constraint's id: "C2: inner dims differ".
  absl::Status Require(bool ok, absl::string_view message) const;
};

// What a scalar reference sees: concrete tensors. Outputs are allocated, with
// their final dims, and zeroed; the output of an op with `writes_state` holds
// the state's current content instead.
struct RefCall {
  const OpDef& op;
  const Attrs& attrs;
  absl::Span<const HostTensor* const> in;
  absl::Span<HostTensor* const> out;
  const SymbolValues& symbols;
};

// What the expansion of a fused op sees: values in the graph to build in.
struct ExpandCall {
  absl::Span<const Value> in;
  const Attrs& attrs;
};

// What the gradient rule of an op sees: the values of one of its nodes, and the
// gradients of its outputs, of their shapes; an output that the loss does not
// read has a default-constructed one. (The first output always has one where
// there is one output.)
struct GradientCall {
  absl::Span<const Value> in;
  absl::Span<const Value> out;
  absl::Span<const Value> grad;
  const Attrs& attrs;
};

// One example of an op's use, built with the DSL; tests run it on every
// backend and target, benchmarks time it, docs list it.
struct Sample {
  std::string name;
  std::function<Values(SampleGraph&)> build;
};

enum class OpKind {  // Where its results come from.
  kCompute,   // the rest
  kInput,     // given by the caller at each step
  kWeight,    // read from the model
  kState,     // kept between steps (KV cache, recurrent state)
  kConstant,  // its data is in the graph
  kAny,       // a placeholder of a rewrite pattern
};

// An op whose output is its input's memory, read with other dims and strides.
enum class ViewKind { kNone, kReshape, kPermute, kSlice };

// Designated initialisers read like a page of the op's documentation. Exactly
// one of `reference` and `expand` is set for kCompute ops.
struct OpDef {
  absl::string_view name;
  // The mathematics, the shapes, and the constraints with their ids (C1, ...).
  absl::string_view doc;
  // Output types from input types: the only shape rule, used by the builder
  // and the verifier. Null for fused ops, whose expansion gives the types.
  absl::StatusOr<TensorTypes> (*infer)(const Call&) = nullptr;
  // Scalar reference: the truth that every kernel is tested against.
  // OutOfRange when an input holds an index outside its table.
  absl::Status (*reference)(const RefCall&) = nullptr;
  // For fused ops: builds, from primitive ops, what the op computes. Its
  // interpretation is the fused op's reference.
  Values (*expand)(const ExpandCall&) = nullptr;
  std::vector<Sample> (*samples)() = nullptr;
  // Builds, with the DSL, the gradients of the inputs, in their order and of
  // their shapes; a default-constructed Value for an input that has none
  // (indices). Null: a loss cannot be differentiated through the op.
  Values (*gradient)(const GradientCall&) = nullptr;

  OpKind kind = OpKind::kCompute;
  ViewKind view = ViewKind::kNone;
  int n_outputs = 1;
  bool commutative = false;  // in its two inputs
  // Output 0 is input 0, a state, with rows written.
  bool writes_state = false;
  // Bit i: output 0 may overwrite input i when that has no later use.
  uint32_t in_place = 0;
  // Largest |kernel - reference| / max(1, max |reference|) over a sample, on
  // inputs of order one; the op's file says why it has its value.
  double tolerance = 1e-5;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_OP_H_
