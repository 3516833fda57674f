#include "backends/cpu/target_names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/cpu/amx.h"
#include "hwy/highway.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

TargetMask Runnable() {
  TargetMask supported = hwy::SupportedTargets();
#if HWY_ARCH_X86
  // Highway offers ZEN4 to AMD's CPUs alone, because compress-stores are slow
  // there, which we do not use; SPR has all of its instructions.
  if ((supported & HWY_AVX3_SPR) != 0) supported |= HWY_AVX3_ZEN4;
  supported &= HWY_TARGETS;
  if ((supported & HWY_AVX3_ZEN4) != 0 && AmxUsable()) supported |= kAmxTarget;
#endif
  return supported & (HWY_TARGETS | kAmxTarget);
}

// Highway's name, except that the Arm baseline is called what people call it.
std::string NameOf(TargetMask bit) {
  if (bit == kAmxTarget) return "AMX";
  const std::string name = hwy::TargetName(bit);
  return name == "NEON_WITHOUT_AES" ? "NEON" : name;
}

// AMX is no instruction set of its own: the rest is AVX3_ZEN4.
TargetMask WithBase(TargetMask bit) {
#if HWY_ARCH_X86
  if (bit == kAmxTarget) return bit | HWY_AVX3_ZEN4;
#endif
  return bit;
}

}  // namespace

std::vector<std::string> RunnableTargets() {
  std::vector<std::string> names;
  // Lower bits are better targets.
  for (TargetMask rest = Runnable(); rest != 0; rest &= rest - 1)
    names.push_back(NameOf(rest & -rest));
  return names;
}

absl::StatusOr<TargetMask> ParseTarget(absl::string_view name) {
  if (name.empty()) return Runnable();
  for (TargetMask rest = Runnable(); rest != 0; rest &= rest - 1)
    if (absl::EqualsIgnoreCase(NameOf(rest & -rest), name))
      return WithBase(rest & -rest);
  return absl::InvalidArgumentError(
      absl::StrCat("target \"", name, "\" is not available; this machine can "
                   "run ", absl::StrJoin(RunnableTargets(), ", ")));
}

std::string TargetName(TargetMask mask) { return NameOf(mask & -mask); }

}  // namespace cpu
}  // namespace weft::inline v0
