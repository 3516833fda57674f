// Tile registers of x86 server CPUs (AMX): a unit that multiplies 16 rows of 64
// bytes with 16 columns in one instruction, 8 times as fast as vectors do.
#ifndef WEFT_BACKENDS_CPU_AMX_H_
#define WEFT_BACKENDS_CPU_AMX_H_

namespace weft::inline v0 {
namespace cpu {

// Whether the CPU has AMX for int8 and the system lets this process use it.
// Linux must be asked once (the state is 8 KB, which enlarges signal frames);
// the first call does so. Thread-safe.
bool AmxUsable();

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_AMX_H_
