// What some CPUs of an instruction set have besides, and Highway has no target
// for. Thread-safe.
#ifndef WEFT_BACKENDS_CPU_EXTENSIONS_H_
#define WEFT_BACKENDS_CPU_EXTENSIONS_H_

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

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_EXTENSIONS_H_
