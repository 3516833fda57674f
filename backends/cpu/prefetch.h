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

// How one token, which reads each weight once, asks memory for what it reads
// next. A few tokens ask by turns too, where that is said, and in order
// otherwise.
enum class AskOrder : uint8_t {
  kNever,    // memory's own prefetchers keep up, or it was not measured
  kInOrder,  // as it will be read, and earlier for the first line of each page
  kByTurns,  // for lines of four pages by turns: see LineByTurns()
};

// The line to ask for while `line` is read: one of the next 16 KB, whose pages
// are read side by side. Line n of a block stands for line n / 4 of page n % 4.
// (Emerald Rapids, q4_k, q6_k and q8_0 from memory, this being 1: two pages, of
// q4_k, 0.87, four parts of 2 KB 0.9, eight pages 0.95; into L2 0.97; all lines
// of a group at once 0.93.)
inline __attribute__((always_inline)) const void* LineByTurns(
    const void* line) {
  constexpr uintptr_t kBlock = 4 * kPage;
  const auto at = reinterpret_cast<uintptr_t>(line);
  return reinterpret_cast<const void*>((at & ~(kBlock - 1)) + kBlock +
                                       (at << 6 & (kBlock - kPage)) +
                                       (at >> 2 & (kPage - 64)));
}

// Four lines together. LineByTurns() of the lines of the quad, at a multiple of
// kQuad, that holds `at`: the result, and the same place in each of the next
// three pages.
constexpr size_t kQuad = 4 * 64;
inline __attribute__((always_inline)) const void* LinesByTurns(const void* at) {
  return LineByTurns(reinterpret_cast<const void*>(
      reinterpret_cast<uintptr_t>(at) & ~(kQuad - 1)));
}
// Whether [at, at + bytes), at most kQuad, holds the last byte of a quad. Of a
// stream that is read in parts of any sizes, one part does of each quad: that of
// `at`.
inline __attribute__((always_inline)) bool EndsQuad(const void* at,
                                                    size_t bytes) {
  return reinterpret_cast<uintptr_t>(at) % kQuad + bytes >= kQuad;
}

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PREFETCH_H_
