// Packed rows of bf16 times 2 and more tokens on tile registers (AMX), whose
// unit does 16 times as many operations as vectors of floats. Per-target code.
//
// Two columns of 16 rows lie in memory as a tile's row wants them: tiles are
// loaded from the weights themselves. An instruction is a step of bf16-inl.h,
// with its bits (but that it takes, and gives, numbers below 2^-126 as 0).
//
// Many tokens: 256 rows are computed together, 512 columns at a time, which
// stay in L2; 32 tokens, copied side by side into L1, pass by all of them
// before the next 32 do, and sums wait in L2. Up to 32 tokens: 16 rows are read
// from end to end, as memory gives them, by all tokens at once (Emerald Rapids,
// two threads, rows from memory, GB/s by turns, as it was before | this with 32
// rows, two streams: 2 tokens 26 | 28, 4 14 | 24, 8 10 | 25, 15 6 | 20, all on
// vectors, 16 18 | 25, 32 19 | 25 on the tiles of many tokens; one token 27 |
// 25. Two streams | one, in a quiet minute: 2 tokens 48 | 51, 8 42 | 43, 16 35
// | 37, 32 30 | 29).
#if defined(WEFT_BACKENDS_CPU_KERNELS_BF16_AMX_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_BF16_AMX_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_BF16_AMX_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_BF16_AMX_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels/bf16-inl.h"
#include "backends/cpu/quant/tiles-inl.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kBF16AmxRows = 256;
constexpr int64_t kPairRows = 2 * kPackedRows;  // of two tiles of weights
constexpr int64_t kBF16AmxColumns = 512;
constexpr int64_t kBF16Tokens = 2 * kTileRows;           // that pass by
constexpr int64_t kBF16TokenChunk = 512;                 // whose sums wait
constexpr size_t kStepBytes = kStepColumns / 2 * kLine;  // of 16 rows: a tile

struct BF16AmxScratch {
  alignas(64) float y[kBF16AmxRows / kPairRows][kBF16TokenChunk][kPairRows];
  alignas(64) BlockBF16 x[kBF16Tokens][kBF16AmxColumns];
  // The last columns of 16 rows, where they are no whole step.
  alignas(64) uint8_t tails[kBF16AmxRows / kPackedRows][kStepBytes];
};

// What a block of tokens is multiplied with.
struct BF16AmxBlock {
  const uint8_t* w;     // the first 16 rows' first column
  size_t pack_stride;   // bytes to the next 16
  const uint8_t* next;  // what is read next, at the same places, or null
  int64_t packs;        // of 16 rows
  int64_t columns;
};

// A block's columns that are no whole step.
HWY_INLINE void CopyTails(const BF16AmxBlock& b, uint8_t (*tails)[kStepBytes]) {
  const int64_t tail = b.columns % kStepColumns;
  if (tail == 0) return;
  const uint8_t* from =
      b.w + static_cast<size_t>((b.columns - tail) / 2) * kLine;
  const auto bytes = static_cast<size_t>(tail / 2) * kLine;
  for (int64_t p = 0; p < b.packs; ++p, from += b.pack_stride) {
    std::memcpy(tails[p], from, bytes);
    std::memset(tails[p] + bytes, 0, kStepBytes - bytes);
  }
}

// 32 rows times the scratch's `tokens`, as tile registers are set up for.
HWY_INLINE void MultiplyBF16Tile(const BF16AmxBlock& b, int64_t pack,
                                 int64_t tokens, float (*y)[kPairRows],
                                 BF16AmxScratch& s) {
  constexpr size_t kXBytes = sizeof(s.x[0]), kYBytes = sizeof(y[0]);
  // A second tile of tokens, or of rows, that does not exist is the first one,
  // and its sums are nobody's.
  const int64_t second = tokens > kTileRows ? kTileRows : 0;
  const int64_t other = pack + 1 < b.packs ? pack + 1 : pack;
  const uint8_t* w0 = b.w + static_cast<size_t>(pack) * b.pack_stride;
  const uint8_t* w1 = b.w + static_cast<size_t>(other) * b.pack_stride;
  LoadTile<0>(y[0], kYBytes);
  LoadTile<1>(y[0] + kPackedRows, kYBytes);
  LoadTile<2>(y[second], kYBytes);
  LoadTile<3>(y[second] + kPackedRows, kYBytes);
  for (int64_t k = 0; k < b.columns; k += kStepColumns) {
    if (k + kStepColumns > b.columns) {
      w0 = s.tails[pack];
      w1 = s.tails[other];
    }
    LoadTile<4>(s.x[0] + k, kXBytes);
    LoadTile<6>(w0, kLine);
    LoadTile<7>(w1, kLine);
    LoadTile<5>(s.x[second] + k, kXBytes);
    MultiplyBF16<0, 4, 6>();
    MultiplyBF16<1, 4, 7>();
    MultiplyBF16<2, 5, 6>();
    MultiplyBF16<3, 5, 7>();
    w0 += kStepBytes;
    w1 += kStepBytes;
  }
  StoreTile<0>(y[0], kYBytes);
  StoreTile<1>(y[0] + kPackedRows, kYBytes);
  if (second == 0) return;
  StoreTile<2>(y[second], kYBytes);
  StoreTile<3>(y[second] + kPackedRows, kYBytes);
}

// The share of what is read next that the `pack`th and the next one ask for.
HWY_INLINE void AskForNext(const BF16AmxBlock& b, int64_t pack) {
  if (b.next == nullptr) return;
  const auto bytes = static_cast<size_t>(b.columns / 2) * kLine;
  const int64_t end = std::min(pack + 2, b.packs);
  for (size_t at = 0; at < bytes; at += kLine)
    for (int64_t p = pack; p < end; ++p)
      PrefetchL2(b.next + static_cast<size_t>(p) * b.pack_stride + at);
}

// The block's columns, from k on, of tokens [first, first + count).
HWY_INLINE void MultiplyBF16Tokens(const View& x, int64_t k, int64_t first,
                                   int64_t count, const BF16AmxBlock& b,
                                   BF16AmxScratch& s) {
  const auto bytes = static_cast<size_t>(b.columns) * sizeof(BlockBF16);
  const auto whole = static_cast<size_t>(hwy::RoundUpTo(
                         static_cast<size_t>(b.columns), kStepColumns)) *
                     sizeof(BlockBF16);
  for (int64_t t = 0; t < count; t += kBF16Tokens) {
    const int64_t some = std::min(kBF16Tokens, count - t);
    if (t == 0 || some < kBF16Tokens) TileConfig(some, 64).Load();
    for (int64_t i = 0; i < some; ++i) {
      auto* to = reinterpret_cast<uint8_t*>(s.x[i]);
      std::memcpy(to, x.RowAs<const BlockBF16>(first + t + i) + k, bytes);
      std::memset(to + bytes, 0, whole - bytes);
    }
    for (int64_t pack = 0; pack < b.packs; pack += 2) {
      if (t == 0) AskForNext(b, pack);
      MultiplyBF16Tile(b, pack, some, &s.y[pack / 2][t], s);
    }
  }
}

// ---- Up to 32 tokens ----

// Tokens of one step after the other follow, 16 and then the others.
struct BF16FewScratch {
  alignas(64) float y[kBF16Tokens][kPackedRows];
  alignas(64) uint8_t tails[1][kStepBytes];
};

// A tile of tokens: `bytes` of each step.
struct BF16Tokens {
  uint8_t* first;
  size_t bytes;
  HWY_INLINE const uint8_t* Step(int64_t step) const {
    return first + static_cast<size_t>(step) * bytes;
  }
};

// Tokens [t, t + to.bytes / 64).
HWY_INLINE void CopyTokens(const View& x, int64_t t, const BF16Tokens& to) {
  const auto bytes = static_cast<size_t>(x.row_length()) * sizeof(BlockBF16);
  for (size_t row = 0; row < to.bytes; row += kLine, ++t) {
    const auto* from = x.RowAs<const uint8_t>(t);
    uint8_t* at = to.first + row;
    for (size_t i = 0; i < bytes; i += kLine, at += to.bytes) {
      const size_t some = std::min(kLine, bytes - i);
      std::memcpy(at, from + i, some);
      std::memset(at + some, 0, kLine - some);
    }
  }
}

// What stands further on than a step of 16 rows.
HWY_INLINE void AskForStep(const uint8_t* w, AskOrder order) {
  if (order != AskOrder::kByTurns) return;
  HWY_UNROLL(4)
  for (size_t at = 0; at < kStepBytes; at += kQuad) {
    const auto* lines = static_cast<const uint8_t*>(LinesByTurns(w + at));
    HWY_UNROLL(4)
    for (size_t i = 0; i < 4; ++i) hwy::Prefetch(lines + i * kPage);
  }
}

// 16 rows, the block's, times the tokens of x0, and of x1 where kTwo, to the
// scratch.
template <bool kTwo>
HWY_INLINE void MultiplyFewBF16(const BF16AmxBlock& b, const BF16Tokens& x0,
                                const BF16Tokens& x1, AskOrder order,
                                BF16FewScratch& s) {
  ZeroTile<0>();
  if (kTwo) ZeroTile<2>();
  const uint8_t* w = b.w;
  for (int64_t step = 0; step * kStepColumns < b.columns; ++step) {
    AskForStep(w, order);
    if ((step + 1) * kStepColumns > b.columns) w = s.tails[0];
    LoadTile<4>(x0.Step(step), kLine);
    LoadTile<6>(w, kLine);
    if (kTwo) LoadTile<5>(x1.Step(step), kLine);
    MultiplyBF16<0, 4, 6>();
    if (kTwo) MultiplyBF16<2, 5, 6>();
    w += kStepBytes;
  }
  StoreTile<0>(s.y[0], sizeof(s.y[0]));
  if (kTwo) StoreTile<2>(s.y[kTileRows], sizeof(s.y[0]));
}

// Rows [row, end) of w, multiples of 16, times up to kBF16Tokens tokens.
HWY_INLINE void MultiplyFewOnTiles(const KernelArgs& a, int64_t row,
                                   int64_t end) {
  const View& w = a.in[1];
  const int64_t count = a.in[0].rows();
  const int64_t one = std::min<int64_t>(count, kTileRows);
  auto& s = *reinterpret_cast<BF16FewScratch*>(a.scratch);
  BF16AmxBlock b{};
  b.packs = 1;
  b.columns = w.dim(1);
  const int64_t steps = (b.columns + kStepColumns - 1) / kStepColumns;
  BF16Tokens x0 = {
      reinterpret_cast<uint8_t*>(a.scratch) + sizeof(BF16FewScratch),
      static_cast<size_t>(one) * kLine};
  BF16Tokens x1 = {x0.first + static_cast<size_t>(steps) * x0.bytes,
                   static_cast<size_t>(count - one) * kLine};
  CopyTokens(a.in[0], 0, x0);
  CopyTokens(a.in[0], one, x1);
  TileConfig(count, 64).Load();
  for (; row < end; row += kPackedRows) {
    b.w = reinterpret_cast<const uint8_t*>(w.Row(row));
    CopyTails(b, s.tails);
    if (count > one) {
      MultiplyFewBF16<true>(b, x0, x1, a.ask_order, s);
    } else {
      MultiplyFewBF16<false>(b, x0, x1, a.ask_order, s);
    }
    for (int64_t t = 0; t < count; ++t)
      std::copy_n(s.y[t], kPackedRows, a.out[0].RowAs<float>(t) + row);
  }
  ReleaseTiles();
}

// Rows [begin, end) of w, multiples of 16, times all tokens.
HWY_INLINE void MultiplyOnTiles(const KernelArgs& a, int64_t begin,
                                int64_t end) {
  const View& x = a.in[0];
  const View& w = a.in[1];
  auto& s = *reinterpret_cast<BF16AmxScratch*>(a.scratch);
  BF16AmxBlock b;
  b.pack_stride = static_cast<size_t>(kPackedRows * w.stride(0));
  for (int64_t row = begin; row < end; row += kBF16AmxRows) {
    const auto* rows = reinterpret_cast<const uint8_t*>(w.Row(row));
    b.packs = std::min(kBF16AmxRows, end - row) / kPackedRows;
    for (int64_t first = 0; first < x.rows(); first += kBF16TokenChunk) {
      const int64_t count = std::min(kBF16TokenChunk, x.rows() - first);
      for (auto& of_pair : s.y)
        std::memset(of_pair, 0,
                    static_cast<size_t>(count) * sizeof(of_pair[0]));
      for (int64_t k = 0; k < w.dim(1); k += kBF16AmxColumns) {
        b.columns = std::min(kBF16AmxColumns, w.dim(1) - k);
        b.w = rows + static_cast<size_t>(k / 2) * kLine;
        const int64_t left = w.dim(1) - k - b.columns;
        b.next = left >= b.columns
                     ? b.w + static_cast<size_t>(b.columns / 2) * kLine
                     : nullptr;
        CopyTails(b, s.tails);
        MultiplyBF16Tokens(x, k, first, count, b, s);
      }
      for (int64_t pack = 0; pack < b.packs; ++pack)
        for (int64_t t = 0; t < count; ++t)
          std::copy_n(
              s.y[pack / 2][t] + pack % 2 * kPackedRows, kPackedRows,
              a.out[0].RowAs<float>(first + t) + row + pack * kPackedRows);
    }
  }
  ReleaseTiles();
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3_DL

#endif  // WEFT_BACKENDS_CPU_KERNELS_BF16_AMX_INL_H_
