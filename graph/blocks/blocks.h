// The list of block formats that weft decodes. Adding a format is one header
// in this folder and one name in `Blocks`: the dtype table, the scalar
// reference, the kernels and the tests are folds over it.
#ifndef WEFT_GRAPH_BLOCKS_BLOCKS_H_
#define WEFT_GRAPH_BLOCKS_BLOCKS_H_

#include "graph/blocks/plain.h"
#include "graph/blocks/q4_0.h"
#include "graph/blocks/q8_0.h"

namespace weft::inline v0 {

template <class... Ts>
struct TypeList {};

using Blocks = TypeList<BlockF32, BlockF16, BlockBF16, BlockQ4_0, BlockQ8_0>;

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_BLOCKS_BLOCKS_H_
