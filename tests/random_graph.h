// Seeded random graphs: chains and diamonds, views of views, in-place ops, ops
// of several results, states, outputs that are views.
#ifndef WEFT_TESTS_RANDOM_GRAPH_H_
#define WEFT_TESTS_RANDOM_GRAPH_H_

#include <cstdint>
#include <memory>

#include "graph/sample.h"

namespace weft::inline v0 {

// A sound graph of about `n_ops` ops over T tokens, at most 6. The same seed
// gives the same graph.
std::shared_ptr<SampleGraph> RandomGraph(uint64_t seed, int n_ops);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_RANDOM_GRAPH_H_
