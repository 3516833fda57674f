// Integer products of panels with 8-bit activations on tile registers (AMX).
// Per-target code, for targets with 16 lanes of 32 bits.
//
// The same definition as in dot-inl.h, and the same bits. A tile instruction
// sums over 64 columns at once. Formats with integer scales are multiplied with
// them first: scale * (code - bias) has 16 bits, whose low and high bytes are
// two operands (planes); their products are exact, and a group needs two
// results of 16 tokens x 16 rows. Formats with floats as scales need a result
// of each sub-block, and tiles of 32 columns.
//
// 256 rows are computed together, group by group: their panels are unpacked
// into L2, and 32 tokens, copied side by side into L1, pass by all of them
// before the next 32 do. Two panels and 32 tokens are a stage. While its tiles
// are multiplied, vectors turn those of the stage before into floats.
//
// Emerald Rapids, one thread, 2048 x 2048, 512 tokens, GOP/s, medians of three
// sittings, vectors | two panels in L1 and tokens from L2, as was done before |
// this: q4_k 318 .. 382 | 458 .. 634 | 610 .. 754, q6_k 227 .. 298 | 339 .. 634
// | 456 .. 774, q8_0 314 .. 391 | 356 .. 430 | 428 .. 477; two threads 1.36,
// 1.33 and 1.22 times what was before. In some seconds, it seems while another
// guest has the core's second thread, a load of a tile waits for the products
// before it (16 of each take 440 ns, not 100): so loads come first.
//
// Tiles alone would reach 2,300 with two planes. What the rest is, by leaving
// it out: floats of results 27 %, sums that come from L2 and not L1 9,
// unpacking (before amx_panel-inl.h) 9, copies of tokens 6. Tried, this being
// 1: 128 rows 0.94; 64, 96, 128 or 512 tokens at a time 0.93 to 0.97; two
// groups before the next tokens 0.9; results that wait for a second stage 0.93;
// asking for sums ahead 0.94. Of 32 tokens 64 or 32 rows together: 0.88, 0.8.
#if defined(WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#undef WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#else
#define WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
#endif

#include <algorithm>

#include "backends/cpu/quant/amx_panel-inl.h"
#include "backends/cpu/quant/matmul-inl.h"
#include "backends/cpu/quant/tiles-inl.h"

#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX3_DL

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

// With fewer tokens vectors are about as fast. Two threads, weights from
// memory, GOP/s by turns, vectors | tiles: 24 tokens q4_k 473 | 424, q6_k 427 |
// 424, q8_0 426 | 377; 32 tokens 454 | 579, 362 | 542, 397 | 415. Whole prefill
// of 48 tokens, Q8_0, medians of seven: 208 | 212 tokens/s.
template <class C>
constexpr int64_t kLeastAmxTokens = kPlanes<C> ? 32 : 48;

// ---- Stages ----

// Rows that are computed together, if a call has as many tasks.
constexpr int64_t kAmxRows = 256;
constexpr int kPair = 2;
static_assert(kPair * kLanes == kTaskRows && kAmxRows % kTaskRows == 0);
constexpr int kStageTokens = 2 * kTileRows;

// Results of a stage, two times what result tiles hold. With planes: of each
// panel, for 16 tokens and then the next 16, low and high bytes. Without: of
// each sub-block, for the same tokens, both panels.
using TileResult = int32_t[kTileRows][kLanes];
constexpr int kStageTiles = 8;
constexpr int kStageSubs = 2;

// Two panels, one group or two sub-blocks of one, 32 tokens.
template <class C>
struct AmxStage {
  const AmxPanel<C>* panels;
  const int8_t* q;          // [tokens][kGroupSize]
  const Activations<C>* x;  // of the first token
  size_t x_stride;          // bytes
  int tokens = 0;           // 0: there is nothing to be done
  int sub, subs;            // without planes: the first, and how many
  bool first;               // y holds nothing yet
  float* y;                 // [tokens][kTaskRows]
  TileResult* results;

  HWY_INLINE const Activations<C>& Token(int t) const {
    return *reinterpret_cast<const Activations<C>*>(
        reinterpret_cast<const uint8_t*>(x) +
        static_cast<size_t>(t) * x_stride);
  }
};

// What vectors have to do comes between a stage's steps: out of order execution
// does not reach from one end of a stage to the other.
template <class C>
constexpr int kStageSteps = kPlanes<C> ? 8 : kStageSubs;

// Stores a result where it is needed again and not before: it is long complete.
template <int kTile>
HWY_INLINE void NextTile(TileResult* before) {
  StoreTile<kTile>(before[kTile], 64);
  ZeroTile<kTile>();
}

// Step kK of a panel: 64 columns, four products of two token tiles and two
// planes. Loads come first: where they have to wait for products, they do it
// once.
template <class C, int kK>
HWY_INLINE void MultiplyPlanes(const AmxStage<C>& s, const AmxPanel<C>& p,
                               TileResult* before) {
  const int8_t* q = s.q + 64 * kK;
  // A second tile of tokens that does not exist reads the first one.
  const int second = s.tokens > kTileRows ? kTileRows * kGroupSize : 0;
  LoadTile<4>(q, kGroupSize);
  LoadTile<6>(p.low[16 * kK], 64);
  LoadTile<7>(p.high[16 * kK], 64);
  LoadTile<5>(q + second, kGroupSize);
  if (kK == 0) NextTile<0>(before);
  MultiplyUnsigned<0, 4, 6>();
  if (kK == 0) NextTile<1>(before);
  MultiplySigned<1, 4, 7>();
  if (kK == 0) NextTile<2>(before);
  MultiplyUnsigned<2, 5, 6>();
  if (kK == 0) NextTile<3>(before);
  MultiplySigned<3, 5, 7>();
}

// Sub-block j: four products of two token tiles and two panels.
template <class C>
HWY_INLINE void MultiplySub(const AmxStage<C>& s, int j, TileResult* before) {
  constexpr int kSteps = C::kSub / 4;
  const int8_t* q = s.q + j * C::kSub;
  const int second = s.tokens > kTileRows ? kTileRows * kGroupSize : 0;
  LoadTile<4>(q, kGroupSize);
  LoadTile<6>(s.panels[0].codes[j * kSteps], 64);
  LoadTile<7>(s.panels[1].codes[j * kSteps], 64);
  LoadTile<5>(q + second, kGroupSize);
  NextTile<0>(before);
  MultiplySigned<0, 4, 6>();
  NextTile<1>(before);
  MultiplySigned<1, 4, 7>();
  NextTile<2>(before);
  MultiplySigned<2, 5, 6>();
  NextTile<3>(before);
  MultiplySigned<3, 5, 7>();
}

// Adds the results of tokens [begin, end) to y, of both panels side by side:
// they share what is read of a token.
template <class C>
  requires(kPlanes<C>)
HWY_INLINE void FinishTokens(const AmxStage<C>& s, int begin, int end) {
  const DF32 df;
  const DI di;
  const DI16 d16;
  constexpr int kPairs = C::kMins == Mins::kPaired ? AmxPanel<C>::kSubs / 2 : 0;
  end = std::min(end, s.tokens);
  if (begin >= end) return;
  // In registers: y could be the panel's memory for all that the compiler
  // knows.
  VI min_pairs[kPair][kPairs + 1];
  VF32 d[kPair], min_d[kPair];
  HWY_UNROLL(2) for (int r = 0; r < kPair; ++r) {
    const AmxPanel<C>& p = s.panels[r];
    HWY_UNROLL(8)
    for (int j = 0; j < kPairs; ++j)
      min_pairs[r][j] = hn::Load(di, p.min_pairs[j]);
    d[r] = hn::Load(df, p.d);
    if constexpr (kPairs != 0) min_d[r] = hn::Load(df, p.mins[0]);
  }
  for (int t = begin; t < end; ++t) {
    const Activations<C>& x = s.Token(t);
    const TileResult* results = s.results + 2 * (t / kTileRows);
    VI even[kPair], odd[kPair];
    HWY_UNROLL(2)
    for (int r = 0; r < kPair; ++r) even[r] = odd[r] = hn::Zero(di);
    HWY_UNROLL(8) for (int j = 0; j < kPairs; ++j) {
      int32_t pair;
      std::memcpy(&pair, SumsOf<C>(x) + 2 * j, sizeof(pair));
      const auto sums = hn::BitCast(d16, hn::Set(di, pair));
      HWY_UNROLL(2)
      for (int r = 0; r < kPair; ++r)
        even[r] = hn::ReorderWidenMulAccumulate(
            di, hn::BitCast(d16, min_pairs[r][j]), sums, even[r], odd[r]);
    }
    HWY_UNROLL(2) for (int r = 0; r < kPair; ++r) {
      float* y = s.y + t * kTaskRows + r * kLanes;
      VF32 part = hn::Zero(df);
      if constexpr (kPairs != 0)
        part = hn::Mul(hn::ConvertTo(df, hn::Add(even[r], odd[r])), min_d[r]);
      const TileResult* low = results + 4 * r;
      const VI sum =
          hn::Add(hn::Load(di, low[0][t % kTileRows]),
                  hn::ShiftLeft<8>(hn::Load(di, low[1][t % kTileRows])));
      part = hn::MulSub(hn::ConvertTo(df, sum), d[r], part);
      const VF32 before = s.first ? hn::Zero(df) : hn::Load(df, y);
      hn::Store(hn::MulAdd(part, hn::Set(df, x.d), before), df, y);
    }
  }
}

template <class C>
  requires(!kPlanes<C>)
HWY_INLINE void FinishTokens(const AmxStage<C>& s, int begin, int end) {
  const DF32 df;
  const DI di;
  end = std::min(end, s.tokens);
  if (begin >= end) return;
  VF32 scales[kStageSubs][kPair], mins[kStageSubs][kPair];
  HWY_UNROLL(2)
  for (int j = 0; j < kStageSubs; ++j) {
    HWY_UNROLL(2) for (int r = 0; r < kPair; ++r) {
      const AmxPanel<C>& p = s.panels[r];
      scales[j][r] = hn::Load(df, p.scales[s.sub + j]);
      if constexpr (C::kMins == Mins::kFloat)
        mins[j][r] = hn::Load(df, p.mins[s.sub + j]);
    }
  }
  for (int t = begin; t < end; ++t) {
    const Activations<C>& x = s.Token(t);
    const TileResult* results = s.results + 2 * (t / kTileRows);
    float* to = s.y + t * kTaskRows;
    VF32 y[kPair];
    HWY_UNROLL(2)
    for (int r = 0; r < kPair; ++r)
      y[r] = s.first ? hn::Zero(df) : hn::Load(df, to + r * kLanes);
    HWY_UNROLL(2) for (int j = 0; j < kStageSubs; ++j) {
      if (j == s.subs) break;
      const float d = x.d[s.sub + j];
      HWY_UNROLL(2) for (int r = 0; r < kPair; ++r) {
        const VI dots = hn::Load(di, results[4 * j + r][t % kTileRows]);
        y[r] = hn::MulAdd(hn::ConvertTo(df, dots),
                          hn::Mul(scales[j][r], hn::Set(df, d)), y[r]);
        if constexpr (C::kMins == Mins::kFloat) {
          const auto sum = static_cast<float>(SumsOf<C>(x)[s.sub + j]);
          y[r] = hn::NegMulAdd(mins[j][r], hn::Set(df, d * sum), y[r]);
        }
      }
    }
    HWY_UNROLL(2)
    for (int r = 0; r < kPair; ++r) hn::Store(y[r], df, to + r * kLanes);
  }
}

// One stage on tile registers, the one before on vectors.
template <class C>
class AmxPipeline {
 public:
  using Results = TileResult[2][kStageTiles];

  // Tile registers keep their shape, and so what they hold, until it is ended.
  HWY_INLINE AmxPipeline(int tokens, Results& results)
      : results_(results), open_(results[0]) {
    TileConfig(tokens, kPlanes<C> ? 64 : C::kSub).Load();
  }

  HWY_INLINE void Run(const AmxStage<C>& next) {
    AmxStage<C>& now = stages_[at_];
    const AmxStage<C>& before = stages_[at_ ^ 1];
    now = next;
    now.results = results_[at_];
    at_ ^= 1;
    int token = 0;
    for (int i = 0; i < 2; ++i) {
      if constexpr (kPlanes<C>) {
        MultiplyPlanes<C, 0>(now, now.panels[i], open_);
        token = FinishSome(before, token);
        MultiplyPlanes<C, 1>(now, now.panels[i], nullptr);
        token = FinishSome(before, token);
        MultiplyPlanes<C, 2>(now, now.panels[i], nullptr);
        token = FinishSome(before, token);
        MultiplyPlanes<C, 3>(now, now.panels[i], nullptr);
      } else {
        // A sub-block that does not exist is another one again.
        MultiplySub(now, now.sub + (i < now.subs ? i : 0), open_);
      }
      open_ = now.results + 4 * i;
      token = FinishSome(before, token);
    }
  }

  // What is left of the last stages.
  HWY_INLINE void End() {
    StoreTile<0>(open_[0], 64), StoreTile<1>(open_[1], 64);
    StoreTile<2>(open_[2], 64), StoreTile<3>(open_[3], 64);
    const AmxStage<C>& last = stages_[at_ ^ 1];
    FinishTokens(last, 0, last.tokens);
  }

 private:
  // A step's share of a stage's tokens, from `token` on; returns where it ends.
  static HWY_INLINE int FinishSome(const AmxStage<C>& s, int token) {
    const int end = token + kStageTokens / kStageSteps<C>;
    FinishTokens(s, token, end);
    return end;
  }

  Results& results_;
  AmxStage<C> stages_[2];
  int at_ = 0;
  TileResult* open_;  // where what result tiles hold goes
};

template <class C>
struct AmxScratch {
  alignas(64) float y[kAmxRows / kTaskRows][kTokenChunk][kTaskRows];
  alignas(64) uint8_t rows[kLanes * kGroupBytes<C>];
  AmxPanel<C> panels[kAmxRows / kLanes];
  alignas(64) int8_t q[kStageTokens][kGroupSize];
  alignas(64) TileResult results[2][kStageTiles];
};

// Rows and tokens of one group: `panels` of the scratch, and tokens [first,
// first + count) that begin `at` places behind a chunk's first.
struct AmxGroup {
  int group;
  int panels;
  int64_t first, count, at;
  const uint8_t* next;  // what is unpacked next, so far as is known, or null
};

// Asks for what the panels [r, r + 2) of the next group are unpacked from, or,
// where there are two more, for half of it and of theirs, so that four pages
// are read side by side (AskOrder::kByTurns). 32 tokens from memory, one
// thread, two: q4_k 1.02, 1.08 times as fast, q6_k 1.24, 1.08, q8_0 1.
template <class C>
HWY_INLINE void AskForNext(const MatMulArgs& m, const AmxGroup& g, int r) {
  constexpr size_t kBytes = kPackedRows * kGroupBytes<C>;
  constexpr size_t kHalf = kBytes / 2 / 64 * 64;
  const auto stride = static_cast<size_t>(kPackedRows * m.w->stride(0));
  const int first = r / (2 * kPair) * (2 * kPair);
  const bool four = first + 2 * kPair <= g.panels;
  const int begin = four ? first : r;
  const int end = four ? first + 2 * kPair : std::min(r + kPair, g.panels);
  const size_t from_line = four && r != first ? kHalf : 0;
  const size_t to_line = four && r == first ? kHalf : kBytes;
  for (size_t line = from_line; line < to_line; line += 64)
    for (int p = begin; p < end; ++p)
      PrefetchL2(g.next + static_cast<size_t>(p) * stride + line);
}

// `some` tokens at a time, as many as tile registers are set up for; they
// divide g.count.
template <class C>
HWY_NOINLINE void MultiplyTokens(const MatMulArgs& m, const AmxGroup& g,
                                 int some, AmxScratch<C>& s) {
  const DI8 d8;
  AmxPipeline<C> pipeline(some, s.results);
  AmxStage<C> stage{};
  stage.q = s.q[0];
  stage.x_stride = static_cast<size_t>(m.x->Row(1) - m.x->Row(0));
  stage.tokens = some;
  const int subs = m.subs_of(g.group, C::kSub);
  for (int64_t t = 0; t < g.count; t += some) {
    stage.x = m.x->template RowAs<const Activations<C>>(g.first + t) + g.group;
    for (int i = 0; i < some; ++i) {
      const auto* q = stage.Token(i).q;
      for (int k = 0; k < kGroupSize; k += 4 * kLanes)
        hn::Store(hn::LoadU(d8, q + k), d8, s.q[i] + k);
      if (t + i + some >= g.count) continue;
      const auto* next =
          reinterpret_cast<const uint8_t*>(&stage.Token(i + some));
      for (size_t line = 0; line < sizeof(Activations<C>); line += 64)
        PrefetchL2(next + line);
    }
    for (int r = 0; r < g.panels; r += kPair) {
      stage.panels = &s.panels[r];
      stage.y = s.y[r / kPair][g.at + t];
      stage.first = g.group == 0;
      if (t == 0 && g.next != nullptr) AskForNext<C>(m, g, r);
      if constexpr (kPlanes<C>) {
        pipeline.Run(stage);
      } else {
        for (int j = 0; j < subs; j += kStageSubs) {
          stage.sub = j, stage.subs = std::min(kStageSubs, subs - j);
          pipeline.Run(stage);
          stage.first = false;
        }
      }
    }
  }
  pipeline.End();
}

// Group g of `rows` rows from `row` on, tokens [first, first + count), to the
// scratch's y. Of a last panel without company the other one's results are
// nobody's.
template <class C>
void MultiplyGroup(const MatMulArgs& m, int64_t row, int64_t rows, int g,
                   int64_t first, int64_t count, AmxScratch<C>& s) {
  const auto panels = static_cast<int>((rows + kLanes - 1) / kLanes);
  for (int r = 0; r < panels; ++r)
    UnpackPanel<C, AmxPanel<C>>(m, row + r * kLanes, g, s.rows, &s.panels[r]);
  const uint8_t* next = nullptr;
  if (m.packed() && g + 1 < m.groups()) {
    next = PackedPanel(m, row).At((g + 1) * kGroupBytes<C>).data;
  } else if (m.packed() && first + count < m.x->rows()) {
    next = PackedPanel(m, row).data;
  } else if (m.packed() && row + rows < m.w->dim(0)) {
    next = PackedPanel(m, row + rows).data;
  }
  const int64_t whole = count / kStageTokens * kStageTokens;
  if (whole > 0)
    MultiplyTokens(m, {g, panels, first, whole, 0, next}, kStageTokens, s);
  if (whole < count)
    MultiplyTokens(m, {g, panels, first + whole, count - whole, whole, nullptr},
                   static_cast<int>(count - whole), s);
}

// Few tokens take the other kernel's.
template <class C>
int64_t AmxScratchBytes(const KernelArgs& a) {
  return std::max(int64_t{sizeof(AmxScratch<C>)}, BlocksScratch<C>(a));
}

template <class C>
void QMatMulAmx(const KernelArgs& a, int64_t begin, int64_t end) {
  const MatMulArgs m = {&a.in[1], &a.in[0], &a.out[0]};
  const int64_t tokens = m.x->rows();
  if (tokens < kLeastAmxTokens<C> || !m.even())
    return QMatMulFast<C, Dots::kTarget>(a, begin, end);
  auto& scratch = *reinterpret_cast<AmxScratch<C>*>(a.scratch);
  const bool may_stream = MayStream(a);
  const int64_t rows = std::min(m.w->dim(0), end * kTaskRows);
  for (int64_t row = begin * kTaskRows; row < rows; row += kAmxRows) {
    const int64_t some = std::min(kAmxRows, rows - row);
    for (int64_t first = 0; first < tokens; first += kTokenChunk) {
      const int64_t count = std::min(kTokenChunk, tokens - first);
      for (int g = 0; g < m.groups(); ++g)
        MultiplyGroup<C>(m, row, some, g, first, count, scratch);
      for (int64_t at = 0; at < some; at += kTaskRows)
        StoreRows(m, row + at, std::min(kTaskRows, some - at), first, count,
                  scratch.y[at / kTaskRows][0], kTaskRows, may_stream);
    }
  }
  ReleaseTiles();
  hwy::FlushStream();
  AddBiasAndActivate(a, begin * kTaskRows, rows);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // AVX3_DL

#endif  // WEFT_BACKENDS_CPU_QUANT_AMX_INL_H_
