// Fused attention: the scores of a query exist only for one chunk of keys at a
// time.
//
// Keys are taken in chunks of kChunk positions counted from position 0, with a
// running maximum and sum (Dao et al. 2022, arXiv:2205.14135), so that a query's
// result does not depend on which other queries or threads there are. A task is
// a run of tokens times one group of heads, which share their keys and values:
// a chunk is unpacked once for all of them.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "hwy/contrib/math/math-inl.h"
//
#include <algorithm>
#include <limits>

#include "backends/cpu/decode-inl.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/attention_shape.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/fused.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE VF LoadKv(DF d, const std::byte* row, DType dtype, int64_t i,
                     int64_t lanes) {
  switch (dtype) {
    case DType::kF16:
      return LoadValues(d, reinterpret_cast<const BlockF16*>(row) + i, lanes);
    case DType::kBF16:
      return LoadValues(d, reinterpret_cast<const BlockBF16*>(row) + i, lanes);
    default:
      return LoadValues(d, reinterpret_cast<const BlockF32*>(row) + i, lanes);
  }
}

// Keys of positions [first, first + n) as f32 [D][kChunk], so that scores of
// neighbouring positions are lanes of one vector; zero beyond n.
void UnpackKeys(const AttentionShape& s, int64_t slot, int64_t group,
                int64_t first, int64_t n, float* keys, float* row) {
  const DF d;
  for (int64_t j = 0; j < n; ++j) {
    const std::byte* from = s.KeyRow(slot, group, first + j);
    ForEachVector(d, s.d, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(LoadKv(d, from, s.k->dtype, i, lanes), d, row + i, lanes);
    });
    for (int64_t i = 0; i < s.d; ++i) keys[i * kChunk + j] = row[i];
  }
  for (int64_t i = 0; i < s.d; ++i)
    std::fill(keys + i * kChunk + n, keys + (i + 1) * kChunk, 0.0f);
}

// Values of those positions as f32 [n][e_padded].
void UnpackValues(const AttentionShape& s, int64_t slot, int64_t group,
                  int64_t first, int64_t n, float* values) {
  const DF d;
  for (int64_t j = 0; j < n; ++j) {
    const std::byte* from = s.ValueRow(slot, group, first + j);
    float* to = values + j * s.e_padded;
    ForEachVector(d, s.e, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(LoadKv(d, from, s.v->dtype, i, lanes), d, to + i, lanes);
    });
    std::fill(to + s.e, to + s.e_padded, 0.0f);
  }
}

// scores[j] = q . key j for the whole chunk.
void Scores(const AttentionShape& s, const float* q, const float* keys,
            float* scores) {
  const DF d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  // Four sums at a time hide the latency of a multiply-add.
  for (int64_t j = 0; j < kChunk; j += 4 * n) {
    auto s0 = hn::Zero(d), s1 = hn::Zero(d), s2 = hn::Zero(d),
         s3 = hn::Zero(d);
    for (int64_t i = 0; i < s.d; ++i) {
      const auto x = hn::Set(d, q[i]);
      const float* k = keys + i * kChunk + j;
      s0 = hn::MulAdd(x, hn::LoadU(d, k), s0);
      s1 = hn::MulAdd(x, hn::LoadU(d, k + n), s1);
      s2 = hn::MulAdd(x, hn::LoadU(d, k + 2 * n), s2);
      s3 = hn::MulAdd(x, hn::LoadU(d, k + 3 * n), s3);
    }
    hn::StoreU(s0, d, scores + j);
    hn::StoreU(s1, d, scores + j + n);
    hn::StoreU(s2, d, scores + j + 2 * n);
    hn::StoreU(s3, d, scores + j + 3 * n);
  }
}

// Scale, soft-cap, bias and mask; keys outside [low, high) become -inf. Returns
// the largest score.
float Shape(const AttentionShape& s, const Bias& bias, int64_t first,
            int64_t low, int64_t high, float* scores) {
  const DF d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const float infinity = std::numeric_limits<float>::infinity();
  auto most = hn::Set(d, -infinity);
  for (int64_t j = 0; j < kChunk; j += n) {
    auto x = hn::Mul(hn::LoadU(d, scores + j), hn::Set(d, s.params->scale));
    if (s.params->softcap > 0) {
      const auto cap = hn::Set(d, s.params->softcap);
      x = hn::Mul(cap, hn::Tanh(d, hn::Div(x, cap)));
    }
    hn::StoreU(x, d, scores + j);
  }
  if (bias.row != nullptr)
    for (int64_t j = std::max(low, first); j < std::min(high, first + kChunk);
         ++j)
      scores[j - first] += bias.At(j);
  for (int64_t j = 0; j < kChunk; ++j)
    if (first + j < low || first + j >= high) scores[j] = -infinity;
  for (int64_t j = 0; j < kChunk; j += n)
    most = hn::Max(most, hn::LoadU(d, scores + j));
  return hn::ReduceMax(d, most);
}

// scores[j] = exp(scores[j] - most); returns their sum.
float Exponentials(float most, float* scores) {
  const DF d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  for (int64_t j = 0; j < kChunk; j += n) {
    const auto p =
        hn::Exp(d, hn::Sub(hn::LoadU(d, scores + j), hn::Set(d, most)));
    hn::StoreU(p, d, scores + j);
    sum = hn::Add(sum, p);
  }
  return hn::ReduceSum(d, sum);
}

// out = out * keep + sum over j of p[j] * value j.
void AddValues(const AttentionShape& s, const float* p, int64_t count,
               float keep, const float* values, float* out) {
  const DF d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const auto scale = hn::Set(d, keep);
  int64_t e = 0;
  for (; e + 4 * n <= s.e_padded; e += 4 * n) {
    auto o0 = hn::Mul(scale, hn::LoadU(d, out + e));
    auto o1 = hn::Mul(scale, hn::LoadU(d, out + e + n));
    auto o2 = hn::Mul(scale, hn::LoadU(d, out + e + 2 * n));
    auto o3 = hn::Mul(scale, hn::LoadU(d, out + e + 3 * n));
    for (int64_t j = 0; j < count; ++j) {
      const auto x = hn::Set(d, p[j]);
      const float* v = values + j * s.e_padded + e;
      o0 = hn::MulAdd(x, hn::LoadU(d, v), o0);
      o1 = hn::MulAdd(x, hn::LoadU(d, v + n), o1);
      o2 = hn::MulAdd(x, hn::LoadU(d, v + 2 * n), o2);
      o3 = hn::MulAdd(x, hn::LoadU(d, v + 3 * n), o3);
    }
    hn::StoreU(o0, d, out + e);
    hn::StoreU(o1, d, out + e + n);
    hn::StoreU(o2, d, out + e + 2 * n);
    hn::StoreU(o3, d, out + e + 3 * n);
  }
  for (; e < s.e_padded; e += n) {
    auto o = hn::Mul(scale, hn::LoadU(d, out + e));
    for (int64_t j = 0; j < count; ++j)
      o = hn::MulAdd(hn::Set(d, p[j]),
                     hn::LoadU(d, values + j * s.e_padded + e), o);
    hn::StoreU(o, d, out + e);
  }
}

// One query over one chunk of keys: updates its running maximum, sum and
// weighted values.
void Update(const AttentionShape& s, const AttentionScratch& scratch,
            int64_t token, int64_t head, int64_t query, int64_t first,
            int64_t count) {
  const KeyRange range = s.VisibleKeys(token);
  if (range.low >= first + kChunk || range.high <= first) return;
  QueryState& state = scratch.states[query];
  Scores(s, s.Query(token, head), scratch.keys, scratch.scores);
  const float most =
      std::max(state.most, Shape(s, s.BiasOf(token, head), first, range.low,
                                 range.high, scratch.scores));
  // Nothing visible yet, or nothing but -inf from the bias.
  if (most == -std::numeric_limits<float>::infinity()) return;
  const float keep =
      state.sum == 0 ? 0.0f
                     : hn::GetLane(hn::Exp(hn::CappedTag<float, 1>(),
                                           hn::Set(hn::CappedTag<float, 1>(),
                                                   state.most - most)));
  state.sum = state.sum * keep + Exponentials(most, scratch.scores);
  state.most = most;
  AddValues(s, scratch.scores, count, keep, scratch.values,
            scratch.outputs + query * s.e_padded);
}

// Tokens [begin, end) of one slot, heads of one group.
void RunGroup(const AttentionShape& s, const AttentionScratch& scratch,
              int64_t begin, int64_t end, int64_t group) {
  const int64_t heads = s.heads_per_group;
  const int64_t queries = (end - begin) * heads;
  for (int64_t q = 0; q < queries; ++q)
    scratch.states[q] = s.sinks == nullptr
                            ? QueryState()
                            : QueryState{s.sinks[group * heads + q % heads], 1};
  std::fill(scratch.outputs, scratch.outputs + queries * s.e_padded, 0.0f);
  KeyRange keys = s.VisibleKeys(begin);
  for (int64_t t = begin + 1; t < end; ++t) {
    const KeyRange more = s.VisibleKeys(t);
    keys.low = std::min(keys.low, more.low);
    keys.high = std::max(keys.high, more.high);
  }
  const int64_t slot = s.Slot(begin);
  for (int64_t first = keys.low / kChunk * kChunk; first < keys.high;
       first += kChunk) {
    const int64_t count = std::min(kChunk, s.n_keys - first);
    UnpackKeys(s, slot, group, first, count, scratch.keys, scratch.scores);
    UnpackValues(s, slot, group, first, count, scratch.values);
    for (int64_t q = 0; q < queries; ++q)
      Update(s, scratch, begin + q / heads, group * heads + q % heads, q,
             first, count);
  }
  const DF d;
  for (int64_t q = 0; q < queries; ++q) {
    const float sum = scratch.states[q].sum;
    const auto scale = hn::Set(d, sum == 0 ? 0.0f : 1.0f / sum);
    const float* from = scratch.outputs + q * s.e_padded;
    float* to = s.Result(begin + q / heads, group * heads + q % heads);
    ForEachVector(d, s.e, [&](auto, int64_t i, int64_t lanes) HWY_ATTR {
      StorePart(hn::Mul(scale, hn::LoadU(d, from + i)), d, to + i, lanes);
    });
  }
}

void RunAttention(const KernelArgs& a, int64_t begin, int64_t end) {
  const AttentionShape s(a);
  const AttentionScratch scratch(s, a.scratch);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first = task / s.groups * kTokensPerTask;
    const int64_t last = std::min(s.tokens, first + kTokensPerTask);
    // Tokens of other sequences read other keys: split the run there.
    for (int64_t t = first; t < last;) {
      int64_t next = t + 1;
      while (next < last && s.Slot(next) == s.Slot(t)) ++next;
      RunGroup(s, scratch, t, next, task % s.groups);
      t = next;
    }
  }
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kAttention,
                 .name = "attention",
                 .supports = AttentionShape::Supports,
                 .strided = 0b111,
                 .tasks = AttentionTasks,
                 .task_ns = AttentionTaskNs,
                 .cost_depends_on_data = true,
                 .scratch_bytes = AttentionScratch::Bytes,
                 .run = RunAttention});
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
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
