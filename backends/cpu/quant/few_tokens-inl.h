// A few tokens times packed rows: the loops around the groups of token-inl.h
// and exact_token-inl.h. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_FEW_TOKENS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_FEW_TOKENS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_FEW_TOKENS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_FEW_TOKENS_INL_H_
#endif

#include "backends/cpu/quant/exact_token-inl.h"
#include "backends/cpu/quant/operands-inl.h"
#include "backends/cpu/quant/token-inl.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// Up to so many tokens at most, codes of packed rows go from registers into
// products (token-inl.h). Panels are worth their stores from there on: Zen 4,
// 16 tokens, from registers and from panels, GOP/s: q4_k 313, 293, q8_0 239,
// 180; 32 tokens: 323, 329 and 258, 305; AVX2, 8 tokens: 174, 183 and 105, 67.
// SSE2 and AVX-512 without VNNI, of few machines, do with the code of one
// token: 0.4 MB less of a library. Vectors of SVE cannot stand in structs.
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int kFewTokens = 0;
#elif HWY_TARGET <= HWY_AVX3_DL || HWY_ARCH_ARM
constexpr int kFewTokens = 16;
#elif HWY_TARGET == HWY_AVX2
constexpr int kFewTokens = 8;
#else
constexpr int kFewTokens = 1;
#endif

// The same of a format, tokens/s from registers and from panels, whole model,
// two threads of an Emerald Rapids. VNNI, where sums meet integer scales
// (kNarrows): 8 tokens Q4_K_M 283, 214, Q6_K 216, 176; 10 tokens 270, 275 and
// 206, 222; 12 tokens 287, 279 and 205, 230; 16 tokens 296, 348 and 228, 300;
// Q8_0, 12 tokens 234, 202, 16 tokens 272, 264. AVX2: 6 tokens Q4_K_M 143, 127,
// Q6_K 93, 101; 7 tokens 125, 135 and 83, 103; Q8_0, 7 tokens 91, 69.
template <class C>
constexpr int FewTokensOf() {
  if (kVnni && kNarrows<Form<C>, Dots::kTarget>) return 8;
  if (HWY_TARGET == HWY_AVX2)
    return C::kSignedCodes ? kFewTokens : C::kSub == 16 ? 5 : 6;
  return kFewTokens;
}

// The same with f32 activations. SSE2 has panels alone: another 60 KB less.
// (8-bit activations would lose too much: one token 0.57 to 0.76 times as
// fast.)
constexpr int kFewExactTokens =
    kFewTokens == 0 || HWY_TARGET == HWY_SSE2 ? 0 : 1;

// AskOrder::kInOrder: the first line of each page kPagesAhead, all lines
// kLinesAhead (PackedRows::Ask). GB/s of rows in memory, Zen 5, AVX-512, two
// threads (one), without the first lines, which is best with lines 32 KB ahead
// | with them: q4_k 56 (29) | 60 (32), q5_k 58 (30) | 63 (33), q6_k 63 (32) |
// 67 (35), q8_0 45 (23) | 66 (35), where plain reads give 55 to 63 (38) with
// four streams. Three lines of each page: the same, q8_0 58. Three places read
// by turns instead: q4_k as much, q6_k 53. Tokens/s: README.md.
template <class C>
HWY_INLINE void AskForPagesOf(const uint8_t* packed, AskOrder order) {
  constexpr size_t kPagesAhead = 2 * kLinesAhead;
  if (order == AskOrder::kInOrder)
    AskForPages(packed + kPagesAhead, kPackedRows * kGroupBytes<C>);
}

#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
template <class C, Dots kDots>
struct FastFew {};
template <class C>
struct ExactFew {};
#else
template <class C, Dots kDots>
struct FastFew {
  // Whether 8 tokens share what is unpacked: where there are 32 registers.
  static constexpr bool kEight = kFewTokens > 8;
  static constexpr bool kFour = kFewTokens >= 4;

  // kT tokens from t on times group g of the 16 packed rows at `packed`.
  template <int kT>
  static HWY_NOINLINE void RunGroup(const MatMulArgs& m, const uint8_t* packed,
                                    int g, int64_t t, float* y) {
    constexpr size_t kPanels = kPackedRows / kLanes;
    const DF32 df;
    const auto* x = m.x->template RowAs<const Activations<C>>(t) + g;
    const auto x_stride =
        static_cast<size_t>(kT > 1 ? m.x->Row(t + 1) - m.x->Row(t) : 0);
    const int blocks = m.template blocks_of<typename C::Block>(g);
    for (size_t p = 0; p < kPanels; ++p) {
      TokenGroup<C, kDots, kT> group;
      group.Set(x, x_stride);
      HWY_UNROLL(8)
      for (int i = 0; i < kT; ++i)
        group.y[i] = g == 0 ? hn::Zero(df)
                            : hn::LoadU(df, y + i * kTaskRows + p * kLanes);
      constexpr Ask kAsk = kT > 1 ? Ask::kFew : Ask::kOne;
      C::Unpack(PackedRows<kAsk>{packed, p * kLanes, m.ask_order}, blocks,
                group);
      group.EndGroup();
      HWY_UNROLL(8)
      for (int i = 0; i < kT; ++i)
        hn::StoreU(group.y[i], df, y + i * kTaskRows + p * kLanes);
    }
  }

  // All tokens times the 16 packed rows from `row` on: group by group, so that
  // all of them, and panels of fewer rows, find the lines of a group in L1.
  static HWY_NOINLINE void RunFew(const MatMulArgs& m, int64_t row, float* y) {
    const int64_t tokens = m.x->rows();
    const auto* packed = reinterpret_cast<const uint8_t*>(m.w->Row(row));
    for (int g = 0; g < m.groups();
         ++g, packed += kPackedRows * kGroupBytes<C>) {
      // Few tokens of q8_0, of which each group has a page to begin, gain too:
      // 8 tokens 250 -> 290 tokens/s. Others lose: q4_k 360 -> 280, q6_k 285 ->
      // 268.
      if (tokens == 1 || kPackedRows * kGroupBytes<C> > kPage)
        AskForPagesOf<C>(packed, m.ask_order);
      for (int64_t t = 0; t < tokens;) {
        const int64_t left = m.even() ? tokens - t : 1;
        float* to = y + t * kTaskRows;
        if (kEight && left >= 8) {
          RunGroup<kEight ? 8 : 1>(m, packed, g, t, to), t += 8;
        } else if (kFour && left >= 4) {
          RunGroup<kFour ? 4 : 1>(m, packed, g, t, to), t += 4;
        } else if (kFour && left >= 2) {
          RunGroup<kFour ? 2 : 1>(m, packed, g, t, to), t += 2;
        } else {
          RunGroup<1>(m, packed, g, t, to), t += 1;
        }
      }
    }
  }
};

template <class C>
struct ExactFew {
  // One token times the 16 packed rows from `row` on, as FastFew does.
  static HWY_NOINLINE void RunFew(const MatMulArgs& m, int64_t row, float* y) {
    constexpr size_t kPanels = kPackedRows / kLanes;
    const DF32 df;
    const auto* x = m.x->template RowAs<const float>(0);
    PackedRows<Ask::kOne> rows = {
        reinterpret_cast<const uint8_t*>(m.w->Row(row)), 0, m.ask_order};
    for (size_t p = 0; p < kPanels; ++p)
      hn::StoreU(hn::Zero(df), df, y + p * kLanes);
    for (int g = 0; g < m.groups(); ++g, rows = rows.At(kGroupBytes<C>)) {
      AskForPagesOf<C>(rows.data, m.ask_order);
      const int blocks = m.template blocks_of<typename C::Block>(g);
      const int subs = m.subs_of(g, C::kSub);
      for (size_t p = 0; p < kPanels; ++p) {
        ExactGroup<C> group(x + g * kGroupSize);
        rows.lane = p * kLanes;
        C::Unpack(rows, blocks, group);
        float* sums = y + p * kLanes;
        hn::StoreU(group.AddTo(hn::LoadU(df, sums), subs), df, sums);
      }
    }
  }
};

#endif  // not SVE

// Few::RunFew, which is not compiled where it has no tokens.
template <class Few, int kTokens>
constexpr auto RunFewOf() -> void (*)(const MatMulArgs&, int64_t, float*) {
  if constexpr (kTokens > 0) {
    return Few::RunFew;
  } else {
    return nullptr;
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_FEW_TOKENS_INL_H_
