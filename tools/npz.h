// Arrays for NumPy: numpy.load("x.npz")["name"].
#ifndef WEFT_TOOLS_NPZ_H_
#define WEFT_TOOLS_NPZ_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/host_tensor.h"
#include "models/atomic_file.h"

namespace weft::inline v0 {

// The .npy form (version 1.0, numpy.lib.format) of a tensor: f32, f16 and i32
// as they are, other formats decoded to f32.
std::string NpyBytes(const HostTensor& tensor);

// A .npz: a zip archive (PKWARE's APPNOTE) of .npy files, stored as they are.
// It appears under its name at Finish(). Errors of AtomicFile;
// ResourceExhausted beyond 4 GiB or 65,535 arrays, all that the format's plain
// form can hold.
class NpzWriter {
 public:
  static absl::StatusOr<NpzWriter> Create(const std::string& path);

  absl::Status Add(absl::string_view name, const HostTensor& tensor);
  absl::Status Finish();

 private:
  explicit NpzWriter(AtomicFile file) : file_(std::move(file)) {}

  AtomicFile file_;
  std::string directory_;  // what comes behind all files
  uint64_t offset_ = 0;
  int64_t count_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_NPZ_H_
