// Parameters and their optimiser, as values of the graph.
#ifndef WEFT_OPS_OPTIMIZER_H_
#define WEFT_OPS_OPTIMIZER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// What a step changes: a state f32[1, shape...] of that name (one slot, so that
// Executable::SaveSlot and LoadSlot move it), and what it holds when the step
// begins, f32[shape...], for the model to read.
struct Parameter {
  Value state;
  Value value;
};
// Zero at first; load the states before the first step.
Parameter MakeParameter(Graph& graph, absl::string_view name, Shape shape,
                        Where at = std::source_location::current());

struct AdamWOptions {  // Rates of AdamW.
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  // Of matrices; vectors (norms, biases) do not decay.
  double weight_decay = 0.1;
  // The gradient is scaled down to this global norm; 0: never.
  double clip_norm = 1;
  // Runs of the graph whose gradients make one step, the mean of all: a batch
  // that memory does not hold at once.
  int64_t accumulate = 1;
};

// AdamW (Loshchilov & Hutter 2017, arXiv:1711.05101) as part of the graph of
// `loss`: the gradient of every parameter, its moments as the states
// "adamw.m.NAME" and "adamw.v.NAME", the number of steps as "adamw.steps", and
// the parameters' new content. Reads the input "learning_rate" f32[1] and
// makes the output "gradient_norm" f32[1], the global norm before clipping.
//
// With `accumulate` > 1 it reads the input "apply" f32[1] too, which is 1 in
// every accumulate-th run and 0 in the others: these add to the states
// "adamw.g.NAME" and leave everything else as it is, bit for bit. The norm is
// then that of what was added so far.
//
// InvalidArgument for accumulate < 1; the errors of Gradient().
absl::Status AddAdamW(Value loss, absl::Span<const Parameter> parameters,
                      const AdamWOptions& options = {});

extern const OpDef kAdamW;

// What kAdamW takes: parameter, moments and gradient of one shape, then numbers
// f32[1].
struct AdamWStep {
  Value p, m, v, g;
  Value rate;
  Value factor;  // of the gradient
  Value step;    // 1, 2, ...
  Value apply;   // 0: the results are p, m, v
};
// {p, m, v} after the step; of the options the betas, eps and weight_decay.
Values AdamW(const AdamWStep& step, const AdamWOptions& options,
             Where at = std::source_location::current());

// A rate that grows from 0 in a straight line for `warm_up` steps and then
// falls along half a cosine to `low` at the last step.
struct RateSchedule {
  double peak = 1e-3;
  double low = 1e-4;
  int64_t warm_up = 0;
  int64_t steps = 1;
};
// Of step 0, 1, ...; `low` from the last step on.
double RateAt(const RateSchedule& schedule, int64_t step);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_OPTIMIZER_H_
