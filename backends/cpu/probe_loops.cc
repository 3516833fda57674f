// Loops that do one thing as fast as a core can: read memory, or multiply and
// add in registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/probe_loops.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <iterator>
#include <numeric>

#include "backends/cpu/half-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/probe_loops.h"
#include "backends/cpu/quant/tiles-inl.h"
#include "hwy/cache_control.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// ---- Reading ----

// Eight vectors a round, in named variables because SVE's cannot stand in
// arrays. kStreams parts of the range are read side by side: some prefetchers
// follow several streams better than one. kAhead > 0: prefetches that many
// bytes ahead.
template <int kStreams, int kAhead>
uint64_t ReadAll(const std::byte* p, int64_t bytes) {
  const hn::ScalableTag<uint64_t> d;
  constexpr int64_t kPerStream = 8 / kStreams;
  const int64_t vector = static_cast<int64_t>(hn::Lanes(d) * sizeof(uint64_t));
  const int64_t length = bytes / kStreams;
  // Where vector j of a round lies, from the first.
  const auto at = [=](int64_t j) {
    return j / kPerStream * length + j % kPerStream * vector;
  };
  const auto load = [d](const std::byte* from) HWY_ATTR {
    return hn::Load(d, reinterpret_cast<const uint64_t*>(from));
  };
  const int64_t o1 = at(1), o2 = at(2), o3 = at(3), o4 = at(4), o5 = at(5),
                o6 = at(6), o7 = at(7);
  auto v0 = hn::Zero(d), v1 = v0, v2 = v0, v3 = v0, v4 = v0, v5 = v0, v6 = v0,
       v7 = v0;
  for (const std::byte* const end = p + length; p != end;
       p += kPerStream * vector) {
    if constexpr (kAhead > 0)
      for (int64_t s = 0; s < kStreams; ++s)
        for (int64_t line = 0; line < kPerStream * vector; line += 64)
          hwy::Prefetch(p + s * length + line + kAhead);
    v0 = hn::Xor(v0, load(p));
    v1 = hn::Xor(v1, load(p + o1));
    v2 = hn::Xor(v2, load(p + o2));
    v3 = hn::Xor(v3, load(p + o3));
    v4 = hn::Xor(v4, load(p + o4));
    v5 = hn::Xor(v5, load(p + o5));
    v6 = hn::Xor(v6, load(p + o6));
    v7 = hn::Xor(v7, load(p + o7));
  }
  v0 = hn::Xor(hn::Xor(hn::Xor(v0, v1), hn::Xor(v2, v3)),
               hn::Xor(hn::Xor(v4, v5), hn::Xor(v6, v7)));
  HWY_ALIGN uint64_t lanes[hn::MaxLanes(d)];
  hn::Store(v0, d, lanes);
  uint64_t all = 0;
  for (size_t i = 0; i < hn::Lanes(d); ++i) all ^= lanes[i];
  return all;
}

// ---- Arithmetic ----

// Enough independent sums to fill the pipes: two to four pipes of latency 4 to
// 5. Where there are 16 registers, 12 leave room for the operands.
#if HWY_ARCH_ARM || HWY_TARGET <= HWY_AVX3
constexpr int kChains = 16;
#else
constexpr int kChains = 12;
#endif

// From here on the compiler knows nothing of what the register holds, so that
// it can neither take arithmetic on it out of a loop nor do it once for all.
template <class V>
HWY_INLINE void Forget(V& v) {
#if HWY_ARCH_X86
  asm volatile("" : "+v"(v.raw));
#elif HWY_TARGET_IS_SVE
  asm volatile("" : "+w"(v));
#elif HWY_ARCH_ARM
  asm volatile("" : "+w"(v.raw));
#else
  asm volatile("" : "+m"(v));
#endif
}

template <class D>
HWY_INLINE hn::Vec<D> Ones(D d) {
  auto ones = hn::Set(d, hn::TFromD<D>{1});
  Forget(ones);
  return ones;
}

template <class F, class V, class... Operands>
HWY_INLINE void Next(const F& f, V& sum, Operands&... operands) {
  sum = f(sum, operands...);
  Forget(sum);
}

// sum = f(sum, operands...) for each of kChains sums, `rounds` times; the sum
// of all lanes. clang does not let lambdas capture SVE's vectors.
template <class D, class F, class... Operands>
HWY_INLINE double RunChains(D d, int64_t rounds, const F& f, Operands&... o) {
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0,
       a7 = a0, a8 = a0, a9 = a0, a10 = a0, a11 = a0, a12 = a0, a13 = a0,
       a14 = a0, a15 = a0;
  for (int64_t i = 0; i < rounds; ++i) {
    Next(f, a0, o...), Next(f, a1, o...), Next(f, a2, o...), Next(f, a3, o...);
    Next(f, a4, o...), Next(f, a5, o...), Next(f, a6, o...), Next(f, a7, o...);
    Next(f, a8, o...), Next(f, a9, o...), Next(f, a10, o...);
    Next(f, a11, o...);
    if constexpr (kChains == 16) {
      Next(f, a12, o...), Next(f, a13, o...), Next(f, a14, o...);
      Next(f, a15, o...);
    }
  }
  const auto sum = [d](const auto& v) HWY_ATTR {
    return static_cast<double>(hn::ReduceSum(d, v));
  };
  return sum(a0) + sum(a1) + sum(a2) + sum(a3) + sum(a4) + sum(a5) + sum(a6) +
         sum(a7) + sum(a8) + sum(a9) + sum(a10) + sum(a11) + sum(a12) +
         sum(a13) + sum(a14) + sum(a15);
}

using DF = hn::ScalableTag<float>;
using DI32 = hn::ScalableTag<int32_t>;
using DI16 = hn::Repartition<int16_t, DI32>;
using DI8 = hn::Repartition<int8_t, DI32>;
using DU8 = hn::Repartition<uint8_t, DI32>;

double FmaF32(int64_t rounds) {
  const DF d;
  const auto one = Ones(d);
  const auto f = [](auto sum, auto& x) HWY_ATTR {
    // Without a fused instruction x * x could be taken out of the loop.
    return HWY_NATIVE_FMA ? hn::MulAdd(x, x, sum) : hn::MulAdd(sum, x, x);
  };
  return RunChains(d, rounds, f, one);
}

[[maybe_unused]] double DotBF16(int64_t rounds) {
  const hn::Repartition<hwy::bfloat16_t, DF> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto one = hn::BitCast(d, hn::Set(du, uint16_t{0x3F80}));
  const auto f = [](auto sum, auto& x) HWY_ATTR {
    auto unused = hn::Zero(DF());
    return hn::ReorderWidenMulAccumulate(DF(), x, x, sum, unused);
  };
  return RunChains(DF(), rounds, f, one);
}

// The best that the instruction set has for whole numbers of 8 bits.
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
constexpr char kInt8Name[] = "u8 x i8 dot product into i32";
constexpr int kProductsPerLane = 4;

double DotInt8(int64_t rounds) {
  const auto u = Ones(DU8());
  const auto s = Ones(DI8());
  const auto f = [](auto sum, auto& a, auto& b) HWY_ATTR {
    return hn::SumOfMulQuadAccumulate(DI32(), a, b, sum);
  };
  return RunChains(DI32(), rounds, f, u, s);
}
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
constexpr char kInt8Name[] = "u8 x i8 pairs into i16, eight of them into i32";
constexpr int kProductsPerLane = 8 * 4;

// 8 sums of two products of 15 * 127 fit 16 bits, so kernels can do no better.
double DotInt8(int64_t rounds) {
  const auto u = Ones(DU8());
  const auto ones = Ones(DI16());
  auto s = Ones(DI8());
  const auto f = [](auto sum, auto& a, auto& b, auto& one) HWY_ATTR {
    Forget(b);
    auto pairs = hn::SatWidenMulPairwiseAdd(DI16(), a, b);
    HWY_UNROLL(7) for (int i = 1; i < 8; ++i) {
      Forget(b);
      pairs = hn::Add(pairs, hn::SatWidenMulPairwiseAdd(DI16(), a, b));
    }
    return hn::Add(sum, hn::WidenMulPairwiseAdd(DI32(), pairs, one));
  };
  return RunChains(DI32(), rounds, f, u, s, ones);
}
#elif HWY_TARGET_IS_SVE || HWY_TARGET == HWY_NEON_BF16
constexpr char kInt8Name[] = "i8 x i8 dot product into i32";
constexpr int kProductsPerLane = 4;

double DotInt8(int64_t rounds) {
  const auto s = Ones(DI8());
  const auto f = [](auto sum, auto& a) HWY_ATTR {
#if HWY_TARGET_IS_SVE
    return hn::SumOfMulQuadAccumulate(DI32(), a, a, sum);
#else
    // Highway 1.2 does not use the instruction on NEON.
    return hn::Vec<DI32>(vdotq_s32(sum.raw, a.raw, a.raw));
#endif
  };
  return RunChains(DI32(), rounds, f, s);
}
#elif HWY_TARGET_IS_NEON
constexpr char kInt8Name[] = "i8 x i8 into i16, two of them into i32";
constexpr int kProductsPerLane = 4;

double DotInt8(int64_t rounds) {
  auto s = Ones(DI8());
  const auto f = [](auto sum, auto& a) HWY_ATTR {
    Forget(a);
    const int8x8_t half = vget_low_s8(a.raw);
    const int16x8_t pairs = vmlal_high_s8(vmull_s8(half, half), a.raw, a.raw);
    return hn::Vec<DI32>(vpadalq_s16(sum.raw, pairs));
  };
  return RunChains(DI32(), rounds, f, s);
}
#else
constexpr char kInt8Name[] = "i16 x i16 pairs into i32";
constexpr int kProductsPerLane = 2;

double DotInt8(int64_t rounds) {
  auto s = Ones(DI16());
  const auto f = [](auto sum, auto& a) HWY_ATTR {
    Forget(a);
    return hn::Add(sum, hn::WidenMulPairwiseAdd(DI32(), a, a));
  };
  return RunChains(DI32(), rounds, f, s);
}
#endif

// All factors are 1, so that a round adds the number of its products.
ArithmeticLoop Loop(Arithmetic arithmetic, const char* name,
                    double (*run)(int64_t), int64_t products) {
  return {arithmetic,
          name,
          2.0 * static_cast<double>(products),
          run,
          static_cast<double>(products),
          false};
}

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

// Four results: an instruction of each begins before the one before has ended.
template <class Result, class Multiply>
double RunTiles(int64_t rounds, uint16_t ones, const Multiply& multiply) {
  alignas(64) uint16_t factors[kTileRows][32];
  for (auto& row : factors) std::fill(std::begin(row), std::end(row), ones);
  TileConfig(2 * kTileRows, sizeof(factors[0])).Load();
  ZeroTile<0>(), ZeroTile<1>(), ZeroTile<2>(), ZeroTile<3>();
  LoadTile<4>(factors, sizeof(factors[0]));
  LoadTile<5>(factors, sizeof(factors[0]));
  LoadTile<6>(factors, sizeof(factors[0]));
  LoadTile<7>(factors, sizeof(factors[0]));
  for (int64_t i = 0; i < rounds; ++i) multiply();
  alignas(64) Result results[4][kTileRows][16];
  StoreTile<0>(results[0], sizeof(results[0][0]));
  StoreTile<1>(results[1], sizeof(results[0][0]));
  StoreTile<2>(results[2], sizeof(results[0][0]));
  StoreTile<3>(results[3], sizeof(results[0][0]));
  ReleaseTiles();
  double sum = 0;
  for (const auto& tile : results)
    for (const auto& row : tile) sum = std::accumulate(row, row + 16, sum);
  return sum;
}

double TilesOfBF16(int64_t rounds) {
  return RunTiles<float>(rounds, 0x3F80, [] {
    MultiplyBF16<0, 4, 6>(), MultiplyBF16<1, 4, 7>();
    MultiplyBF16<2, 5, 6>(), MultiplyBF16<3, 5, 7>();
  });
}

double TilesOfInt8(int64_t rounds) {
  return RunTiles<int32_t>(rounds, 0x0101, [] {
    MultiplySigned<0, 4, 6>(), MultiplySigned<1, 4, 7>();
    MultiplySigned<2, 5, 6>(), MultiplySigned<3, 5, 7>();
  });
}

void AddTiles(TargetMask targets, ProbeLoops& loops) {
  if ((targets & kAmxTarget) == 0) return;
  constexpr int64_t kResults = 4 * kTileRows * 16;
  loops.arithmetic.push_back(Loop(Arithmetic::kBf16,
                                  "bf16 pairs into f32, on tile registers",
                                  TilesOfBF16, kResults * 32));
  loops.arithmetic.back().tiles = true;
  loops.arithmetic.push_back(Loop(Arithmetic::kInt8,
                                  "i8 x i8 into i32, on tile registers",
                                  TilesOfInt8, kResults * 64));
  loops.arithmetic.back().tiles = true;
}

#else

void AddTiles(TargetMask, ProbeLoops&) {}

#endif

ProbeLoops Loops(TargetMask targets) {
  ProbeLoops loops;
  loops.read = {{"1 stream", ReadAll<1, 0>},
                {"1 stream, prefetch 4 KiB ahead", ReadAll<1, 4096>},
                {"4 streams", ReadAll<4, 0>},
                {"4 streams, prefetch 2 KiB ahead", ReadAll<4, 2048>}};
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(DF()));
  loops.arithmetic.push_back(
      Loop(Arithmetic::kF32, "f32 multiply-add", FmaF32, kChains * lanes));
  if constexpr (kHasBF16Dot)
    loops.arithmetic.push_back(Loop(Arithmetic::kBf16,
                                    "bf16 pairs dot product into f32", DotBF16,
                                    kChains * lanes * 2));
  loops.arithmetic.push_back(Loop(Arithmetic::kInt8, kInt8Name, DotInt8,
                                  kChains * lanes * kProductsPerLane));
  AddTiles(targets, loops);
  return loops;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(Loops);
ProbeLoops GetProbeLoops(TargetMask targets) {
  return PickTarget(HWY_DISPATCH_TABLE(Loops), targets)(targets);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
