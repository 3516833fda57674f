// Why fusions took place or did not, for people.
#ifndef WEFT_GRAPH_DUMP_EXPLAIN_H_
#define WEFT_GRAPH_DUMP_EXPLAIN_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "graph/dump/dump.h"

namespace weft::inline v0 {

// A line for each rule with how many of its anchors matched; below it the
// misses, those of one line of the model for one reason together: the reason
// with the nodes by name, and what would make it match. Of one rule only when
// `rule` is not empty.
std::string Explain(const Dump& dump, absl::string_view rule = "");

// What should not be in a graph that runs, a sentence each: rules that matched
// another number of times than the model says, weights that are decoded as a
// whole, steps without a kernel. The last stage must be the graph that runs.
std::vector<std::string> Complaints(const Dump& dump);

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_EXPLAIN_H_
