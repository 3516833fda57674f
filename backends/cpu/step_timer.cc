#include "backends/cpu/step_timer.h"

#include <algorithm>

namespace weft::inline v0 {
namespace cpu {

StepTimer::StepTimer(Profile* profile, size_t steps, int threads)
    : profile_(profile), busy_(static_cast<size_t>(threads)) {
  profile->threads = threads;
  profile->steps.resize(steps);
}

void StepTimer::BeginRun() {
  for (Busy& busy : busy_) busy.seconds = 0;  // of a run that failed
  begin_ = last_ = Clock::now();
}

void StepTimer::EndStep(size_t step, int workers) {
  const Clock::time_point now = Clock::now();
  StepProfile& p = profile_->steps[step];
  const double elapsed = Seconds(last_, now);
  p.elapsed += elapsed;
  last_ = now;
  if (workers == 1) {
    p.slowest += elapsed;
    p.mean += elapsed;
    return;
  }
  double slowest = 0, sum = 0;
  for (Busy& busy : busy_) {
    slowest = std::max(slowest, busy.seconds);
    sum += busy.seconds;
    busy.seconds = 0;
  }
  p.slowest += slowest;
  p.mean += sum / workers;
  ++p.split;
}

void StepTimer::EndRun() {
  profile_->elapsed += Seconds(begin_, last_);
  ++profile_->runs;
}

}  // namespace cpu
}  // namespace weft::inline v0
