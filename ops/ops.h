// The list of all ops, and the whole DSL in one include.
#ifndef WEFT_OPS_OPS_H_
#define WEFT_OPS_OPS_H_

#include "absl/types/span.h"
#include "graph/graph.h"
#include "ops/alibi.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/experts.h"
#include "ops/gather.h"
#include "ops/loss.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/recurrent.h"
#include "ops/rope.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {

// Every op with a record, primitive ops first, then fused ones. Adding an op is
// its file and its line in ops.cc.
absl::Span<const OpDef* const> AllOps();

// Null when there is none of that name.
const OpDef* FindOp(absl::string_view name);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_OPS_H_
