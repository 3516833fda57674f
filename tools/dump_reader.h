// Dumps that were written as JSON.
#ifndef WEFT_TOOLS_DUMP_READER_H_
#define WEFT_TOOLS_DUMP_READER_H_

#include <string>

#include "absl/status/statusor.h"
#include "graph/dump/dump.h"

namespace weft::inline v0 {

// The graphs of a file of graph-dump --format=json: nodes, stages and rules,
// without plan and profiles. InvalidArgument naming the file and what is wrong.
absl::StatusOr<Dump> ReadDump(const std::string& path);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DUMP_READER_H_
