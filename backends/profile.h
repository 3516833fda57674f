// Where the time of a graph's steps goes.
#ifndef WEFT_BACKENDS_PROFILE_H_
#define WEFT_BACKENDS_PROFILE_H_

#include <cstdint>
#include <vector>

namespace weft::inline v0 {

// Of one planned step, summed over the runs; in seconds.
struct StepProfile {
  // By the clock, from the end of the step before.
  double elapsed = 0;
  // In the kernel: of the thread that was busy longest in each run, and of all
  // threads that could take part on average. What `slowest` is longer than
  // `mean` is lost to imbalance, what `elapsed` is longer than `slowest` to
  // waking, waiting and handing out.
  double slowest = 0;
  double mean = 0;
  int64_t split = 0;  // runs that were split over threads
};

// One thread's work on one step, for a trace. In seconds of a steady clock.
struct TraceEvent {
  int step = 0;  // index into BackendPlan::steps
  int thread = 0;
  double begin = 0, end = 0;
};

// Times of complete runs; a run that failed leaves nothing behind but in
// `steps`.
struct Profile {
  int threads = 0;  // of the executable
  int64_t runs = 0;
  double elapsed = 0;              // of all their steps, in seconds
  std::vector<StepProfile> steps;  // as BackendPlan::steps
  // Seconds in the kernel, by step and then by thread: [steps * threads].
  std::vector<double> busy;
  // How many events to keep at most; set before SetProfile(). 0: none.
  int64_t trace_room = 0;
  std::vector<TraceEvent> trace;  // the first of them
};

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_PROFILE_H_
