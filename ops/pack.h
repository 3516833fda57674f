// The pass that packs weights for kernels.
#ifndef WEFT_OPS_PACK_H_
#define WEFT_OPS_PACK_H_

#include "graph/passes.h"

namespace weft::inline v0 {

// Gives the weights of matrix products their packed type (graph/packed.h),
// where they have one and a multiple of 16 rows. Other readers of a weight,
// such as gathers from the table of tokens, keep its rows. Lossless: results
// keep their bits, but that of `halves`, f16 and bf16 weights, which are packed
// only if it says so, sums are added up in another order, and with f16 of 16
// bits of activations. Whoever binds the graph hands their packed bytes to the
// backend.
Pass PackWeights(bool halves = false);

// Bytes of the weights of a graph that are packed.
int64_t PackedBytes(const Graph& graph);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_PACK_H_
