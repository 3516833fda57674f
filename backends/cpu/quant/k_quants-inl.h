// Unpacking of q2_k .. q6_k: super-blocks of 256. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_K_QUANTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_K_QUANTS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_K_QUANTS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_K_QUANTS_INL_H_
#endif

#include <type_traits>

#include "backends/cpu/quant/panel-inl.h"
#include "graph/blocks/blocks.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// d, dmin and the twelve bytes of 6-bit scales and mins (k_scales.h) that open
// a block of q4_k and q5_k.
template <class R, class P>
HWY_INLINE void UnpackKScales(R rows, P& out) {
  VU dd, s0, s1, s2;
  Load4(rows, dd, s0, s1, s2);
  const VU low6 = Bytes(63), low4 = Bytes(15), bits45 = Bytes(48);
  hn::Store(F16Of(dd), DF32(), out.d);
  StoreScales<0>(hn::And(s0, low6), out.scales);
  StoreScales<0>(
      hn::Or(hn::And(s2, low4), hn::And(hn::ShiftRight<2>(s0), bits45)),
      out.scales + 4);
  StoreMinPairs(hn::And(s1, low6), out.min_pairs);
  StoreMinPairs(hn::Or(hn::And(hn::ShiftRight<4>(s2), low4),
                       hn::And(hn::ShiftRight<2>(s1), bits45)),
                out.min_pairs + 2);
  hn::Store(F16Of(hn::ShiftRight<16>(dd)), DF32(), out.mins[0]);
}

// Puts the 16 columns of sub-block j, which four quads are all of.
template <class P>
HWY_INLINE void PutSub(size_t j, P& out, VU v0, VU v1, VU v2, VU v3) {
  out.template Begin<1>(j, 0);
  out.template Put<0>(4 * j, v0, v1, v2, v3);
  out.template End<1>(j, 0);
}

// Which slots take the low and the high nibbles of what is read; kNoSlot: none.
template <int kSlot>
using Slot = std::integral_constant<int, kSlot>;
constexpr int kNoSlot = -1;

// Puts sub-blocks 2 * chunk and the next, whose codes share bytes:
// put(rows, part, low, high) reads 16 bytes of each row, the first or the
// second half of the codes, and puts nibbles to Slots. Where one sub-block at a
// time is open, all bytes are read twice.
template <class R, class P, class F>
HWY_INLINE void PutPair(R rows, size_t chunk, P& out, const F& put) {
  if constexpr (P::kOneSlot) {
    out.template Begin<1>(2 * chunk, 0);
    for (size_t part = 0; part < 2; ++part)
      put(rows, part, Slot<0>(), Slot<kNoSlot>());
    out.template End<1>(2 * chunk, 0);
    out.template Begin<1>(2 * chunk + 1, 0);
    for (size_t part = 0; part < 2; ++part)
      put(rows.Again(), part, Slot<kNoSlot>(), Slot<0>());
    out.template End<1>(2 * chunk + 1, 0);
  } else {
    out.template Begin<2>(2 * chunk, 1);
    for (size_t part = 0; part < 2; ++part)
      put(rows, part, Slot<0>(), Slot<1>());
    out.template End<2>(2 * chunk, 1);
  }
}

struct CodecQ4_K {
  using Block = BlockQ4_K;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 15;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kPaired;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    static_assert(offsetof(Block, scales) == 4);
    UnpackKScales(rows, out);
    const VU low4 = Bytes(15);
    const auto Low = [&](VU v) HWY_ATTR { return hn::And(v, low4); };
    const auto High = [&](VU v) HWY_ATTR { return Low(hn::ShiftRight<4>(v)); };
    HWY_UNROLL(4)
    for (size_t chunk = 0; chunk < 4; ++chunk) {
      PutPair(rows, chunk, out,
              [&](auto from, size_t part, auto low, auto high) HWY_ATTR {
                VU v0, v1, v2, v3;
                Load4(from.At(offsetof(Block, q) + 32 * chunk + 16 * part), v0,
                      v1, v2, v3);
                const size_t to = 16 * chunk + 4 * part;
                if constexpr (low() != kNoSlot)
                  out.template Put<low()>(to, Low(v0), Low(v1), Low(v2),
                                          Low(v3));
                if constexpr (high() != kNoSlot)
                  out.template Put<high()>(to + 8, High(v0), High(v1), High(v2),
                                           High(v3));
              });
    }
  }
};

struct CodecQ5_K {
  using Block = BlockQ5_K;
  static constexpr int kSub = 32;
  static constexpr int kMaxCode = 31;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kPaired;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    UnpackKScales(rows, out);
    PutChunk<0>(rows, rows, out);
    PutChunk<1>(rows, rows.Again(), out);
    PutChunk<2>(rows, rows.Again(), out);
    PutChunk<3>(rows, rows.Again(), out);
  }

 private:
  // Two sub-blocks: low nibbles with bit 2 kChunk of h, high ones with the bit
  // above it.
  template <size_t kChunk, class R, class H, class P>
  static HWY_INLINE void PutChunk(R rows, H high, P& out) {
    const VU low4 = Bytes(15), bit4 = Bytes(16);
    const auto Low = [&](VU v, VU h) HWY_ATTR {
      return hn::Or(hn::And(v, low4), hn::And(Bit4<2 * kChunk>(h), bit4));
    };
    const auto High = [&](VU v, VU h) HWY_ATTR {
      return hn::Or(hn::And(hn::ShiftRight<4>(v), low4),
                    hn::And(Bit4<2 * kChunk + 1>(h), bit4));
    };
    PutPair(rows, kChunk, out,
            [&](auto from, size_t part, auto low, auto high_slot) HWY_ATTR {
              VU v0, v1, v2, v3, h0, h1, h2, h3;
              constexpr size_t kHigh = offsetof(Block, qh);
              if constexpr (low() == kNoSlot)
                Load4(high.Again().At(kHigh + 16 * part), h0, h1, h2, h3);
              else
                Load4(high.At(kHigh + 16 * part), h0, h1, h2, h3);
              Load4(from.At(offsetof(Block, q) + 32 * kChunk + 16 * part), v0,
                    v1, v2, v3);
              const size_t to = 16 * kChunk + 4 * part;
              if constexpr (low() != kNoSlot)
                out.template Put<low()>(to, Low(v0, h0), Low(v1, h1),
                                        Low(v2, h2), Low(v3, h3));
              if constexpr (high_slot() != kNoSlot)
                out.template Put<high_slot()>(to + 8, High(v0, h0),
                                              High(v1, h1), High(v2, h2),
                                              High(v3, h3));
            });
  }

  // Bit kBit of each byte, moved to bit 4; other bits are any. By additions
  // where few do: shifts have half as many ports on Zen 4.
  template <size_t kBit>
  static HWY_INLINE VU Bit4(VU h) {
    const auto Twice = [](VU v) HWY_ATTR {
      const auto bytes = hn::BitCast(DU8(), v);
      return hn::BitCast(DU(), hn::Add(bytes, bytes));
    };
    if constexpr (kBit == 0) return hn::ShiftLeft<4>(h);
    if constexpr (kBit == 1) return hn::ShiftLeft<3>(h);
    if constexpr (kBit == 2) return Twice(Twice(h));
    if constexpr (kBit == 3) return Twice(h);
    if constexpr (kBit >= 4) return hn::ShiftRight<kBit - 4>(h);
  }
};

struct CodecQ6_K {
  using Block = BlockQ6_K;
  static constexpr int kSub = 16;
  static constexpr int kMaxCode = 63;
  static constexpr int kOffset = Block::kOffset;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    const F16Rows d_rows(rows.template Unit<Block>(offsetof(Block, d)));
    VU s0, s1, s2, s3;
    Load4(rows.template Unit<Block>(offsetof(Block, scales)), s0, s1, s2, s3);
    StoreScales<0, true>(s0, out.scales);
    StoreScales<0, true>(s1, out.scales + 4);
    StoreScales<0, true>(s2, out.scales + 8);
    StoreScales<0, true>(s3, out.scales + 12);
    const VU low4 = Bytes(15), bits45 = Bytes(48);
    // Low and high nibbles of q, with bits 4 and 5 of h.
    const auto Low = [&](VU q, VU h) HWY_ATTR {
      return hn::Or(hn::And(q, low4), hn::And(h, bits45));
    };
    const auto High = [&](VU q, VU h)
                          HWY_ATTR { return Low(hn::ShiftRight<4>(q), h); };
    for (size_t part = 0; part < 4; ++part) {
      const size_t half = part / 2, piece = part % 2;
      VU h0, h1, h2, h3, a0, a1, a2, a3, b0, b1, b2, b3;
      Load4(rows.template Unit<Block>(offsetof(Block, qh) + 32 * half +
                                      16 * piece),
            h0, h1, h2, h3);
      Load4(rows.template Unit<Block>(offsetof(Block, q) + 64 * half +
                                      16 * piece),
            a0, a1, a2, a3);
      Load4(rows.template Unit<Block>(offsetof(Block, q) + 64 * half + 32 +
                                      16 * piece),
            b0, b1, b2, b3);
      const size_t sub = 8 * half + piece;
      const auto Up4 = [](VU h) HWY_ATTR { return hn::ShiftLeft<4>(h); };
      const auto Up2 = [](VU h) HWY_ATTR { return hn::ShiftLeft<2>(h); };
      const auto Down2 = [](VU h) HWY_ATTR { return hn::ShiftRight<2>(h); };
      PutSub(sub, out, Low(a0, Up4(h0)), Low(a1, Up4(h1)), Low(a2, Up4(h2)),
             Low(a3, Up4(h3)));
      PutSub(sub + 2, out, Low(b0, Up2(h0)), Low(b1, Up2(h1)), Low(b2, Up2(h2)),
             Low(b3, Up2(h3)));
      PutSub(sub + 4, out, High(a0, h0), High(a1, h1), High(a2, h2),
             High(a3, h3));
      PutSub(sub + 6, out, High(b0, Down2(h0)), High(b1, Down2(h1)),
             High(b2, Down2(h2)), High(b3, Down2(h3)));
    }
    hn::Store(d_rows.Get(), DF32(), out.d);
  }
};

struct CodecQ2_K {
  using Block = BlockQ2_K;
  static constexpr int kSub = 16;
  static constexpr int kMaxCode = 3;
  static constexpr int kOffset = 0;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kPaired;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    const VU low4 = Bytes(15), low2 = Bytes(3);
    static_assert(offsetof(Block, dmin) == offsetof(Block, d) + 2);
    const DwordRows dd_rows(rows.template Unit<Block>(offsetof(Block, d)));
    VU s0, s1, s2, s3;
    Load4(rows.template Unit<Block>(offsetof(Block, scales)), s0, s1, s2, s3);
    const auto PutScales = [&](VU s, size_t i) HWY_ATTR {
      StoreScales<0>(hn::And(s, low4), out.scales + i);
      StoreMinPairs(hn::And(hn::ShiftRight<4>(s), low4), out.min_pairs + i / 2);
    };
    PutScales(s0, 0), PutScales(s1, 4), PutScales(s2, 8), PutScales(s3, 12);
    for (size_t part = 0; part < 4; ++part) {
      VU v0, v1, v2, v3;
      Load4(rows.template Unit<Block>(offsetof(Block, q) + 16 * part), v0, v1,
            v2, v3);
      const size_t half = part / 2, piece = part % 2;
      const size_t sub = 8 * half + piece;
      const auto Bits0 = [&](VU v) HWY_ATTR { return hn::And(v, low2); };
      const auto Bits2 = [&](VU v)
                             HWY_ATTR { return Bits0(hn::ShiftRight<2>(v)); };
      const auto Bits4 = [&](VU v)
                             HWY_ATTR { return Bits0(hn::ShiftRight<4>(v)); };
      const auto Bits6 = [&](VU v)
                             HWY_ATTR { return Bits0(hn::ShiftRight<6>(v)); };
      PutSub(sub, out, Bits0(v0), Bits0(v1), Bits0(v2), Bits0(v3));
      PutSub(sub + 2, out, Bits2(v0), Bits2(v1), Bits2(v2), Bits2(v3));
      PutSub(sub + 4, out, Bits4(v0), Bits4(v1), Bits4(v2), Bits4(v3));
      PutSub(sub + 6, out, Bits6(v0), Bits6(v1), Bits6(v2), Bits6(v3));
    }
    const VU dd = dd_rows.Get();
    hn::Store(F16Of(dd), DF32(), out.d);
    hn::Store(F16Of(hn::ShiftRight<16>(dd)), DF32(), out.mins[0]);
  }
};

struct CodecQ3_K {
  using Block = BlockQ3_K;
  static constexpr int kSub = 16;
  static constexpr int kMaxCode = 7;
  static constexpr int kOffset = Block::kOffset;
  static constexpr bool kSignedCodes = false;
  static constexpr Scales kScales = Scales::kInteger;
  static constexpr Mins kMins = Mins::kNone;

  template <class R, class P>
  static HWY_INLINE void Unpack(R rows, int, P& out) {
    constexpr int kBase = Block::kScaleOffset;
    const VU low4 = Bytes(15), bits45 = Bytes(48);
    VU t0, t1, t2;
    LoadScales(rows, t0, t1, t2, out);
    StoreScales<kBase>(
        hn::Or(hn::And(t0, low4), hn::And(hn::ShiftLeft<4>(t2), bits45)),
        out.scales);
    StoreScales<kBase>(
        hn::Or(hn::And(t1, low4), hn::And(hn::ShiftLeft<2>(t2), bits45)),
        out.scales + 4);
    StoreScales<kBase>(
        hn::Or(hn::And(hn::ShiftRight<4>(t0), low4), hn::And(t2, bits45)),
        out.scales + 8);
    StoreScales<kBase>(hn::Or(hn::And(hn::ShiftRight<4>(t1), low4),
                              hn::And(hn::ShiftRight<2>(t2), bits45)),
                       out.scales + 12);

    const VU low2 = Bytes(3), bit2 = Bytes(4);
    const auto Code = [&](VU v, VU h) HWY_ATTR {
      return hn::Or(hn::And(v, low2), hn::And(h, bit2));
    };
    const auto Code0 = [&](VU v, VU h)
                           HWY_ATTR { return Code(v, hn::ShiftLeft<2>(h)); };
    const auto Code1 = [&](VU v, VU h) HWY_ATTR {
      return Code(hn::ShiftRight<2>(v), hn::ShiftLeft<1>(h));
    };
    const auto Code2 = [&](VU v, VU h)
                           HWY_ATTR { return Code(hn::ShiftRight<4>(v), h); };
    const auto Code3 = [&](VU v, VU h) HWY_ATTR {
      return Code(hn::ShiftRight<6>(v), hn::ShiftRight<1>(h));
    };
    for (size_t piece = 0; piece < 2; ++piece) {
      VU h0, h1, h2, h3;
      Load4(rows.template Unit<Block>(offsetof(Block, qh) + 16 * piece), h0, h1,
            h2, h3);
      for (size_t half = 0; half < 2; ++half) {
        VU v0, v1, v2, v3;
        Load4(rows.template Unit<Block>(offsetof(Block, q) + 32 * half +
                                        16 * piece),
              v0, v1, v2, v3);
        const size_t sub = 8 * half + piece;
        PutSub(sub, out, Code0(v0, h0), Code0(v1, h1), Code0(v2, h2),
               Code0(v3, h3));
        PutSub(sub + 2, out, Code1(v0, h0), Code1(v1, h1), Code1(v2, h2),
               Code1(v3, h3));
        PutSub(sub + 4, out, Code2(v0, h0), Code2(v1, h1), Code2(v2, h2),
               Code2(v3, h3));
        PutSub(sub + 6, out, Code3(v0, h0), Code3(v1, h1), Code3(v2, h2),
               Code3(v3, h3));
        // Bits 0..3 of h belonged to this half.
        h0 = hn::ShiftRight<4>(h0), h1 = hn::ShiftRight<4>(h1);
        h2 = hn::ShiftRight<4>(h2), h3 = hn::ShiftRight<4>(h3);
      }
    }
    LoadD(rows, out);
  }

 private:
  // The twelve bytes of scales as dwords, and d of rows.
  template <class P>
  static HWY_INLINE void LoadScales(Rows rows, VU& t0, VU& t1, VU& t2, P& out) {
    // Twelve bytes of scales, then d and two bytes of what follows the block
    // are not read: the 16 bytes that end the block hold them last.
    static_assert(offsetof(Block, scales) + 14 == sizeof(Block));
    VU before, s0, s1, s2;
    Load4(rows.At(sizeof(Block) - 16), before, s0, s1, s2);
    // The scales begin 2 bytes into the first dword: shift them into place.
    hn::Store(F16Of(hn::ShiftRight<16>(s2)), DF32(), out.d);
    t0 = hn::Or(hn::ShiftRight<16>(before), hn::ShiftLeft<16>(s0));
    t1 = hn::Or(hn::ShiftRight<16>(s0), hn::ShiftLeft<16>(s1));
    t2 = hn::Or(hn::ShiftRight<16>(s1), hn::ShiftLeft<16>(s2));
  }
  template <Ask kAsk, class P>
  static HWY_INLINE void LoadScales(PackedRows<kAsk> rows, VU& t0, VU& t1,
                                    VU& t2, P&) {
    const auto Scales = [&](size_t i) HWY_ATTR {
      return DwordRows(
                 rows.template Unit<Block>(offsetof(Block, scales) + 4 * i))
          .Get();
    };
    t0 = Scales(0), t1 = Scales(1), t2 = Scales(2);
  }
  template <class P>
  static HWY_INLINE void LoadD(Rows, P&) {}
  template <Ask kAsk, class P>
  static HWY_INLINE void LoadD(PackedRows<kAsk> rows, P& out) {
    hn::Store(F16Rows(rows.At(offsetof(Block, d))).Get(), DF32(), out.d);
  }
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_K_QUANTS_INL_H_
