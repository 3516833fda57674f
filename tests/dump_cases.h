// Models and names that tests of dumps share.
#ifndef WEFT_TESTS_DUMP_CASES_H_
#define WEFT_TESTS_DUMP_CASES_H_

#include <string>

#include "graph/dump/dump.h"
#include "graph/graph.h"
#include "ops/optimize.h"
#include "tests/llama_graph.h"

namespace weft::inline v0 {

// A llama of so many layers, optimized, with all stages, rules, the plan of
// this machine's CPU and a made-up profile.
Dump WholeDump(const LlamaGraphOptions& options, Numerics numerics);

// Every byte there is, and what UTF-8 and the formats reserve.
std::string NastyName();

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_DUMP_CASES_H_
