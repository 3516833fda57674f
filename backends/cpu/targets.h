// Which instruction sets are compiled. Include before any Highway header.
#ifndef WEFT_BACKENDS_CPU_TARGETS_H_
#define WEFT_BACKENDS_CPU_TARGETS_H_

// x86: SSE2 (what every x86-64 has, the portable baseline), AVX2, AVX3, AVX3_DL
// (VNNI) and AVX3_ZEN4 (BF16, on Intel as well) are kept. SSSE3 and SSE4 serve
// CPUs from before 2013; AVX3_SPR adds only FP16 arithmetic, which we don't use.
// Arm: NEON without AES is the baseline and computes what NEON does; SVE2 adds
// nothing to SVE that we use, while the fixed lengths 128 and 256 do.
// Each target left out saves its share of build time and code size.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3_SPR | HWY_NEON | HWY_SVE2)
#endif

#endif  // WEFT_BACKENDS_CPU_TARGETS_H_
