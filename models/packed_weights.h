// Copies of a model's weights in the form that kernels want.
#ifndef WEFT_MODELS_PACKED_WEIGHTS_H_
#define WEFT_MODELS_PACKED_WEIGHTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/gguf.h"
#include "models/large_pages.h"
#include "models/pack_cache.h"

namespace weft::inline v0 {

// Packed forms (graph/packed.h) of tensors, made once and kept for as long as
// the object: in memory that asks for large pages, since small ones cost a
// third of the bandwidth, or in the mapping of a cache file. Thread-safe.
class PackedWeights {
 public:
  struct Source {  // Where rows come from.
    DType type;     // of the rows as they are stored
    int64_t n = 0;  // rows, a multiple of kPackedRows
    absl::Span<const std::byte> rows;
  };
  struct Options {  // How they are packed.
    int threads = 0;           // at most; 0: one per core
    std::string cache_folder;  // of the cache file; "": none
    // Unless it is null, called with the share that is done; not after a
    // cancellation.
    std::function<void(double)> progress;
    const std::atomic<bool>* cancel = nullptr;  // looked at every few MB
    // Bytes that the session which asks may take, itself and the packed forms
    // that are made for it; 0: no limit. And what it takes by itself.
    int64_t max_bytes = 0;
    int64_t session_bytes = 0;
  };

  // Memory that the packed forms of all of them take, in bytes.
  static int64_t BytesFor(absl::Span<const Source> sources);

  // Packs those of the tensors that are not packed yet, and gives back the
  // memory of their pages where they are of the mapping of `model`.
  // ResourceExhausted when memory cannot be had or max_bytes has no room for
  // it, Cancelled: nothing is kept then, but for packed forms that are whole
  // when writing the cache is cancelled. With a cache, those that it has are
  // mapped instead, and where one was lacking the file is written anew; what
  // goes wrong with that is in cache_status(). Of several callers one at a time
  // packs; the others wait, and look at their own `cancel` meanwhile.
  absl::Status Add(absl::Span<const Source> sources, const GgufFile& model,
                   const Options& options);
  // The packed form of the tensor whose rows lie there; empty: it has none.
  absl::Span<const std::byte> Find(absl::Span<const std::byte> rows) const;
  // What became of the cache that was last asked for.
  absl::Status cache_status() const;

 private:
  // Tensors by the first byte of their rows.
  using Rows = std::map<const std::byte*, Source>;
  static size_t PackedSize(const Rows& rows);

  absl::StatusOr<std::unique_lock<std::mutex>> Lock(
      const Options& options) const;
  absl::Status OpenCache(const GgufFile& model, const Options& options);
  absl::Status AddToMemory(absl::Span<const Source> sources,
                           const GgufFile& model, const Options& options);
  // Unless all of the sources are in the cache.
  absl::Status WriteCache(absl::Span<const Source> sources,
                          const GgufFile& model, const Options& options);

  mutable std::mutex mutex_;
  std::vector<LargePages> memory_;
  std::vector<PackCache> mapped_;
  // By the first byte of a tensor's rows.
  std::map<const std::byte*, absl::Span<const std::byte>> packed_;
  std::string cache_folder_;             // that was last asked for
  std::string cache_path_;               // "": none
  std::set<const std::byte*> in_cache_;  // of packed_
  absl::Status cache_status_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_PACKED_WEIGHTS_H_
