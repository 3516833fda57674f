#ifndef WEFT_TOOLS_STOPWATCH_H_
#define WEFT_TOOLS_STOPWATCH_H_

#include <chrono>

namespace weft::inline v0 {

// Seconds since it was made.
class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_STOPWATCH_H_
