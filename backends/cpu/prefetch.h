// Asking for memory that is read later.
#ifndef WEFT_BACKENDS_CPU_PREFETCH_H_
#define WEFT_BACKENDS_CPU_PREFETCH_H_

#include <cstddef>
#include <cstdint>

namespace weft::inline v0 {
namespace cpu {

// Asks for a line of memory, into L2: into L1 few lines can be on their way at
// a time. Highway has that one alone.
inline __attribute__((always_inline)) void PrefetchL2(const void* line) {
  __builtin_prefetch(line, 0, 2);
}

// Asks for the first line of each page that begins in [from, from + bytes). It
// seems that memory's own prefetchers end with a page of 4 KB, and that what
// reads or asks for the first lines of the next one waits for all of its time.
constexpr size_t kPage = 4096;
inline __attribute__((always_inline)) void AskForPages(const void* from,
                                                       size_t bytes) {
  const auto* at = static_cast<const char*>(from);
  for (size_t to = -reinterpret_cast<uintptr_t>(from) % kPage; to < bytes;
       to += kPage)
    PrefetchL2(at + to);
}

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PREFETCH_H_
