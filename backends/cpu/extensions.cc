#include "backends/cpu/extensions.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdint>

namespace weft::inline v0 {
namespace cpu {
namespace {

#if defined(__x86_64__) && defined(__linux__)

bool CpuHasAmx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kOsXsave = 1u << 27;
  if ((c & kOsXsave) == 0) return false;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kBF16 = 1u << 22, kTile = 1u << 24, kInt8 = 1u << 25;
  constexpr unsigned kAll = kBF16 | kTile | kInt8;
  return (d & kAll) == kAll;
}

// Whether the kernel saves tiles when it switches threads.
bool SystemSavesTiles() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t kConfig = 1u << 17, kData = 1u << 18;
  return (low & kConfig) != 0 && (low & kData) != 0;
}

bool RequestPermission() {
  // From the kernel's documentation of "dynamic features" (x86/xstate).
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool AskForAmx() {
  return CpuHasAmx() && SystemSavesTiles() && RequestPermission();
}

#else

bool AskForAmx() { return false; }

#endif

#if defined(__x86_64__)

bool IsMadeBy(unsigned ebx, unsigned ecx, unsigned edx) {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0, &a, &b, &c, &d) != 0 && b == ebx && c == ecx &&
         d == edx;
}

bool IsIntel() {
  return IsMadeBy(signature_INTEL_ebx, signature_INTEL_ecx,
                  signature_INTEL_edx);
}

// Family 19h with AVX-512; Zen 3, of the same family, has none.
bool IsZen4() {
  if (!IsMadeBy(signature_AMD_ebx, signature_AMD_ecx, signature_AMD_edx))
    return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const unsigned family = (a >> 8 & 0xf) + (a >> 20 & 0xff);
  if (family != 0x19 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0)
    return false;
  constexpr unsigned kAvx512F = 1u << 16;
  return (b & kAvx512F) != 0;
}

#endif

}  // namespace

bool AmxUsable() {
  static const bool usable = AskForAmx();
  return usable;
}

bool AvxVnniUsable() {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kAvxVnni = 1u << 4;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
#else
  return false;
#endif
}

bool DotProdUsable() {
#if defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kHwcapAsimdDp = 1ul << 20;
  return (getauxval(AT_HWCAP) & kHwcapAsimdDp) != 0;
#elif defined(__aarch64__) && defined(__APPLE__)
  return true;  // every Apple CPU that runs 64-bit macOS
#else
  return false;
#endif
}

AskOrder AskOrderOfCpu() {
#if defined(__x86_64__)
  if (IsIntel()) return AskOrder::kByTurns;
  return IsZen4() ? AskOrder::kNever : AskOrder::kInOrder;
#else
  return AskOrder::kNever;
#endif
}

}  // namespace cpu
}  // namespace weft::inline v0
