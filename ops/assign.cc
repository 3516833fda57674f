// The writer of whole states: parameters and what an optimiser remembers.
#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {

const OpDef kAssign = {
    .name = "assign",
    .doc =
        "The state with x as its content.\n"
        "state f32[...], x f32[...] -> the state\n"
        "x may depend on what the state held before.\n"
        "C1: the operands are f32.\n"
        "C2: they have one shape.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
      WEFT_RETURN_IF_ERROR(call.Require(
          call.in[0].shape == call.in[1].shape,
          absl::StrCat("C2: a state of shape ", call.in[0].shape.ToString(),
                       ", x of ", call.in[1].shape.ToString())));
      return TensorTypes{call.in[0]};
    },
    .reference =
        [](const RefCall& call) {
          call.out[0]->bytes = call.in[1]->bytes;
          return absl::OkStatus();
        },
    .samples = []() -> std::vector<Sample> {
      return {{"whole",
               [](SampleGraph& g) -> Values {
                 const Value s = g.State(DType::kF32, {1, 5, 33});
                 return {Assign(s, g.Normal({1, 5, 33}))};
               }},
              // What the state was, doubled at each step.
              {"update", [](SampleGraph& g) -> Values {
                 const Value s = g.State(DType::kF32, {2, 17});
                 return {Assign(s, Scale(s, 2) + g.Normal({2, 17}))};
               }}};
    },
    .writes_state = true,
    .tolerance = 0,  // it moves bytes
};

Value Assign(Value state, Value x, Where at) {
  return EmitNode(kAssign, {state, x}, {}, at);
}

}  // namespace weft::inline v0
