#include "models/large_pages.h"

#include <sys/mman.h>

namespace weft::inline v0 {

namespace {

constexpr size_t kPage = size_t{2} << 20;

}  // namespace

size_t LargePageBytes(size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

LargePages AllocateLargePages(size_t bytes) {
  const size_t size = LargePageBytes(bytes);
  void* p = nullptr;
  if (posix_memalign(&p, kPage, size) != 0) return nullptr;
  // Where the system has none, small ones do.
  static_cast<void>(madvise(p, size, MADV_HUGEPAGE));
  return LargePages(static_cast<std::byte*>(p));
}

}  // namespace weft::inline v0
