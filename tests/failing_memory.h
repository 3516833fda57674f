// Memory that is counted and can be made to fail, on any thread. Included by
// one file of a program that is linked with ld's --wrap (weft_failing_memory in
// CMakeLists.txt): what is linked into the program (all of weft, Abseil and
// PCRE2 where they are archives) gets the functions of malloc's family, mmap
// and the start of threads from here, and everyone, libstdc++ too, the
// operators.
//
// What the C library takes for itself is not seen.
#ifndef WEFT_TESTS_FAILING_MEMORY_H_
#define WEFT_TESTS_FAILING_MEMORY_H_

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace weft::inline v0 {

// Counts of the process.
struct MemoryCounts {
  std::atomic<long> asked = 0;      // so often was something taken
  std::atomic<long> fails_at = -1;  // the value of `asked` that gets nothing
  std::atomic<long> live = 0;       // pieces of memory
  std::atomic<long> mapped = 0;     // bytes
};
inline constinit MemoryCounts memory_counts;

// While it lives, this thread's allocations are neither counted nor fail: what
// a test prepares, and is not the library's.
class Unlimited {
 public:
  Unlimited() : before_(std::exchange(on, true)) {}
  ~Unlimited() { on = before_; }
  Unlimited(const Unlimited&) = delete;
  Unlimited& operator=(const Unlimited&) = delete;

  static inline constinit thread_local bool on = false;

 private:
  bool before_;
};

// Whether whoever asks now gets something.
inline bool Grants() {
  return Unlimited::on ||
         memory_counts.asked.fetch_add(1) != memory_counts.fails_at.load();
}

inline void* Counted(void* at) {
  if (at != nullptr) ++memory_counts.live;
  return at;
}

inline long WholePages(size_t bytes) {
  constexpr size_t kPage = 4096;
  return static_cast<long>((bytes + kPage - 1) / kPage * kPage);
}

}  // namespace weft::inline v0

// The names are the linker's.
extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* at, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void** at, size_t alignment, size_t size);
void __real_free(void* at);
void* __real_mmap(void* at, size_t size, int protection, int flags, int fd,
                  off_t offset);
int __real_munmap(void* at, size_t size);

void* __wrap_malloc(size_t size) {
  return weft::Grants() ? weft::Counted(__real_malloc(size)) : nullptr;
}
void* __wrap_calloc(size_t count, size_t size) {
  return weft::Grants() ? weft::Counted(__real_calloc(count, size)) : nullptr;
}
void* __wrap_realloc(void* at, size_t size) {
  if (!weft::Grants()) return nullptr;
  void* const to = __real_realloc(at, size);
  return at == nullptr ? weft::Counted(to) : to;
}
void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  return weft::Grants() ? weft::Counted(__real_aligned_alloc(alignment, size))
                        : nullptr;
}
int __wrap_posix_memalign(void** at, size_t alignment, size_t size) {
  if (!weft::Grants()) return ENOMEM;
  const int failed = __real_posix_memalign(at, alignment, size);
  if (failed == 0) weft::Counted(*at);
  return failed;
}
void __wrap_free(void* at) {
  if (at != nullptr) --weft::memory_counts.live;
  __real_free(at);
}
void* __wrap_mmap(void* at, size_t size, int protection, int flags, int fd,
                  off_t offset) {
  if (!weft::Grants()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  void* const to = __real_mmap(at, size, protection, flags, fd, offset);
  // What is fixed lies in what was counted.
  if (to != MAP_FAILED && (flags & MAP_FIXED) == 0)
    weft::memory_counts.mapped += weft::WholePages(size);
  return to;
}
int __wrap_munmap(void* at, size_t size) {
  weft::memory_counts.mapped -= weft::WholePages(size);
  return __real_munmap(at, size);
}

// std::thread::_M_start_thread of libstdc++.
using ThreadState = std::unique_ptr<std::thread::_State>;
void __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* thread, ThreadState state, void (*depend)());
void __wrap__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
    std::thread* thread, ThreadState state, void (*depend)()) {
  if (!weft::Grants())
    throw std::system_error(
        std::make_error_code(std::errc::resource_unavailable_try_again));
  __real__ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE(
      thread, std::move(state), depend);
}
}

namespace weft::inline v0 {

inline void* OrThrow(void* at) {
  if (at == nullptr) throw std::bad_alloc();
  return at;
}

inline void* AllocatePlain(size_t size) {
  return std::malloc(std::max<size_t>(size, 1));
}

// Not inlined: a compiler that sees memory of `new` go to free() warns.
[[gnu::noinline]] inline void Free(void* at) { std::free(at); }

inline void* AllocateAligned(size_t size, std::align_val_t alignment) {
  const auto step = std::max(static_cast<size_t>(alignment), sizeof(void*));
  // aligned_alloc wants whole multiples.
  const size_t rounded = (std::max<size_t>(size, 1) + step - 1) / step * step;
  return std::aligned_alloc(step, rounded);
}

}  // namespace weft::inline v0

void* operator new(size_t size) {
  return weft::OrThrow(weft::AllocatePlain(size));
}
void* operator new[](size_t size) {
  return weft::OrThrow(weft::AllocatePlain(size));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return weft::AllocatePlain(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return weft::AllocatePlain(size);
}
void* operator new(size_t size, std::align_val_t to) {
  return weft::OrThrow(weft::AllocateAligned(size, to));
}
void* operator new[](size_t size, std::align_val_t to) {
  return weft::OrThrow(weft::AllocateAligned(size, to));
}
void* operator new(size_t size, std::align_val_t to,
                   const std::nothrow_t&) noexcept {
  return weft::AllocateAligned(size, to);
}
void* operator new[](size_t size, std::align_val_t to,
                     const std::nothrow_t&) noexcept {
  return weft::AllocateAligned(size, to);
}
void operator delete(void* at) noexcept { weft::Free(at); }
void operator delete[](void* at) noexcept { weft::Free(at); }
void operator delete(void* at, const std::nothrow_t&) noexcept {
  weft::Free(at);
}
void operator delete[](void* at, const std::nothrow_t&) noexcept {
  weft::Free(at);
}
void operator delete(void* at, size_t) noexcept { weft::Free(at); }
void operator delete[](void* at, size_t) noexcept { weft::Free(at); }
void operator delete(void* at, std::align_val_t) noexcept { weft::Free(at); }
void operator delete[](void* at, std::align_val_t) noexcept { weft::Free(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept {
  weft::Free(at);
}
void operator delete[](void* at, size_t, std::align_val_t) noexcept {
  weft::Free(at);
}

#endif  // WEFT_TESTS_FAILING_MEMORY_H_
