// What some CPUs of an instruction set have besides, and Highway has no target
// for. Thread-safe.
#ifndef WEFT_BACKENDS_CPU_EXTENSIONS_H_
#define WEFT_BACKENDS_CPU_EXTENSIONS_H_

#include "backends/cpu/prefetch.h"

namespace weft::inline v0 {
namespace cpu {

// Tile registers of x86 server CPUs (AMX): a unit that multiplies 16 rows of 64
// bytes with 16 columns in one instruction, 8 times as fast as vectors do.
// Whether the CPU has them for int8 and bf16 and the system lets this process
// use them.
// Linux must be asked once (the state is 8 KB, which enlarges signal frames);
// the first call does so.
bool AmxUsable();

// AVX-VNNI: products of four bytes summed in one instruction of 256 bits, on
// x86 CPUs without AVX-512 as well (Alder Lake and later).
bool AvxVnniUsable();

// The same of 128 bits on Arm (FEAT_DotProd, Cortex-A55, A75, Neoverse N1 and
// later); Highway's first target with it wants bf16 too, 2020's CPUs.
bool DotProdUsable();

// KernelArgs::ask_order for this CPU. Decoding reads each weight once, at the
// speed at which its code is unpacked, and memory's own prefetchers may not run
// far enough ahead of that.
//
// AMD: Zen 5 kInOrder. Tokens per second of a Q4_K_M with 1.1 billion
// parameters, two threads: kNever 46, kInOrder 85; one thread's GB/s of q4_k
// 16, 29, of q6_k 16, 31; by turns is slower. Zen 4 kNever: asking costs 5 %.
//
// Intel kByTurns. Memory gives who reads one place, however early it is asked
// for, four fifths of what it gives who reads four. Emerald Rapids, two
// threads, q4_k, q6_k, q8_0 from memory, shares of what plain reads of four
// places give: kNever 0.44, 0.52, 0.74, kInOrder 0.85, 0.86, 0.88, kByTurns
// 0.96, 0.98, 1.0. Others of Intel, and Arm (kNever), were not measured.
AskOrder AskOrderOfCpu();

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_EXTENSIONS_H_
