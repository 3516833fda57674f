// Rows of a stored weight as panels (panel-inl.h) read them: units of a few
// bytes of each of kLanes rows at a time, and asked for ahead. Per-target code.
#if defined(WEFT_BACKENDS_CPU_QUANT_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_ROWS_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_ROWS_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_ROWS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backends/cpu/prefetch.h"
#include "graph/packed.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
using DU = hn::CappedTag<uint32_t, 4>;
#else
using DU = hn::ScalableTag<uint32_t>;
#endif
using DI = hn::RebindToSigned<DU>;
using DF32 = hn::RebindToFloat<DU>;
using DU8 = hn::Repartition<uint8_t, DU>;
using DI8 = hn::Repartition<int8_t, DU>;
using DI16 = hn::Repartition<int16_t, DU>;
using VU = hn::Vec<DU>;
using VI = hn::Vec<DI>;
using VF32 = hn::Vec<DF32>;

// Rows of a panel.
constexpr int kLanes = static_cast<int>(HWY_MAX_LANES_D(DU));

// Bytes of a group of each row: row r's are at data + r * stride.
struct Rows {
  const uint8_t* data;
  size_t stride;
  Rows At(size_t offset) const { return {data + offset, stride}; }
  // The unit at `offset` of a Block.
  template <class Block>
  Rows Unit(size_t offset) const {
    return At(offset);
  }
  Rows Again() const { return *this; }
};

// Whether whoever reads packed rows asks for what stands further on in the
// stream.
enum class Ask {
  kNever,
  kFew,  // several tokens use what is there: kFewAhead bytes ahead, into L2,
         // or AskOrder::kByTurns, which is 1.25, 1.15 and 1.05 times as fast
         // for 2, 4 and 8 tokens on Emerald Rapids (q4_k; into L1 or L2)
  kOne,  // one does: as PackedRows::order says, into L1
};
// Memory's own prefetchers do not keep up with streams that are read slowly
// (Zen 4, one thread, 8 tokens, GOP/s: q4_k without 201, 4 KB ahead into L1
// 274, 8 KB 292, into L2 325; q5_k 245 at 4 KB into L1, now 303, q6_k 211, 245,
// q8_0 221, 284; 4 and 12 KB into L2: the same; Zen 5: 8 KB into L2 or 16 KB
// into L1, the same).
constexpr size_t kFewAhead = 8192;
// Of AskOrder::kInOrder, see AskForPagesOf().
constexpr size_t kLinesAhead = 8192;

// The same of packed rows (graph/packed.h): `lane` is the first row's place
// among the 16.
template <Ask kAsk = Ask::kNever>
struct PackedRows {
  const uint8_t* data;
  size_t lane;
  AskOrder order = AskOrder::kNever;
  PackedRows At(size_t offset) const {
    return {data + kPackedRows * offset, lane, order};
  }
  template <class Block>
  PackedRows Unit(size_t offset) const {
    return At(PackedOffset<Block>(offset));
  }
  // The same, to be read once more.
  PackedRows<> Again() const { return {data, lane}; }

  // Asks for what the kBytes from here on, of which whoever calls takes kRows
  // rows, have ahead. All 16 rows are read, kRows after kRows, and each reader
  // asks for its share, so that memory has something to do all the time (AVX2,
  // Emerald Rapids, one token from memory, one thread: q4_k and q5_k 1.06 times
  // as fast as when the first asks for all, q6_k 1.04, q8_0 1.05; two threads
  // 1.0 to 1.05). By turns, what holds the last byte of a quad asks for four
  // lines: once, wherever it begins, and at one address instead of four (one
  // token's code of q4_k 655 -> 500 instructions on AVX2, 543 -> 388 with VNNI;
  // decoding: README.md).
  template <size_t kBytes, size_t kRows = kLanes>
  HWY_INLINE void Ask() const {
    static_assert(kBytes <= 64 || kBytes == kQuad);
    if constexpr (kAsk == Ask::kNever) return;
    constexpr size_t kReaders = kRows < kPackedRows ? kPackedRows / kRows : 1;
    const size_t reader = lane / kRows;
    if (order == AskOrder::kByTurns) {
      if (kBytes < kQuad && !EndsQuad(data, kBytes)) return;
      const auto* lines =
          static_cast<const uint8_t*>(LinesByTurns(data)) + reader * kPage;
      HWY_UNROLL(4)
      for (size_t i = 0; i < 4; i += kReaders) hwy::Prefetch(lines + i * kPage);
    } else if ((kAsk == Ask::kFew || order == AskOrder::kInOrder) &&
               (kBytes == kQuad || reader == 0)) {  // one line is the first's
      HWY_UNROLL(4)
      for (size_t i = 0; i < (kBytes + 63) / 64; i += kReaders) {
        const uint8_t* line = data + 64 * (reader + i);
        if (kAsk == Ask::kFew) {
          PrefetchL2(line + kFewAhead);
        } else {
          hwy::Prefetch(line + kLinesAhead);
        }
      }
    }
  }
};

// 16 bytes of the rows 0, 4, 8, ... below kLanes, one row to a 128-bit block.
HWY_INLINE VU EveryFourth(Rows rows) {
  const DU8 d8;
  const DU d;
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
  return hn::BitCast(d, hn::LoadU(d8, rows.data));
#else
  if constexpr (kLanes == 4) {
    return hn::BitCast(d, hn::LoadU(d8, rows.data));
  } else if constexpr (kLanes == 8) {
    const hn::Half<DU8> half;
    return hn::BitCast(
        d, hn::Combine(d8, hn::LoadU(half, rows.data + 4 * rows.stride),
                       hn::LoadU(half, rows.data)));
  } else {
    // Broadcasts under a mask: from memory they take no shuffle.
    const auto Row = [&](size_t r) HWY_ATTR {
      return hn::BitCast(d, hn::LoadDup128(d8, rows.data + r * rows.stride));
    };
    auto v = hn::IfThenElse(hn::FirstN(d, 12), Row(8), Row(12));
    v = hn::IfThenElse(hn::FirstN(d, 8), Row(4), v);
    return hn::IfThenElse(hn::FirstN(d, 4), Row(0), v);
  }
#endif
}

// Dword i of the 16 bytes of row r, to lane r of v<i>.
HWY_INLINE void Load4(Rows rows, VU& v0, VU& v1, VU& v2, VU& v3) {
  const DU d;
  const hn::Repartition<uint64_t, DU> d64;
  const VU r0 = EveryFourth(rows);
  const VU r1 = EveryFourth(rows.At(rows.stride));
  const VU r2 = EveryFourth(rows.At(2 * rows.stride));
  const VU r3 = EveryFourth(rows.At(3 * rows.stride));
  const auto a = hn::BitCast(d64, hn::InterleaveLower(d, r0, r1));
  const auto b = hn::BitCast(d64, hn::InterleaveUpper(d, r0, r1));
  const auto e = hn::BitCast(d64, hn::InterleaveLower(d, r2, r3));
  const auto f = hn::BitCast(d64, hn::InterleaveUpper(d, r2, r3));
  v0 = hn::BitCast(d, hn::InterleaveLower(d64, a, e));
  v1 = hn::BitCast(d, hn::InterleaveUpper(d64, a, e));
  v2 = hn::BitCast(d, hn::InterleaveLower(d64, b, f));
  v3 = hn::BitCast(d, hn::InterleaveUpper(d64, b, f));
}

template <Ask kAsk>
HWY_INLINE void Load4(PackedRows<kAsk> rows, VU& v0, VU& v1, VU& v2, VU& v3) {
  constexpr size_t kDwords = 4 * kPackedRows;
  rows.template Ask<4 * kDwords>();
  const uint8_t* from = rows.data + 4 * rows.lane;
  v0 = hn::BitCast(DU(), hn::LoadU(DU8(), from));
  v1 = hn::BitCast(DU(), hn::LoadU(DU8(), from + kDwords));
  v2 = hn::BitCast(DU(), hn::LoadU(DU8(), from + 2 * kDwords));
  v3 = hn::BitCast(DU(), hn::LoadU(DU8(), from + 3 * kDwords));
}

// A T of each row, side by side.
template <class T>
HWY_INLINE void GatherRows(Rows rows, T* HWY_RESTRICT out) {
  for (int r = 0; r < kLanes; ++r)
    std::memcpy(out + r, rows.data + static_cast<size_t>(r) * rows.stride,
                sizeof(T));
}

// The same to be read later: of rows collected now, since a vector that is read
// right after its parts were written waits for all of them; of packed rows read
// only then, since they may stand further on in the stream.
template <class T, class R>
class Units {
 public:
  explicit HWY_INLINE Units(R rows) { GatherRows(rows, values_); }
  HWY_INLINE const T* Get() const { return values_; }

 private:
  alignas(64) T values_[kLanes];
};
template <class T, Ask kAsk>
class Units<T, PackedRows<kAsk>> {
 public:
  explicit HWY_INLINE Units(PackedRows<kAsk> rows) : rows_(rows) {}
  HWY_INLINE const T* Get() const {
    rows_.template Ask<kPackedRows * sizeof(T)>();
    return reinterpret_cast<const T*>(rows_.data) + rows_.lane;
  }

 private:
  PackedRows<kAsk> rows_;
};

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_QUANT_ROWS_INL_H_
