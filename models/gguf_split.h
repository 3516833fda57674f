// Models in several GGUF files, as llama-gguf-split writes them.
//
// Part i (from 1) of n is named PREFIX-0000i-of-0000n.gguf. Each has
// split.no (i - 1), split.count (n) and split.tensors.count (of all parts
// together); the first has the model's metadata, and tensors are in any.
//
// Errors have the form "<source>: <ID>: <what> is <found>; expected <rule>".
//   SPLIT-1  split.count is no count of parts, or not that of the name
//   SPLIT-2  a part is missing (NotFound) or cannot be opened (its own error)
//   SPLIT-3  split.no is missing or not the part's place
//   SPLIT-4  parts differ in split.count or split.tensors.count
//   SPLIT-5  a tensor in two parts (AlreadyExists)
//   SPLIT-6  parts have other tensors together than split.tensors.count
//   SPLIT-7  a part of another model, by its general.* metadata
// InvalidArgument where nothing else is said.
#ifndef WEFT_MODELS_GGUF_SPLIT_H_
#define WEFT_MODELS_GGUF_SPLIT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// How many parts the name says that there are; 1 for a name of no part.
int64_t CountPartsByName(const std::string& path);

// `file`, which was opened at `path`, with the tensors of all parts if it is
// one of several, whichever it is; else as it is. The others are looked for
// beside it and nowhere else. split.count 0 and 1, which tools write into whole
// files, mean that there are no others.
absl::StatusOr<GgufFile> OpenOtherParts(GgufFile file, const std::string& path,
                                        const GgufOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GGUF_SPLIT_H_
