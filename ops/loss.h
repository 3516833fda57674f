// Losses: what training makes small.
#ifndef WEFT_OPS_LOSS_H_
#define WEFT_OPS_LOSS_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kCrossEntropy, kCrossEntropyGradient;

// The mean over rows of -log softmax(logits)[target], in nats: logits f32[...,
// n], targets i32[...] -> f32[1]. Rows with a target below 0 do not count; 0
// when none counts. At run time, OutOfRange for a target of n or more.
Value CrossEntropy(Value logits, Value targets,
                   Where at = std::source_location::current());
// Its gradient with respect to the logits, times g f32[1].
Value CrossEntropyGradient(Value logits, Value targets, Value g,
                           Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_LOSS_H_
