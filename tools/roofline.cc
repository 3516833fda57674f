#include "tools/roofline.h"

namespace weft::inline v0 {

void SetPeaks(absl::Span<const Peak> peaks, Limits& limits) {
  double& f32 =
      limits.operations_per_second[static_cast<size_t>(Arithmetic::kF32)];
  double& bf16 =
      limits.operations_per_second[static_cast<size_t>(Arithmetic::kBf16)];
  for (const Peak& peak : peaks)
    limits.operations_per_second[static_cast<size_t>(peak.arithmetic)] =
        peak.operations_per_second;
  if (bf16 == 0) bf16 = f32;
}

Shares SharesOf(int64_t bytes, const Work& work, double seconds,
                const Limits& limits) {
  Shares shares;
  if (seconds <= 0) return shares;
  if (limits.bytes_per_second > 0)
    shares.read =
        static_cast<double>(bytes) / limits.bytes_per_second / seconds;
  for (size_t i = 0; i < kNumArithmetics; ++i)
    if (const double peak = limits.operations_per_second[i]; peak > 0)
      shares.arithmetic +=
          static_cast<double>(work.operations[i]) / peak / seconds;
  return shares;
}

}  // namespace weft::inline v0
