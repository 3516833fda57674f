// append: rows of f32 into a state, in rows or in tiles. One task per head,
// which stores that head of every token, so that of two tokens with one place
// the last wins.
//
// Compiled without floating-point contraction, as graph/encode_row.cc, whose
// roundings these are bit for bit.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/state.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <limits>

#include "backends/cpu/half-inl.h"
#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kv_layout.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "graph/blocks/blocks.h"
#include "ops/gather.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// At most 16 lanes, so that they divide a block.
using D = hn::CappedTag<float, 16>;

// ---- Rows of f32 to the state's dtype, rounded to nearest even ----

void StoreRow(const float* x, int64_t n, BlockF32* y) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(LoadPart(d, x + i, lanes), d, &y->value + i, lanes);
  });
}

void StoreRow(const float* x, int64_t n, BlockF16* y) {
  const hn::Rebind<hwy::float16_t, D> d16;
  const hn::Rebind<uint16_t, D> bits;
  uint16_t* to = reinterpret_cast<uint16_t*>(y);
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    // As the bits that they are read as: compilers may take a store of f16 and
    // a load of integers for strangers.
    const auto half = hn::DemoteTo(d16, LoadPart(d, x + i, lanes));
    hn::StoreN(hn::BitCast(bits, half), bits, to + i,
               static_cast<size_t>(lanes));
  });
}

void StoreRow(const float* x, int64_t n, BlockBF16* y) { StoreBF16(x, n, y); }

// ---- Blocks of 32 values; see graph/encode_row.h ----

constexpr uint16_t kNanF16 = 0x7E00;

// The largest magnitude, or NaN when any value is.
float LargestOf(const float* x) {
  const D d;
  auto most = hn::Zero(d);
  auto nan = hn::MaskFalse(d);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    nan = hn::Or(nan, hn::IsNaN(v));
    most = hn::Max(most, hn::Abs(v));
  }
  return hn::AllFalse(d, nan) ? hn::ReduceMax(d, most)
                              : std::numeric_limits<float>::quiet_NaN();
}

float Inverse(float d) { return d == 0 ? 0.0f : 1.0f / d; }

void EncodeBlock(const float* x, BlockQ8_0& y) {
  const D d;
  const hn::Rebind<int8_t, D> d8;
  const hn::RebindToSigned<D> d32;
  y = {};
  const float most = LargestOf(x);
  if (most != most) {
    y.d = kNanF16;
    return;
  }
  const float scale = most / 127;
  const auto inverse = hn::Set(d, Inverse(scale));
  const auto limit = hn::Set(d, 127.0f);
  y.d = F32ToF16(scale);
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    auto v = hn::Mul(hn::LoadU(d, x + i), inverse);
    v = hn::IfThenZeroElse(hn::IsNaN(v), v);  // infinity times 0
    v = hn::Max(hn::Min(v, limit), hn::Neg(limit));
    // Halves away from zero: what Trunc cuts off is exact.
    const auto whole = hn::Trunc(v);
    const auto away = hn::CopySign(hn::Set(d, 1.0f), v);
    const auto half = hn::Ge(hn::Abs(hn::Sub(v, whole)), hn::Set(d, 0.5f));
    const auto rounded = hn::Add(whole, hn::IfThenElseZero(half, away));
    hn::StoreU(hn::DemoteTo(d8, hn::ConvertTo(d32, rounded)), d8, y.q + i);
  }
}

// The first of the values that are largest in magnitude.
float FirstLargest(const float* x, float most) {
  const D d;
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    const auto v = hn::LoadU(d, x + i);
    const intptr_t at =
        hn::FindFirstTrue(d, hn::Eq(hn::Abs(v), hn::Set(d, most)));
    if (at >= 0) return x[i + static_cast<size_t>(at)];
  }
  return 0;
}

void EncodeBlock(const float* x, BlockQ4_0& y) {
  const D d;
  const hn::RebindToSigned<D> d32;
  const float most = LargestOf(x);
  if (most != most) {
    y.d = kNanF16;
    std::fill_n(y.q, 16, uint8_t{0x88});
    return;
  }
  const float scale = FirstLargest(x, most) / -8;
  const auto inverse = hn::Set(d, Inverse(scale));
  y.d = F32ToF16(scale);
  HWY_ALIGN int32_t nibbles[32];
  for (size_t i = 0; i < 32; i += hn::Lanes(d)) {
    auto v = hn::Add(hn::Mul(hn::LoadU(d, x + i), inverse), hn::Set(d, 8.5f));
    v = hn::IfThenElse(hn::IsNaN(v), hn::Set(d, 8.0f), v);
    v = hn::Max(hn::Min(v, hn::Set(d, 15.0f)), hn::Zero(d));
    hn::StoreU(hn::ConvertTo(d32, v), d32, nibbles + i);
  }
  for (int i = 0; i < 16; ++i)
    y.q[i] = static_cast<uint8_t>(nibbles[i] | nibbles[i + 16] << 4);
}

// Calls f(i, block) for the blocks of a row; the last is padded with zeros.
template <class Block, class F>
void ForEachBlock(const float* x, int64_t n, const F& f) {
  for (int64_t i = 0; i < n; i += kKvBlock) {
    Block block;
    if (n - i >= kKvBlock) {
      EncodeBlock(x + i, block);
    } else {
      float padded[kKvBlock] = {};
      std::copy_n(x + i, n - i, padded);
      EncodeBlock(padded, block);
    }
    f(i / kKvBlock, block);
  }
}

template <class Block>
void StoreRow(const float* x, int64_t n, Block* y) {
  ForEachBlock<Block>(x, n,
                      [&](int64_t i, const Block& block) { y[i] = block; });
}

// ---- Rows into tiles: position `at` of a tile ----

template <class Block>
void StoreKey(const float* x, int64_t n, std::byte* tile, int64_t at) {
  if constexpr (Block::kCount == 1) {
    Block* to = reinterpret_cast<Block*>(tile) + at;
    for (int64_t i = 0; i < n; i += kKvBlock) {
      Block row[kKvBlock];
      const int64_t count = std::min(kKvBlock, n - i);
      StoreRow(x + i, count, row);
      for (int64_t j = 0; j < count; ++j) to[(i + j) * kTilePositions] = row[j];
    }
  } else {
    auto* blocks = reinterpret_cast<KeyBlock<Block>*>(tile);
    ForEachBlock<Block>(x, n, [&](int64_t i, const Block& block) {
      blocks[i].d[at] = block.d;
      for (size_t j = 0; j < sizeof(block.q); ++j)
        blocks[i].q[j][at] = block.q[j];
    });
  }
}

template <class Block>
void StoreValue(const float* x, int64_t n, std::byte* tile, int64_t at) {
  if constexpr (Block::kCount == 1) {
    StoreRow(x, n, reinterpret_cast<Block*>(tile) + at * n);
  } else {
    auto* blocks = reinterpret_cast<ValueBlock<Block>*>(tile);
    ForEachBlock<Block>(x, n, [&](int64_t i, const Block& block) {
      blocks[i].d[at] = block.d;
      std::copy_n(block.q, sizeof(block.q), blocks[i].q[at]);
    });
  }
}

// ---- Places ----

// Rows per token: x is [T, ...], the state [slots, context, ...].
int64_t Heads(const KernelArgs& a) {
  const View& x = a.in[1];
  return x.rank < 2 ? 1 : x.rows() / x.dim(0);
}

// Row `head` of an element, where a state has it.
template <class Block>
void Place(const View& state, int64_t slot, int64_t pos, int64_t head_offset,
           const float* x, int64_t n) {
  std::byte* at =
      state.data + PageOf(state, slot, pos) * state.stride(0) + head_offset;
  switch (state.layout) {
    case StateLayout::kRows:
      return StoreRow(x, n,
                      reinterpret_cast<Block*>(at + pos * state.stride(1)));
    case StateLayout::kKeyTiles:
      return StoreKey<Block>(x, n, at + TileOffset(state, pos),
                             pos % kTilePositions);
    case StateLayout::kValueTiles:
      return StoreValue<Block>(x, n, at + TileOffset(state, pos),
                               pos % kTilePositions);
  }
}

// Bytes from the start of an element of `v` to its row `head`, where an element
// is what follows the first `axes` dims.
int64_t HeadOffset(const View& v, int axes, int64_t head) {
  int64_t offset = 0;
  for (int axis = v.rank - 2; axis >= axes; --axis) {
    offset += head % v.dim(axis) * v.stride(axis);
    head /= v.dim(axis);
  }
  return offset;
}

bool InTable(const KernelArgs& a, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return true;
  a.bad_index->store(index, std::memory_order_relaxed);
  return false;
}

template <class Block>
void Append(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& state = a.out[0];
  const View& x = a.in[1];
  const int32_t* slot = a.in[2].As<const int32_t>();
  const int32_t* pos = a.in[3].As<const int32_t>();
  const int64_t n = x.rank < 2 ? 1 : x.row_length();
  for (int64_t head = begin; head < end; ++head) {
    const std::byte* from = x.data + HeadOffset(x, 1, head);
    const int64_t to = HeadOffset(state, 2, head);
    for (int64_t t = 0; t < x.dim(0); ++t) {
      if (!InTable(a, slot[t], state.dim(0)) ||
          !InTable(a, pos[t], state.dim(1)))
        continue;
      Place<Block>(state, slot[t], pos[t], to,
                   reinterpret_cast<const float*>(from + t * x.stride(0)), n);
    }
  }
}

double HeadNs(const KernelArgs& a) {
  const double row = 10 + static_cast<double>(a.in[1].row_length()) / 8;
  return static_cast<double>(a.in[1].dim(0)) * row;
}

template <class Block>
bool Supports(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[0]).type.dtype == Block::kType;
}

template <class Block>
void AddFormat(KernelList& out) {
  out.push_back({.op = &kAppend,
                 .name = KernelName<"append.", Block>(),
                 .supports = Supports<Block>,
                 .strided = 0b11,
                 .tasks = Heads,
                 .task_ns = HeadNs,
                 .run = Append<Block>,
                 .tiled_states = true});
}

void AddKernels(KernelList& out) {
  AddFormat<BlockF32>(out);
  AddFormat<BlockF16>(out);
  AddFormat<BlockBF16>(out);
  AddFormat<BlockQ8_0>(out);
  AddFormat<BlockQ4_0>(out);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddStateKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
