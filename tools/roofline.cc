#include "tools/roofline.h"

namespace weft::inline v0 {

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
