// Fills a Profile while steps run.
#ifndef WEFT_BACKENDS_CPU_STEP_TIMER_H_
#define WEFT_BACKENDS_CPU_STEP_TIMER_H_

#include <chrono>
#include <cstddef>
#include <vector>

#include "backends/profile.h"

namespace weft::inline v0 {
namespace cpu {

// BeginRun, EndStep for each step in order, EndRun: from the thread that calls
// Run(). Chunk from any worker, between two of these.
class StepTimer {
 public:
  // Sets the sizes of `profile`, which outlives this.
  StepTimer(Profile* profile, size_t steps, int threads);

  void BeginRun();
  // `workers` is 1 for a step that ran on the calling thread; its chunks need
  // not be reported then.
  void EndStep(size_t step, int workers);
  void EndRun();

  // Calls f() and counts the time for this worker.
  template <class F>
  void Chunk(int worker, const F& f) {
    const Clock::time_point start = Clock::now();
    f();
    const Clock::time_point end = Clock::now();
    Busy& busy = busy_[static_cast<size_t>(worker)];
    busy.seconds += Seconds(start, end);
    if (busy.events.size() < busy.events.capacity())
      busy.events.push_back(EventOf(step_, worker, start, end));
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double Seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  static TraceEvent EventOf(size_t step, int worker, Clock::time_point begin,
                            Clock::time_point end) {
    return {static_cast<int>(step), worker, Seconds(Clock::time_point(), begin),
            Seconds(Clock::time_point(), end)};
  }
  void KeepTrace();

  // On a cache line of its own: workers write theirs at the same time.
  struct alignas(64) Busy {
    double seconds = 0;
    std::vector<TraceEvent> events;  // of this run, as many as there is room
  };

  Profile* profile_;
  std::vector<Busy> busy_;  // by worker, in this step
  size_t step_ = 0;         // that runs; set between steps, read by workers
  Clock::time_point begin_, last_;
};

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_STEP_TIMER_H_
