// Limits of the machine that a backend runs on, measured.
#ifndef WEFT_BACKENDS_PROBE_H_
#define WEFT_BACKENDS_PROBE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "ops/work.h"

namespace weft::inline v0 {

struct ReadRate {  // How fast memory is read.
  double bytes_per_second = 0;
  std::string loop;  // the form of loop that reached it
};

struct Peak {  // What arithmetic can reach.
  Arithmetic arithmetic = Arithmetic::kF32;
  double operations_per_second = 0;  // 2 for each multiply-add
  std::string loop;                  // what was done: "u8 x i8 dot product"
  bool tiles = false;                // on tile registers (AMX), not on vectors
};

// Measures with the threads and the instruction set of its backend. Each call
// takes a few tenths of a second and reports the best of several tries, since
// other programs can only slow one down. Not thread-safe.
class Probe {
 public:
  virtual ~Probe() = default;

  // Reads all of the probe's memory. The first call tries every form of loop,
  // later ones that which was best: so that the rate can be taken again, next
  // to what is compared with it. Some machines' rates change within minutes.
  virtual ReadRate Read() = 0;

  // Arithmetic on registers, of each kind that the instruction set has
  // instructions for; those on tile registers come last.
  virtual std::vector<Peak> Peaks() = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_PROBE_H_
