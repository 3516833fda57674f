// What a host program may supply: threads and memory of its own.
#ifndef WEFT_BACKENDS_HOST_H_
#define WEFT_BACKENDS_HOST_H_

#include <cstddef>

namespace weft::inline v0 {

// Runs work on the host's threads instead of threads of weft's own.
class HostExecutor {
 public:
  virtual ~HostExecutor() = default;

  // Calls task(context, i) once for each i in [0, count), on any threads, at
  // once or one after another, and returns when all calls have returned. Called
  // once or more for each node of a step that is worth splitting, so it should
  // take microseconds; `count` is at most BackendOptions::threads. The task
  // does not throw and does not wait for other tasks. Executables that share an
  // executor call it from as many threads as they are run on.
  virtual void Run(int count, void (*task)(void* context, int i),
                   void* context) = 0;
};

// Where the memory of executables (activations, caches, scratch) comes from.
// Both functions may be called from any thread that makes or destroys one.
struct HostMemory {
  // `bytes` above 0, aligned to `alignment` (a power of two); null when there
  // are none. Need not be zeroed. Null: the C library's.
  void* (*allocate)(void* user, size_t bytes, size_t alignment) = nullptr;
  void (*release)(void* user, void* memory, size_t bytes) = nullptr;
  void* user = nullptr;
};

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_HOST_H_
