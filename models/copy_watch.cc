#include "models/copy_watch.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/cancel.h"

namespace weft::inline v0 {

absl::Status CopyWatch::Begin(const std::string& name, uint64_t size) {
  if (limits_.max_bytes > 0) {
    const int64_t room = std::max<int64_t>(0, limits_.max_bytes - taken_);
    if (size > static_cast<uint64_t>(room))
      return absl::ResourceExhaustedError(absl::StrCat(
          name, ": FILE-10: its size is ", size, "; expected at most the ",
          room, " bytes that are left of max_bytes = ", limits_.max_bytes,
          " for copies of files in memory"));
  }
  taken_ += static_cast<int64_t>(size);
  size_ = size;
  done_ = 0;
  return CheckCancel(limits_.cancel);
}

absl::Status CopyWatch::Add(uint64_t bytes) {
  done_ += bytes;
  const auto before = static_cast<double>(before_);
  if (done_ == size_) ++before_;
  if (limits_.progress && !IsSet(limits_.cancel)) {
    const double part = static_cast<double>(done_) / static_cast<double>(size_);
    limits_.progress((before + part) /
                     static_cast<double>(std::max(files_, before_)));
  }
  return CheckCancel(limits_.cancel);
}

}  // namespace weft::inline v0
