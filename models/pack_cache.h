// Packed weights in a file, for the next start.
#ifndef WEFT_MODELS_PACK_CACHE_H_
#define WEFT_MODELS_PACK_CACHE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/file_mapping.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// A file of the packed forms (graph/packed.h) of some of a model's tensors.
// Whatever it is found to be, weights that are used have the checksum that they
// were written with, in a file that says that it is this model's; anything else
// is an error, and a reason to write it anew. pack_cache.cc says how it is laid
// out.
class PackCache {
 public:
  // A tensor of the model and its packed form.
  struct Entry {
    const GgufTensor* tensor = nullptr;
    absl::Span<const std::byte> packed;
  };

  // Where the cache of a model lies in `folder`: the name of the model's file
  // and a number that depends on what is in it, not on where it lies.
  // FailedPrecondition for a model that is not read from files that have names.
  static absl::StatusOr<std::string> PathIn(const std::string& folder,
                                            const GgufFile& model);

  // Maps `path` and checks all of it, on up to `threads` threads; `progress`
  // and `cancel` as in PackedWeights::Add. NotFound; InvalidArgument for what
  // is no cache, of another version, or of other files than the model is read
  // from now, by their sizes, times and contents; DataLoss for one that is cut
  // off or damaged; Cancelled; the errors of FileMapping.
  static absl::StatusOr<PackCache> Open(
      const std::string& path, const GgufFile& model, int threads,
      const std::function<void(double)>& progress,
      const std::atomic<bool>* cancel = nullptr);

  // Writes `path` and the folder that it lies in. It appears when it is whole
  // and on the disk: readers see the old file or the new one, and of several
  // writers the last one's stays. The errors of AtomicFile; Cancelled, which
  // leaves the old file: `cancel` is looked at every few MB, but not while the
  // system brings the last of the file to the disk.
  static absl::Status Write(const std::string& path, const GgufFile& model,
                            absl::Span<const Entry> entries,
                            const std::atomic<bool>* cancel = nullptr);

  // Valid as long as the object, wherever it is moved to.
  absl::Span<const Entry> entries() const { return entries_; }

 private:
  PackCache(FileMapping file, std::vector<Entry> entries)
      : file_(std::move(file)), entries_(std::move(entries)) {}

  FileMapping file_;
  std::vector<Entry> entries_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_PACK_CACHE_H_
