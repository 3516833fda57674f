// Copies of a model's weights in the form that kernels want.
#ifndef WEFT_MODELS_PACKED_WEIGHTS_H_
#define WEFT_MODELS_PACKED_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// Packed forms (graph/packed.h) of tensors, made once and kept for as long as
// the object, in memory that asks for large pages: a mapped file has small
// ones, which cost a third of the bandwidth. Thread-safe.
class PackedWeights {
 public:
  struct Source {
    DType type;     // of the rows as they are stored
    int64_t n = 0;  // rows, a multiple of kPackedRows
    absl::Span<const std::byte> rows;
  };

  // Packs those of the tensors that are not packed yet, with up to `threads`
  // threads (0: one per core), and gives back the memory of their pages where
  // they are of the mapping of `file`. ResourceExhausted when memory cannot be
  // had; nothing is kept then. `progress`, unless it is null, is called with
  // the share that is done.
  absl::Status Add(absl::Span<const Source> sources, int threads,
                   const GgufFile& file,
                   const std::function<void(double)>& progress);
  // The packed form of the tensor whose rows lie there; empty: it has none.
  absl::Span<const std::byte> Find(absl::Span<const std::byte> rows) const;

 private:
  struct Free {
    void operator()(std::byte* p) const;
  };
  using Memory = std::unique_ptr<std::byte[], Free>;

  mutable std::mutex mutex_;
  std::vector<Memory> memory_;
  // By the first byte of a tensor's rows.
  std::map<const std::byte*, absl::Span<const std::byte>> packed_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_PACKED_WEIGHTS_H_
