#include "backends/cpu/step_timer.h"

#include <algorithm>

namespace weft::inline v0 {
namespace cpu {

StepTimer::StepTimer(Profile* profile, size_t steps, int threads)
    : profile_(profile), busy_(static_cast<size_t>(threads)) {
  profile->threads = threads;
  profile->steps.resize(steps);
  profile->busy.resize(steps * busy_.size());
  if (profile->trace_room == 0) return;
  profile->trace.reserve(static_cast<size_t>(profile->trace_room));
  // A step is cut into a few chunks for each thread.
  for (Busy& busy : busy_) busy.events.reserve(16 * steps);
}

void StepTimer::BeginRun() {
  for (Busy& busy : busy_) {  // of a run that failed
    busy.seconds = 0;
    busy.events.clear();
  }
  step_ = 0;
  begin_ = last_ = Clock::now();
}

void StepTimer::EndStep(size_t step, int workers) {
  const Clock::time_point now = Clock::now();
  StepProfile& p = profile_->steps[step];
  const double elapsed = Seconds(last_, now);
  double* const by_thread = &profile_->busy[step * busy_.size()];
  p.elapsed += elapsed;
  step_ = step + 1;
  if (workers == 1) {
    std::vector<TraceEvent>& events = busy_[0].events;
    if (events.size() < events.capacity())
      events.push_back(EventOf(step, 0, last_, now));
    last_ = now;
    by_thread[0] += elapsed;
    p.slowest += elapsed;
    p.mean += elapsed;
    return;
  }
  last_ = now;
  double slowest = 0, sum = 0;
  for (size_t i = 0; i < busy_.size(); ++i) {
    Busy& busy = busy_[i];
    by_thread[i] += busy.seconds;
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
  if (profile_->trace_room > 0) KeepTrace();
}

void StepTimer::KeepTrace() {
  for (Busy& busy : busy_)
    for (const TraceEvent& event : busy.events)
      if (profile_->trace.size() < static_cast<size_t>(profile_->trace_room))
        profile_->trace.push_back(event);
}

}  // namespace cpu
}  // namespace weft::inline v0
