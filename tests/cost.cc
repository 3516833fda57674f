#include "tests/cost.h"

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <ctime>

#include "gtest/gtest.h"
#include "tests/sanitizer.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 64 << 10;  // whole pages, whatever their size
constexpr unsigned char kUntouched = 0xA5;

double ThreadSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) +
         static_cast<double>(now.tv_nsec) * 1e-9;
}

// A stack whose untouched bytes can be told, above pages that nobody may touch.
class Stack {
 public:
  Stack()
      : pages_(mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (!ok()) return;
    mprotect(pages_, kGuardBytes, PROT_NONE);
    std::fill_n(lowest(), kStackBytes, kUntouched);
  }
  ~Stack() {
    if (ok()) munmap(pages_, kGuardBytes + kStackBytes);
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;

  bool ok() const { return pages_ != MAP_FAILED; }
  unsigned char* lowest() const {
    return static_cast<unsigned char*>(pages_) + kGuardBytes;
  }
  const unsigned char* deepest() const {
    return std::find_if(lowest(), lowest() + kStackBytes,
                        [](unsigned char byte) { return byte != kUntouched; });
  }

 private:
  void* pages_;
};

struct Task {
  absl::FunctionRef<void()> run;
  double seconds = 0;
  const unsigned char* top = nullptr;  // of the stack, as it begins
};

void* RunTask(void* at) {
  Task& task = *static_cast<Task*>(at);
  const unsigned char here = 0;
  task.top = &here;
  const double begin = ThreadSeconds();
  task.run();
  task.seconds = ThreadSeconds() - begin;
  return nullptr;
}

}  // namespace

Cost CostOf(absl::FunctionRef<void()> run) {
  Task task = {.run = run};
  const Stack stack;
  EXPECT_TRUE(stack.ok()) << "no memory for a stack";
  if (!stack.ok()) return {};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (!kSanitized) {
    EXPECT_EQ(pthread_attr_setstack(&attributes, stack.lowest(), kStackBytes),
              0);
  }
  pthread_t thread;
  const int error = pthread_create(&thread, &attributes, RunTask, &task);
  EXPECT_EQ(error, 0);
  if (error == 0) pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  Cost cost = {.seconds = task.seconds, .stack_bytes = 0};
  if (!kSanitized)
    cost.stack_bytes = static_cast<size_t>(task.top - stack.deepest());
  return cost;
}

}  // namespace weft::inline v0
