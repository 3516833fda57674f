// The list of block formats that weft decodes. Adding a format is one header
// in this folder and one name in `Blocks`: the dtype table, the scalar
// reference, the kernels and the tests are folds over it.
//
// Every product in At() is exact in f32: an f16 scale has 11 significant bits,
// the integers that multiply it have 12 together at most, f32 has 24. So fused
// multiply-adds or another order of the factors give the same bits, and At()
// means the same under any flags of the compiler. (q8_k, whose scale is f32,
// has one product and no sum.)
#ifndef WEFT_GRAPH_BLOCKS_BLOCKS_H_
#define WEFT_GRAPH_BLOCKS_BLOCKS_H_

#include "graph/blocks/iq4_nl.h"
#include "graph/blocks/iq4_xs.h"
#include "graph/blocks/mxfp4.h"
#include "graph/blocks/plain.h"
#include "graph/blocks/q2_k.h"
#include "graph/blocks/q3_k.h"
#include "graph/blocks/q4_0.h"
#include "graph/blocks/q4_1.h"
#include "graph/blocks/q4_k.h"
#include "graph/blocks/q5_0.h"
#include "graph/blocks/q5_1.h"
#include "graph/blocks/q5_k.h"
#include "graph/blocks/q6_k.h"
#include "graph/blocks/q8_0.h"
#include "graph/blocks/q8_k.h"

namespace weft::inline v0 {

template <class... Ts>
struct TypeList {};

using Blocks =
    TypeList<BlockF32, BlockF16, BlockBF16, BlockQ4_0, BlockQ4_1, BlockQ5_0,
             BlockQ5_1, BlockQ8_0, BlockQ2_K, BlockQ3_K, BlockQ4_K, BlockQ5_K,
             BlockQ6_K, BlockQ8_K, BlockIQ4_NL, BlockIQ4_XS, BlockMXFP4>;

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_BLOCKS_H_
