// Who loads a model says here how its files may be copied, and hears of it.
#ifndef WEFT_MODELS_COPY_WATCH_H_
#define WEFT_MODELS_COPY_WATCH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace weft::inline v0 {

// How far copies of a model's files may go, and who hears of it.
struct CopyLimits {
  const std::atomic<bool>* cancel = nullptr;  // looked at every few MB
  // Called with the share that is copied, from 0 to 1, on the thread that
  // copies; not after a cancellation.
  std::function<void(double)> progress = nullptr;
  int64_t max_bytes = 0;  // that all copies together may take; 0: no limit
};

// One for all files of a model, which are copied into memory one after the
// other. Files that are mapped are no copies. Not thread-safe.
class CopyWatch {
 public:
  // `taken`: bytes of max_bytes that copies of before have.
  explicit CopyWatch(CopyLimits limits, int64_t taken = 0)
      : limits_(std::move(limits)), taken_(taken) {}

  // How many files are to come, which makes each one an equal part of the
  // progress; one where nothing is said.
  void ExpectFiles(int64_t n) { files_ = n; }

  // Before memory is taken for a copy of `name`: ResourceExhausted (FILE-10)
  // where max_bytes has no room for it, Cancelled.
  absl::Status Begin(const std::string& name, uint64_t size);
  // After `bytes` more of it. Cancelled.
  absl::Status Add(uint64_t bytes);

 private:
  CopyLimits limits_;
  int64_t taken_;
  int64_t files_ = 1, before_ = 0;  // files, and those that are done
  uint64_t size_ = 0, done_ = 0;    // of the current one
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_COPY_WATCH_H_
