// Marks of what is kept for the backward pass, and what computing again begins
// with.
#include "absl/strings/str_cat.h"
#include "graph/packed.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/gradient.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferSame(const Call& call) {
  WEFT_RETURN_IF_ERROR(call.Require(
      Info(call.in[0].dtype).block_values == 1 && !IsPacked(call.in[0].dtype),
      absl::StrCat("C1: operand 0 is ", Name(call.in[0].dtype),
                   ", whose blocks hold more than one value")));
  return OneType(call.in[0].dtype, call.in[0].shape);
}

absl::StatusOr<TensorTypes> InferAfter(const Call& call) {
  return OneType(call.in[0].dtype, call.in[0].shape);
}

absl::Status CopyReference(const RefCall& call) {
  call.out[0]->bytes = call.in[0]->bytes;
  return absl::OkStatus();
}

}  // namespace

const OpDef kCheckpoint = {
    .name = "checkpoint",
    .doc =
        "y = x, kept for the backward pass (see Checkpoint()).\n"
        "C1: blocks of x's dtype hold one value.",
    .infer = InferSame,
    .reference = CopyReference,
    .samples = []() -> std::vector<Sample> {
      return {{"rows",
               [](SampleGraph& g) -> Values {
                 return {Checkpoint(g.Normal({Dim::Symbol("T", 5), 17}))};
               }},
              {"ids", [](SampleGraph& g) -> Values {
                 return {Checkpoint(g.Ids({3, 5}, 100))};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values { return {c.grad[0]}; },
    .view = ViewKind::kReshape,
    .tolerance = 0,  // it moves bytes
};

const OpDef kAfter = {
    .name = "after",
    .doc =
        "y = x, not before `after` is computed: what the backward pass "
        "computes again reads it, so that it is not computed too early, nor "
        "taken for what was computed before.\n"
        "x [...], after [...] -> as x",
    .infer = InferAfter,
    .reference = CopyReference,
    .samples = []() -> std::vector<Sample> {
      return {{"rows",
               [](SampleGraph& g) -> Values {
                 const Value x = g.Normal({Dim::Symbol("T", 5), 17});
                 return {After(x, g.Normal({3}))};
               }},
              {"ids", [](SampleGraph& g) -> Values {
                 const Value x = g.Ids({3, 5}, 100);
                 return {After(x, g.Normal({1}))};
               }}};
    },
    .view = ViewKind::kReshape,
    .tolerance = 0,  // it moves bytes
};

Value Checkpoint(Value x, Where at) {
  return EmitNode(kCheckpoint, {x}, {}, at);
}

Value After(Value x, Value after, Where at) {
  return EmitNode(kAfter, {x, after}, {}, at);
}

}  // namespace weft::inline v0
