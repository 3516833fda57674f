// The order in which the rows of a matrix are written to a GGUF file.
#ifndef WEFT_TOOLS_ROW_ORDER_H_
#define WEFT_TOOLS_ROW_ORDER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// A llama's q and k as they are trained rotate (i, i + n/2) of a head's n rows;
// in GGUF files the two are neighbours, (2i, 2i + 1). All that reads such files
// expects the latter: what comes from safetensors, which weft runs as it lies
// there (`rope.halves` in its metadata), is put in order when it is written.
struct RowOrder {
  int64_t head = 0;     // rows of a head; 0: rows stay where they are
  int64_t rotated = 0;  // the leading rows of a head that change places

  bool moves() const { return head > 0; }
  // Which row of the tensor is row `row` of the file.
  int64_t Source(int64_t row) const {
    const int64_t i = row % head;
    return i < rotated ? row - i + i % 2 * (rotated / 2) + i / 2 : row;
  }
};

// The metadata key that says so, "llama.rope.halves"; what is written has not.
std::string HalvesKey(const GgufFile& file);

// The order for a tensor of the file. InvalidArgument where its rows are no
// whole heads.
absl::StatusOr<RowOrder> RowOrderFor(const GgufFile& file,
                                     const GgufTensor& tensor);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_ROW_ORDER_H_
