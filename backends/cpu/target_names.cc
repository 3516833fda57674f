#include "backends/cpu/target_names.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/cpu/extensions.h"
#include "hwy/highway.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// No instruction set of its own: all kernels of `base`, but some products.
struct Extension {
  absl::string_view name;
  TargetMask bit;
  TargetMask base;
  bool (*usable)();
};

constexpr Extension kExtensions[] = {
#if HWY_ARCH_X86
    {"AMX", kAmxTarget, HWY_AVX3_ZEN4, AmxUsable},
    {"AVX2_VNNI", kDotTarget, HWY_AVX2, AvxVnniUsable},
#else
    {"NEON_DOTPROD", kDotTarget, HWY_NEON_WITHOUT_AES, DotProdUsable},
#endif
};

TargetMask LowestBit(TargetMask mask) { return mask & -mask; }

TargetMask Runnable() {
  TargetMask supported = hwy::SupportedTargets();
#if HWY_ARCH_X86
  // Highway offers ZEN4 to AMD's CPUs alone, because compress-stores are slow
  // there, which we do not use; SPR has all of its instructions.
  if ((supported & HWY_AVX3_SPR) != 0) supported |= HWY_AVX3_ZEN4;
#endif
  supported &= HWY_TARGETS;
  for (const Extension& e : kExtensions)
    if ((supported & e.base) != 0 && e.usable()) supported |= e.bit;
  return supported;
}

// Highway's name, except that the Arm baseline is called what people call it.
std::string NameOf(TargetMask bit) {
  const std::string name = hwy::TargetName(bit);
  return name == "NEON_WITHOUT_AES" ? "NEON" : name;
}

// A target that can be asked for by name.
struct Named {
  std::string name;
  TargetMask mask;
};

// Best first: lower bits are better, but for SVE. Its vectors have no size that
// compilers know, so that kernels cannot hold arrays of them and have one sum
// at a time: a CPU that has NEON_BF16 too is faster with that (a block of q4_k
// on Neoverse V2 by llvm-mca, one token and six: 34 and 143 cycles, SVE2_128 73
// and 189).
std::vector<TargetMask> Ranked(TargetMask all) {
  std::vector<TargetMask> ranked;
  const TargetMask best = all & HWY_TARGETS & HWY_NEON_BF16;
  if (best != 0) ranked.push_back(best);
  for (TargetMask rest = all & HWY_TARGETS & ~best; rest != 0; rest &= rest - 1)
    ranked.push_back(LowestBit(rest));
  return ranked;
}

// Extensions are better than their base.
std::vector<Named> NamedTargets(TargetMask all) {
  std::vector<Named> named;
  for (const TargetMask bit : Ranked(all)) {
    for (const Extension& e : kExtensions)
      if (e.base == bit && (all & e.bit) != 0)
        named.push_back({std::string(e.name), bit | e.bit});
    named.push_back({NameOf(bit), bit});
  }
  return named;
}

}  // namespace

std::vector<std::string> RunnableTargets() {
  std::vector<std::string> names;
  for (Named& target : NamedTargets(Runnable()))
    names.push_back(std::move(target.name));
  return names;
}

absl::StatusOr<TargetMask> ParseTarget(absl::string_view name) {
  if (name.empty()) return NamedTargets(Runnable()).front().mask;
  for (const Named& target : NamedTargets(Runnable()))
    if (absl::EqualsIgnoreCase(target.name, name)) return target.mask;
  return absl::InvalidArgumentError(
      absl::StrCat("target \"", name,
                   "\" is not available; this machine can "
                   "run ",
                   absl::StrJoin(RunnableTargets(), ", ")));
}

std::string TargetName(TargetMask mask) {
  return NamedTargets(mask).front().name;
}

}  // namespace cpu
}  // namespace weft::inline v0
