// Which nodes belong to which layer, and which layers are alike.
#ifndef WEFT_GRAPH_DUMP_LAYERS_H_
#define WEFT_GRAPH_DUMP_LAYERS_H_

#include "graph/dump/dump.h"

namespace weft::inline v0 {

// Finds the layers of all stages and fills Dump::layers, DumpUse::layer and
// DumpStage::folds. A layer is a prefix of names of weights and states up to
// their first number ("blk.3"). A node belongs to the layer of its weights or
// states, else to the last one that its operands belong to, else, when it has
// one reader, to that one's.
void FindLayers(Dump& dump);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_LAYERS_H_
