// What this machine and this program are, for reports of measurements.
#ifndef WEFT_TOOLS_MACHINE_H_
#define WEFT_TOOLS_MACHINE_H_

#include <cstdint>
#include <string>

namespace weft::inline v0 {

struct Machine {
  std::string cpu;       // "AMD EPYC 9355", as the system calls it
  int cores = 0;         // that this process may run on
  int64_t memory = 0;    // bytes that programs can still take; 0: not known
  std::string system;    // "Linux 6.1.0 x86_64"
  std::string compiler;  // of this program: "g++ 12.2.0"
};

Machine DescribeMachine();

// Whether programs can take so many bytes and a quarter more, for whatever else
// runs.
bool HasRoomFor(int64_t bytes);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_MACHINE_H_
