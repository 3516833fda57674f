// Fused attention: the scores of a query exist only for one chunk of keys at a
// time. attention_shape.h says how the work is divided and why the division
// changes no result; attention_rows-inl.h has the products, which
// attention_*.cc compile for each format; attention_tile-inl.h the inner loop.
//
// A block is a run of tokens of one sequence times the heads of one group,
// which share keys and values. Small blocks (decoding) read these as stored:
// time goes into reading memory. Large ones (prefill) unpack a chunk once for
// all of their rows.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/attention_products-inl.h"
#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/kernels/attention_softmax-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/prefetch.h"
#include "backends/cpu/simd-inl.h"
#include "ops/alibi.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Rows that go through both products before the next ones: their queries,
// scores and values (18 KB for heads of 64) stay in L1 between the steps. All
// rows at once, or 6, are 2 to 4 % slower.
constexpr int64_t kStripe = 24;

// Few queries, which read a cache as it is stored, ask for the lines of the
// next chunk while they read one, and for its pages so many chunks ahead (f16,
// 4,096 positions, Zen 5, TinyLlama's shape, two sittings of five turns:
// attention in 10 and 13 % less time; one chunk ahead 6, 3 and 4 chunks 2, into
// L1 3 %).
constexpr int64_t kPagesAhead = 2;

// Calls f(Block) for the format.
template <class F>
void WithFormat(DType dtype, const F& f) {
  switch (dtype) {
    case DType::kF16:
      return f(BlockF16());
    case DType::kBF16:
      return f(BlockBF16());
    case DType::kQ8_0:
      return f(BlockQ8_0());
    case DType::kQ4_0:
      return f(BlockQ4_0());
    default:
      return f(BlockF32());
  }
}

// One block at work.
class BlockRunner {
 public:
  BlockRunner(const AttentionShape& s, const AttentionScratch& m,
              const TokenBlock& block, int64_t group)
      : s_(s),
        m_(m),
        block_(block),
        group_(group),
        rows_((block.end - block.begin) * s.heads_per_group),
        direct_(rows_ <= kDirectRows),
        keys_(s.VisibleKeys(block)),
        // Nothing is read through a slot that does not exist.
        slot_(s.SlotExists(block.begin) ? s.Slot(block.begin) : 0) {
    WithFormat(s.k->dtype, [&](auto format) {
      scores_ = ScoresOf<decltype(format)>(s.k->layout, direct_);
    });
    WithFormat(s.v->dtype, [&](auto format) {
      mix_ = MixOf<decltype(format)>(s.v->layout, direct_);
    });
    if constexpr (kMayHaveTiles) {
      if (s.key_tiles) scores_ = TiledScores(direct_);
      if (s.value_tiles) mix_ = TiledMix(direct_);
      if (OnTiles()) SetUpTiles(rows_);
    }
    for (int64_t r = 0; r < rows_; ++r) PrepareRow(r);
  }

  // Whole results, part after part.
  void RunAll() {
    const PartRange parts = s_.Parts(block_);
    // One part is a total already; adding it to nothing would give its bits.
    if (parts.count() <= 1) {
      RunPart(parts.first);
      StoreRows(m_.part, m_.part_most, m_.part_sum);
      return;
    }
    std::fill_n(m_.total, rows_ * s_.e_padded, 0.0f);
    std::fill_n(m_.total_most, rows_, kMinusInfinity);
    std::fill_n(m_.total_sum, rows_, 0.0f);
    for (int64_t part = parts.first; part < parts.end; ++part) {
      RunPart(part);
      for (int64_t r = 0; r < rows_; ++r)
        AddPart(m_.part + r * s_.e_padded, m_.part_most[r], m_.part_sum[r],
                s_.e_padded, m_.total + r * s_.e_padded, m_.total_most[r],
                m_.total_sum[r]);
    }
    StoreRows(m_.total, m_.total_most, m_.total_sum);
  }

  // One part, for the second stage to add.
  void RunAndKeep(const KernelArgs& a, int64_t part) {
    RunPart(part);
    for (int64_t r = 0; r < rows_; ++r) {
      float* to = s_.Part(a, Token(r), Head(r), part);
      to[0] = m_.part_most[r];
      to[1] = m_.part_sum[r];
      std::copy_n(m_.part + r * s_.e_padded, s_.e_padded,
                  to + AttentionShape::kPartHeader);
    }
  }

 private:
  int64_t Token(int64_t r) const {
    return block_.begin + r / s_.heads_per_group;
  }
  int64_t Head(int64_t r) const {
    return group_ * s_.heads_per_group + r % s_.heads_per_group;
  }

  // Queries are scaled so that scores come out in the logarithm's base 2, or
  // as what the soft-cap takes the tanh of.
  void PrepareRow(int64_t r) {
    const KernelParams& p = *s_.params;
    const float scale = p.softcap > 0 ? p.scale / p.softcap : p.scale * kLog2E;
    const float* from = s_.Query(Token(r), Head(r));
    if (scores_.tiles) {
      if constexpr (kMayHaveTiles)
        CutQuery(from, scale, s_, r, rows_, m_.query_tiles);
    } else if (scores_.unpack == nullptr) {
      for (int64_t i = 0; i < s_.d; ++i)
        m_.q[i * kDirectRows + r] = from[i] * scale;
    } else {
      float* to = m_.q + r * s_.d_padded;
      ForEachVector(DF(), s_.d, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
        StorePart(hn::Mul(LoadPart(d, from + i, lanes), hn::Set(d, scale)), d,
                  to + i, lanes);
      });
    }
    m_.slope[r] =
        p.alibi > 0 ? kLog2E * AlibiSlope(Head(r), s_.heads, p.alibi) : 0;
    const KeyRange keys = s_.VisibleKeys(Token(r));
    m_.low[r] = static_cast<int32_t>(keys.low);
    m_.high[r] = static_cast<int32_t>(std::max(keys.low, keys.high));
  }

  void RunPart(int64_t part) {
    std::fill_n(m_.part, rows_ * s_.e_padded, 0.0f);
    std::fill_n(m_.part_sums, rows_ * kMaxLanes, 0.0f);
    std::fill_n(m_.part_most, rows_, kMinusInfinity);
    const int64_t low = std::max(keys_.low, part * kPart);
    const int64_t high = std::min(keys_.high, (part + 1) * kPart);
    for (int64_t first = low / kChunk * kChunk; first < high; first += kChunk)
      RunChunk(first, std::min(kChunk, high - first));
    const DF d;
    for (int64_t r = 0; r < rows_; ++r)
      m_.part_sum[r] =
          hn::ReduceSum(d, hn::LoadU(d, m_.part_sums + r * kMaxLanes));
  }

  void RunChunk(int64_t first, int64_t count) {
    int64_t begin = 0, end = rows_;
    while (begin < end && !Sees(begin, first, count)) ++begin;
    while (begin < end && !Sees(end - 1, first, count)) --end;
    if (begin == end) return;
    if (OnTiles()) {
      begin = begin / kRowsOfTile * kRowsOfTile;
      // Second parts stand behind the first ones of all rows.
      if (direct_) end = rows_;
    }
    const KvChunk chunk = {first, count, At(*s_.k, first), At(*s_.v, first)};
    Prepare(scores_, chunk, chunk.keys);
    Prefetcher keys(chunk.keys, end - begin), values(chunk.values, end - begin);
    const int64_t stripe = OnTiles() ? 2 * kRowsOfTile : kStripe;
    for (int64_t r = begin; r < end; r += stripe) {
      const int64_t last = std::min(end, r + stripe);
      scores_.rows(s_, m_, chunk, r, last, keys);
      if (r == begin) Prepare(mix_, chunk, chunk.values);
      SoftmaxChunk(s_, m_, block_, group_, first, count, r, last);
      mix_.rows(s_, m_, chunk, r, last, values);
    }
  }

  void Prepare(const Product& product, const KvChunk& chunk,
               const KvRows& rows) const {
    if (product.unpack != nullptr) return product.unpack(s_, m_, chunk);
    const int64_t bytes = kChunk * rows.bytes;
    AskForPages(rows.first + kPagesAhead * bytes, static_cast<size_t>(bytes));
  }

  bool OnTiles() const { return scores_.tiles || mix_.tiles; }

  bool Sees(int64_t r, int64_t first, int64_t count) const {
    return m_.low[r] < first + count && m_.high[r] > first;
  }

  // Keys or values of the block's slot and group from position `first` of a
  // chunk on; the stride is of positions, or of tiles.
  KvRows At(const View& v, int64_t first) const {
    if (v.rank < 4) {
      const int64_t stride = v.stride(0);
      return {v.data + group_ * v.stride(1) + first * stride, stride, stride};
    }
    const int64_t stride = v.stride(1);
    const std::byte* base =
        v.data + PageOf(v, slot_, first) * v.stride(0) + group_ * v.stride(2);
    if (v.layout == StateLayout::kRows)
      return {base + first * stride, stride, stride};
    return {base + TileOffset(v, first), stride, stride / kTilePositions};
  }

  void StoreRows(const float* values, const float* mosts,
                 const float* sums) const {
    for (int64_t r = 0; r < rows_; ++r)
      StoreResult(s_, Head(r), values + r * s_.e_padded, mosts[r], sums[r],
                  s_.Result(Token(r), Head(r)));
  }

 public:
  // Values over their sum; 0 for a query that saw nothing. A sink is one more
  // score, which has no value.
  static void StoreResult(const AttentionShape& s, int64_t head,
                          const float* values, float most, float sum,
                          float* result) {
    const DF d;
    float keep = 1;
    if (s.sinks != nullptr) {
      const hn::CappedTag<float, 1> d1;
      const auto before = hn::Set(d1, most);
      const auto sink = hn::Set(d1, s.sinks[head] * kLog2E);
      const auto largest = Finite(d1, hn::Ceil(hn::Max(before, sink)));
      keep = hn::GetLane(PowerOf2(d1, before, largest));
      sum = sum * keep + hn::GetLane(PowerOf2(d1, sink, largest));
    }
    const auto scale = hn::Set(d, sum == 0 ? 0.0f : keep / sum);
    ForEachVector(d, s.e, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(hn::Mul(scale, hn::LoadU(d, values + i)), d, result + i, lanes);
    });
  }

 private:
  const AttentionShape& s_;
  const AttentionScratch& m_;
  TokenBlock block_;
  int64_t group_;
  int64_t rows_;
  bool direct_;
  KeyRange keys_;
  int64_t slot_;
  Product scores_, mix_;
};

// Tasks [begin, end) of those that are parts.
void RunParts(const AttentionShape& s, const AttentionScratch& m,
              const KernelArgs& a, int64_t begin, int64_t end) {
  int64_t task = 0;
  for (int64_t t = 0; t < s.tokens && task < end;) {
    const TokenBlock block = s.BlockAt(t);
    const PartRange parts = s.Parts(block);
    for (int64_t group = 0; group < s.groups; ++group, task += parts.count()) {
      const int64_t first = std::max<int64_t>(0, begin - task);
      const int64_t last = std::min(parts.count(), end - task);
      if (first >= last) continue;
      BlockRunner block_runner(s, m, block, group);
      for (int64_t i = first; i < last; ++i)
        block_runner.RunAndKeep(a, parts.first + i);
    }
    t = block.end;
  }
}

// Tasks [begin, end) of those that are a group and a block. Blocks of a group
// follow each other, so that its keys and values stay in a core's cache; the
// last block, which sees the most of them, comes first, so that short tasks end
// the step and all threads end together.
void RunBlocks(const AttentionShape& s, const AttentionScratch& m,
               int64_t begin, int64_t end) {
  const int64_t blocks = s.CountBlocks();
  for (int64_t group = begin / blocks; group * blocks < end; ++group) {
    int64_t task = (group + 1) * blocks;
    for (int64_t t = 0; t < s.tokens;) {
      const TokenBlock block = s.BlockAt(t);
      --task;
      if (task >= begin && task < end) BlockRunner(s, m, block, group).RunAll();
      t = block.end;
    }
  }
}

template <bool kAmx>
void RunAttention(const KernelArgs& a, int64_t begin, int64_t end) {
  const AttentionShape s(a, kAmx);
  for (int64_t t = 0; t < s.tokens; ++t)
    if (!s.SlotExists(t))
      a.bad_index->store(s.Slot(t), std::memory_order_relaxed);
  const AttentionScratch m(s, a.scratch);
  if (s.Split()) {
    RunParts(s, m, a, begin, end);
  } else {
    RunBlocks(s, m, begin, end);
  }
  if constexpr (kAmx)
    if (s.key_tiles || s.value_tiles) GiveUpTiles();
}

template <bool kAmx>
int64_t ScratchBytes(const KernelArgs& a) {
  return AttentionScratch::Bytes(AttentionShape(a, kAmx));
}

// Adds the parts of tokens [begin, end) in order.
void FinishAttention(const KernelArgs& a, int64_t begin, int64_t end) {
  const AttentionShape s(a);
  const AttentionScratch m(s, a.scratch);
  for (int64_t t = begin; t < end; ++t) {
    const PartRange parts = s.Parts({t, t + 1});
    for (int64_t head = 0; head < s.heads; ++head) {
      float most = kMinusInfinity, sum = 0;
      std::fill_n(m.total, s.e_padded, 0.0f);
      for (int64_t i = parts.first; i < parts.end; ++i) {
        const float* part = s.Part(a, t, head, i);
        AddPart(part + AttentionShape::kPartHeader, part[0], part[1],
                s.e_padded, m.total, most, sum);
      }
      BlockRunner::StoreResult(s, head, m.total, most, sum, s.Result(t, head));
    }
  }
}

void AddKernels(TargetMask targets, KernelList& out) {
  out.push_back({.op = &kAttention,
                 .name = "attention",
                 .supports = AttentionShape::Supports,
                 .strided = 0b111,
                 .tasks = AttentionTasks,
                 .task_ns = AttentionTaskNs,
                 .work_depends_on_data = true,
                 .scratch_bytes = ScratchBytes<false>,
                 .shared_bytes = AttentionSharedBytes,
                 .run = RunAttention<false>,
                 .finish_tasks = AttentionFinishTasks,
                 .finish_ns = AttentionFinishNs,
                 .finish = FinishAttention,
                 .tiled_states = true});
  if constexpr (kMayHaveTiles)
    if ((targets & kAmxTarget) != 0) {
      out.back().scratch_bytes = ScratchBytes<true>;
      out.back().run = RunAttention<true>;
      out.back().tiles_have_own_order = true;
    }
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
void AddAttentionKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(targets, out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
