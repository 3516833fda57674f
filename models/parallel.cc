#include "models/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "graph/cancel.h"

namespace weft::inline v0 {

int ThreadCount(int threads_flag) {
  if (threads_flag > 0) return threads_flag;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

bool ParallelFor(int threads, int64_t n, absl::FunctionRef<void(int64_t)> f,
                 const std::function<void(double)>& progress,
                 const std::atomic<bool>* cancel) {
  std::atomic<int64_t> next{0}, done{0};
  const auto work = [&](bool tells) {
    for (int64_t i = next++; i < n && !IsSet(cancel); i = next++) {
      f(i);
      const int64_t now = ++done;
      if (tells) progress(static_cast<double>(now) / static_cast<double>(n));
    }
  };
  std::vector<std::jthread> others;  // joined whatever is thrown
  const int64_t wanted = std::min<int64_t>(threads, n) - 1;
  try {
    for (int64_t i = 0; i < wanted; ++i) others.emplace_back(work, false);
  } catch (const std::system_error&) {
    // No more threads to have: those that there are do all of it.
  }
  work(progress != nullptr);
  others.clear();  // joins them
  return done == n;
}

}  // namespace weft::inline v0
