// What some CPUs of an instruction set have besides, and Highway has no target
// for. Thread-safe.
#ifndef WEFT_BACKENDS_CPU_EXTENSIONS_H_
#define WEFT_BACKENDS_CPU_EXTENSIONS_H_

#include <cstddef>

namespace weft::inline v0 {
namespace cpu {

// Tile registers of x86 server CPUs (AMX): a unit that multiplies 16 rows of 64
// bytes with 16 columns in one instruction, 8 times as fast as vectors do.
// Whether the CPU has them for int8 and the system lets this process use them.
// Linux must be asked once (the state is 8 KB, which enlarges signal frames);
// the first call does so.
bool AmxUsable();

// AVX-VNNI: products of four bytes summed in one instruction of 256 bits, on
// x86 CPUs without AVX-512 as well (Alder Lake and later).
bool AvxVnniUsable();

// The same of 128 bits on Arm (FEAT_DotProd, Cortex-A55, A75, Neoverse N1 and
// later); Highway's first target with it wants bf16 too, 2020's CPUs.
bool DotProdUsable();

// KernelArgs::ahead for this CPU. Decoding reads each weight once, at the speed
// at which its code is unpacked, and memory's own prefetchers may not run far
// enough ahead of that. Tokens per second of a Q4_K_M with 1.1 billion
// parameters, two threads of Zen 5: without 46, 8 KB ahead 72, 16 KB 85, into
// L2 75; one thread's GB/s of q4_k 16, 26, 29, 27, of q6_k 16, 30, 31, 27. Zen
// 4's do, and asking costs 5 % there. Kernels of packed rows ask for pages so
// far ahead, for lines half as far (matmul-inl.h). 0 on Arm, where it was not
// measured.
size_t OneTokenAhead();

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_EXTENSIONS_H_
