// Measures what this machine can do at most.
#ifndef WEFT_BACKENDS_CPU_PROBE_H_
#define WEFT_BACKENDS_CPU_PROBE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "backends/cpu/probe_loops.h"
#include "backends/cpu/worker_pool.h"
#include "backends/probe.h"

namespace weft::inline v0 {
namespace cpu {

class CpuProbe : public Probe {
 public:
  static absl::StatusOr<std::unique_ptr<Probe>> Make(TargetMask targets,
                                                     int threads,
                                                     int64_t bytes);

  ReadRate Read() override;
  std::vector<Peak> Peaks() override;

 private:
  struct FreeDeleter {
    void operator()(std::byte* p) const;
  };

  CpuProbe(TargetMask targets, int threads, int64_t bytes)
      : loops_(GetProbeLoops(targets)), pool_(threads), bytes_(bytes) {}
  absl::Status Allocate();
  // Reads all memory once; in seconds.
  double TimeRead(const ReadLoop& loop);
  double OperationsPerSecond(const ArithmeticLoop& loop);

  ProbeLoops loops_;
  WorkerPool pool_;
  int64_t bytes_;
  std::unique_ptr<std::byte[], FreeDeleter> memory_;
  const ReadLoop* best_ = nullptr;  // known after the first Read()
};

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_PROBE_H_
