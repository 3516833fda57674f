// Integer products of panels with 8-bit activations on tile registers (AMX).
// Per-target code, for targets with 16 lanes of 32 bits.
//
// The same definition as in dot-inl.h, and the same bits. A tile instruction
// sums over 64 columns at once. Formats with integer scales are multiplied with
// them first: scale * (code - bias) has 16 bits, whose low and high bytes are
// two operands; their products are exact, and a group needs two results of 16
// tokens x 16 rows. Formats with floats as scales need a result of each
// sub-block, and tiles of 32 columns.
//
// A unit is what four result tiles hold. The tile registers work while vectors
// turn the unit before into floats; what limits is the slower of the two (on
// Sapphire Rapids 16 cycles for each instruction on tiles; 16 for storing each
// result).
#if defined(WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/quant/matmul-inl.h"

// CPUs with AMX have all of AVX3_DL.
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// With fewer tokens vectors are as fast: the planes of a panel do not pay.
constexpr int64_t kLeastAmxTokens = 40;
constexpr int kTileRows = 16;

// ---- Instructions. Assembly, because no compiler flag of the target allows
// the intrinsics. ----

// The shapes of tile registers: 0..3 are results, 4 and 5 activations, 6 and 7
// weights.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // `tokens0` in the results 0, 1 and activations 4; `tokens1` in 2, 3 and 5;
  // instructions sum over `columns`.
  TileConfig(int tokens0, int tokens1, int columns) {
    for (const int i : {0, 1, 2, 3}) row_bytes[i] = 64;
    for (const int i : {4, 5}) row_bytes[i] = static_cast<uint16_t>(columns);
    for (const int i : {0, 1, 4}) rows[i] = static_cast<uint8_t>(tokens0);
    for (const int i : {2, 3, 5}) rows[i] = static_cast<uint8_t>(tokens1);
    for (const int i : {6, 7}) {
      row_bytes[i] = 64;
      rows[i] = static_cast<uint8_t>(columns / 4);
    }
  }
  void Load() const { asm volatile("ldtilecfg %0" : : "m"(*this)); }
};
static_assert(sizeof(TileConfig) == 64);

HWY_INLINE void ReleaseTiles() { asm volatile("tilerelease"); }

template <int kTile>
HWY_INLINE void ZeroTile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
HWY_INLINE void LoadTile(const void* from, size_t stride) {
  asm volatile("tileloadd (%1,%2,1), %%tmm%c0"
               :
               : "i"(kTile), "r"(from), "r"(stride)
               : "memory");
}
template <int kTile>
HWY_INLINE void StoreTile(void* to, size_t stride) {
  asm volatile("tilestored %%tmm%c0, (%1,%2,1)"
               :
               : "i"(kTile), "r"(to), "r"(stride)
               : "memory");
}
// kOut += signed bytes of kX times unsigned ones of kW, by fours.
template <int kOut, int kX, int kW>
HWY_INLINE void MultiplyUnsigned() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(kOut), "i"(kX), "i"(kW));
}
template <int kOut, int kX, int kW>
HWY_INLINE void MultiplySigned() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(kOut), "i"(kX), "i"(kW));
}

// ---- Panels ----

// Formats with integer scales: codes times scales, low and high bytes.
template <class C>
struct alignas(64) AmxPanel {
  uint8_t low[kGroupSize / 4][4 * kLanes];
  uint8_t high[kGroupSize / 4][4 * kLanes];
  Panel<C> panel;

  HWY_INLINE void Prepare() {
    const DI di;
    const DU du;
    constexpr int kSteps = C::kSub / 4;
    const VU bytes = hn::Set(du, 0x00FF00FFu);
    const auto bias = hn::Set(DI16(), static_cast<int16_t>(kBias<C>));
    for (int j = 0; j < Panel<C>::kSubs; ++j) {
      const VI scale = hn::Load(di, panel.scales[j]);
      const auto twice =
          hn::BitCast(DI16(), hn::Or(hn::And(scale, hn::Set(di, 0xFFFF)),
                                     hn::ShiftLeft<16>(scale)));
      const auto Scaled = [&](VU codes) HWY_ATTR {
        auto c = hn::BitCast(DI16(), hn::And(codes, bytes));
        if (kBias<C> != 0) c = hn::Sub(c, bias);
        return hn::BitCast(du, hn::Mul(c, twice));
      };
      for (int i = j * kSteps; i < (j + 1) * kSteps; ++i) {
        const VU codes = hn::BitCast(du, hn::Load(DU8(), panel.codes[i]));
        const VU even = Scaled(codes), odd = Scaled(hn::ShiftRight<8>(codes));
        StoreCodes(
            hn::Or(hn::And(even, bytes), hn::ShiftLeft<8>(hn::And(odd, bytes))),
            low[i]);
        StoreCodes(hn::Or(hn::And(hn::ShiftRight<8>(even), bytes),
                          hn::AndNot(bytes, odd)),
                   high[i]);
      }
    }
  }
};

// Formats with floats as scales: codes as signed bytes, without their bias.
template <class C>
  requires(C::kScales == Scales::kFloat)
struct alignas(64) AmxPanel<C> {
  Panel<C> panel;

  HWY_INLINE void Prepare() {
    if constexpr (kBias<C> != 0) {
      const auto bias = hn::Set(DU8(), static_cast<uint8_t>(kBias<C>));
      for (auto& codes : panel.codes)
        hn::Store(hn::Sub(hn::Load(DU8(), codes), bias), DU8(), codes);
    }
  }
};

// ---- Units ----

// Rows whose sums are kept until they go to the result: a row of the result is
// often in a page of its own, which 256 bytes are worth visiting for.
constexpr int64_t kAmxRows = 64;

template <class C>
constexpr bool kPlanes = C::kScales == Scales::kInteger;

// Results of a unit, and its tokens.
template <class C>
constexpr int kUnitTiles = kPlanes<C> ? 4 : kGroupSize / C::kSub;
template <class C>
constexpr int kUnitTokens = kPlanes<C> ? 2 * kTileRows : kTileRows;
using TileResult = int32_t[kTileRows][kLanes];

// One panel, one group, some tokens.
template <class C>
struct AmxUnit {
  const AmxPanel<C>* panel;
  const Activations<C>* x;  // of the first token
  size_t x_stride;          // bytes
  int tokens;
  int subs;
  bool first;  // y holds nothing yet
  float* y;    // [tokens][kAmxRows]
  TileResult* results;

  HWY_INLINE const Activations<C>& Token(int t) const {
    return *reinterpret_cast<const Activations<C>*>(
        reinterpret_cast<const uint8_t*>(x) +
        static_cast<size_t>(t) * x_stride);
  }
};

// A unit's tile instructions come in kUnitSteps steps, and between them goes
// the vectors' work for the unit before: out of order execution does not reach
// from one end of a unit to the other.
constexpr int kUnitSteps = 4;

// 64 columns: four products of two token tiles and two planes.
template <class C>
HWY_INLINE void MultiplyPlanes(const AmxUnit<C>& u, int step) {
  const AmxPanel<C>& p = *u.panel;
  const int8_t* x = u.x->q + 64 * step;
  // A second tile of tokens that does not exist reads the first one.
  const size_t second = u.tokens > kTileRows ? kTileRows * u.x_stride : 0;
  if (step == 0) ZeroTile<0>(), ZeroTile<1>(), ZeroTile<2>(), ZeroTile<3>();
  LoadTile<4>(x, u.x_stride);
  LoadTile<6>(p.low[16 * step], 64);
  MultiplyUnsigned<0, 4, 6>();
  LoadTile<7>(p.high[16 * step], 64);
  MultiplySigned<1, 4, 7>();
  LoadTile<5>(x + second, u.x_stride);
  MultiplyUnsigned<2, 5, 6>();
  MultiplySigned<3, 5, 7>();
  if (step == kUnitSteps - 1) {
    StoreTile<0>(u.results[0], 64), StoreTile<1>(u.results[1], 64);
    StoreTile<2>(u.results[2], 64), StoreTile<3>(u.results[3], 64);
  }
}

// Two sub-blocks, each with its own result.
template <class C>
HWY_INLINE void MultiplySubs(const AmxUnit<C>& u, int step) {
  constexpr int kSteps = C::kSub / 4;
  static_assert(kUnitTiles<C> == 2 * kUnitSteps);
  const int j = 2 * step;
  if (j >= u.subs) return;
  ZeroTile<0>(), ZeroTile<1>();
  LoadTile<4>(u.x->q + j * C::kSub, u.x_stride);
  LoadTile<6>(u.panel->panel.codes[j * kSteps], 64);
  MultiplySigned<0, 4, 6>();
  StoreTile<0>(u.results[j], 64);
  if (j + 1 >= u.subs) return;
  LoadTile<5>(u.x->q + (j + 1) * C::kSub, u.x_stride);
  LoadTile<7>(u.panel->panel.codes[(j + 1) * kSteps], 64);
  MultiplySigned<1, 5, 7>();
  StoreTile<1>(u.results[j + 1], 64);
}

// What FinishTokens needs of a panel, in registers: it writes memory that the
// compiler could take for the panel.
template <class C>
struct PanelFactors {
  static constexpr int kPairs =
      C::kMins == Mins::kPaired ? Panel<C>::kSubs / 2 : 0;
  static constexpr int kSubs = kPlanes<C> ? 0 : Panel<C>::kSubs;
  VI min_pairs[kPairs + 1];
  VF32 scales[kSubs + 1], mins[kSubs + 1];

  explicit HWY_INLINE PanelFactors(const Panel<C>& p) {
    const DF32 df;
    HWY_UNROLL(8)
    for (int j = 0; j < kPairs; ++j)
      min_pairs[j] = hn::Load(DI(), p.min_pairs[j]);
    if constexpr (kPlanes<C>) {
      scales[0] = hn::Load(df, p.d);
      if constexpr (kPairs != 0) mins[0] = hn::Load(df, p.mins[0]);
    } else {
      HWY_UNROLL(8)
      for (int j = 0; j < kSubs; ++j) scales[j] = hn::Load(df, p.scales[j]);
      if constexpr (C::kMins == Mins::kFloat) HWY_UNROLL(8)
      for (int j = 0; j < kSubs; ++j) mins[j] = hn::Load(df, p.mins[j]);
    }
  }

  // The sums of sub-blocks 2j and 2j + 1 in every lane.
  static HWY_INLINE hn::Vec<DI16> SumPair(const Activations<C>& x, int j) {
    int32_t pair;
    std::memcpy(&pair, SumsOf<C>(x) + 2 * j, sizeof(pair));
    return hn::BitCast(DI16(), hn::Set(DI(), pair));
  }

  // y of a token after this group; its results are row `row` of those from
  // `from` on.
  HWY_INLINE VF32 Add(VF32 y, const TileResult* from, int row,
                      [[maybe_unused]] int subs,
                      const Activations<C>& x) const {
    const DF32 df;
    const DI di;
    [[maybe_unused]] VF32 part = hn::Zero(df);
    if constexpr (kPairs != 0) {
      VI even = hn::Zero(di), odd = even;
      HWY_UNROLL(8)
      for (int j = 0; j < kPairs; ++j)
        even = hn::ReorderWidenMulAccumulate(
            di, hn::BitCast(DI16(), min_pairs[j]), SumPair(x, j), even, odd);
      part = hn::Mul(hn::ConvertTo(df, hn::Add(even, odd)), mins[0]);
    }
    if constexpr (kPlanes<C>) {
      const VI sum = hn::Add(hn::Load(di, from[0][row]),
                             hn::ShiftLeft<8>(hn::Load(di, from[1][row])));
      part = hn::MulSub(hn::ConvertTo(df, sum), scales[0], part);
      return hn::MulAdd(part, hn::Set(df, x.d), y);
    } else {
      HWY_UNROLL(8) for (int j = 0; j < kSubs; ++j) {
        if (j == subs) break;
        const VF32 d = hn::Mul(scales[j], hn::Set(df, x.d[j]));
        y = hn::MulAdd(hn::ConvertTo(df, hn::Load(di, from[j][row])), d, y);
        if constexpr (C::kMins == Mins::kFloat)
          y = hn::NegMulAdd(
              mins[j],
              hn::Set(df, x.d[j] * static_cast<float>(SumsOf<C>(x)[j])), y);
      }
      return y;
    }
  }
};

// Adds the results of a unit's tokens [begin, end), all of one tile, to y.
template <class C>
HWY_INLINE void FinishTokens(const AmxUnit<C>& u, int begin, int end) {
  const DF32 df;
  end = std::min(end, u.tokens);
  if (begin >= end) return;
  const TileResult* from = u.results + begin / kTileRows * 2;
  const PanelFactors<C> panel(u.panel->panel);
  for (int t = begin; t < end; ++t) {
    float* y = u.y + t * kAmxRows;
    const VF32 before = u.first ? hn::Zero(df) : hn::Load(df, y);
    hn::Store(panel.Add(before, from, t % kTileRows, u.subs, u.Token(t)), df,
              y);
  }
}

// `now` on tile registers while `before` ends on vectors.
template <class C>
HWY_INLINE void RunUnit(const AmxUnit<C>& now, const AmxUnit<C>& before) {
  constexpr int kTokens = kUnitTokens<C> / kUnitSteps;
  HWY_UNROLL(4) for (int step = 0; step < kUnitSteps; ++step) {
    if constexpr (kPlanes<C>) {
      MultiplyPlanes(now, step);
    } else {
      MultiplySubs(now, step);
    }
    FinishTokens(before, step * kTokens, (step + 1) * kTokens);
  }
}

// Two panels (and all else) stay in L1 while tokens pass by from L2: 950 GOP/s
// of one thread, four only 820. Where all tokens do not fit into L2, four read
// them half as often: 755 against 640.
constexpr int64_t kActivationsInCache = 1536 * 1024;

template <class C>
struct AmxScratch {
  alignas(64) float y[kTokenChunk][kAmxRows];
  alignas(64) uint8_t rows[kLanes * kGroupBytes<C>];
  AmxPanel<C> panels[kAmxRows / kLanes];
  // Two of each: of the unit at work and the one before.
  alignas(64) TileResult results[2][kUnitTiles<C>];
};

// Group g of `rows` rows from `row` on, tokens [first, first + count), to
// column `at` of the scratch's y. Panels take turns, so that all but the first
// find the tokens in L1.
template <class C>
HWY_NOINLINE void MultiplyGroup(const MatMulArgs& m, int64_t row, int64_t rows,
                                int64_t at, int g, int64_t first, int64_t count,
                                AmxScratch<C>& s) {
  const auto panels = static_cast<int>((rows + kLanes - 1) / kLanes);
  for (int r = 0; r < panels; ++r) {
    UnpackPanel<C>(m, row + r * kLanes, g, s.rows, s.panels[r].panel);
    s.panels[r].Prepare();
  }
  AmxUnit<C> before{}, now{};
  now.x_stride = static_cast<size_t>(m.x->Row(1) - m.x->Row(0));
  now.subs = SubsOf<C>(m, g);
  now.first = g == 0;
  int turn = 0;
  for (int64_t t = 0; t < count; t += kUnitTokens<C>) {
    now.tokens = static_cast<int>(std::min<int64_t>(kUnitTokens<C>, count - t));
    if (t == 0 || now.tokens < kUnitTokens<C>) {
      const int tokens0 = std::min(now.tokens, kTileRows);
      TileConfig(tokens0,
                 kPlanes<C> ? std::max(1, now.tokens - kTileRows) : tokens0,
                 kPlanes<C> ? 64 : C::kSub)
          .Load();
    }
    now.x = m.x->template RowAs<const Activations<C>>(first + t) + g;
    for (int r = 0; r < panels; ++r, turn ^= 1) {
      now.panel = &s.panels[r];
      now.y = &s.y[t][at + r * kLanes];
      now.results = s.results[turn];
      RunUnit(now, before);
      before = now;
    }
  }
  for (int t = 0; t < before.tokens; t += kTileRows)
    FinishTokens(before, t, t + kTileRows);
}

template <class C>
void QMatMulAmx(const KernelArgs& a, int64_t begin, int64_t end) {
  const MatMulArgs m = {&a.in[1], &a.in[0], &a.out[0]};
  const int64_t tokens = m.x->rows();
  if (tokens < kLeastAmxTokens || !(m.x->dense || m.x->rank <= 2))
    return QMatMulBlocks<C, FastTiles<C, Dots::kTarget>>(a, begin, end);
  auto& scratch = *reinterpret_cast<AmxScratch<C>*>(a.scratch);
  const int64_t rows = std::min(m.w->dim(0), end * kTaskRows);
  for (int64_t row = begin * kTaskRows; row < rows; row += kAmxRows) {
    const int64_t some = std::min(kAmxRows, rows - row);
    for (int64_t first = 0; first < tokens; first += kTokenChunk) {
      const int64_t count = std::min(kTokenChunk, tokens - first);
      const int64_t x_bytes =
          count * m.groups() * int64_t{sizeof(Activations<C>)};
      const int64_t step = x_bytes > kActivationsInCache ? kAmxRows : kTaskRows;
      for (int64_t at = 0; at < some; at += step)
        for (int g = 0; g < m.groups(); ++g)
          MultiplyGroup<C>(m, row + at, std::min(step, some - at), at, g, first,
                           count, scratch);
      StoreRows(m, row, some, first, count, scratch.y[0], kAmxRows);
    }
  }
  ReleaseTiles();
  AddBiasAndActivate(a, begin * kTaskRows, rows);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3_DL

#endif  // WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
