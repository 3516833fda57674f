#include "backends/cpu/kernels/attention_shape.h"

#include <algorithm>

#include "graph/encode_row.h"
#include "graph/plan.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t PadToVector(int64_t n) { return CeilDiv(n, kMaxLanes) * kMaxLanes; }

// Hands out consecutive arrays; from null, it counts bytes.
class Carver {
 public:
  explicit Carver(std::byte* memory) : memory_(memory) {}
  template <class T>
  T* Take(int64_t n) {
    const int64_t at = bytes_;
    bytes_ += AlignUp(n * static_cast<int64_t>(sizeof(T)));
    return memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + at);
  }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  int64_t bytes_ = 0;
};

// Tiles of so many rows (or columns) times so many columns that are summed
// over.
int64_t TileBytes(int64_t rows, int64_t columns) {
  return CeilDiv(rows, kRowsOfTile) * (columns / kColumnsOfTile) * kBytesOfTile;
}

int64_t CarveScratch(const AttentionShape& s, std::byte* memory,
                     AttentionScratch& m) {
  const int64_t rows = std::min(s.tokens, s.block_tokens) * s.heads_per_group;
  const int64_t d_blocks = CeilDiv(s.d, kKvBlock);
  const int64_t e_blocks = CeilDiv(s.e, kKvBlock);
  Carver c(memory);
  m.q = c.Take<float>(std::max(rows, kDirectRows) * s.d_padded);
  m.scores = c.Take<float>(rows * kChunk);
  m.part = c.Take<float>(rows * s.e_padded);
  m.total = c.Take<float>(rows * s.e_padded);
  m.part_sums = c.Take<float>(rows * kMaxLanes);
  for (float** array : {&m.part_most, &m.part_sum, &m.total_most, &m.total_sum,
                        &m.keep, &m.slope})
    *array = c.Take<float>(rows);
  m.low = c.Take<int32_t>(rows);
  m.high = c.Take<int32_t>(rows);
  m.keys = c.Take<float>(s.d * kChunk);
  m.key_scales = c.Take<float>(d_blocks * kChunk);
  m.values = c.Take<float>(kChunk * s.e_padded);
  m.value_scales = c.Take<float>(e_blocks * kChunk);
  m.row = c.Take<float>(std::max(d_blocks, e_blocks) * kKvBlock);
  m.query_tiles = m.key_tiles = m.weight_tiles = m.value_tiles = nullptr;
  m.tile_sums = nullptr;
  if (s.key_tiles || s.value_tiles)
    m.tile_sums = c.Take<float>(kPartsOfFloat * kRowsOfTile * kChunk);
  if (s.key_tiles) {
    m.query_tiles = c.Take<uint8_t>(kPartsOfFloat * TileBytes(rows, s.d));
    m.key_tiles = c.Take<uint8_t>(TileBytes(kChunk, s.d));
  }
  if (s.value_tiles) {
    m.weight_tiles =
        c.Take<uint8_t>(kPartsOfFloat * TileBytes(kRowsOfTile, kChunk));
    m.value_tiles = c.Take<uint8_t>(TileBytes(s.e, kChunk));
  }
  return c.bytes();
}

// Whether tile registers take keys or values: where no step is partly empty.
bool FitsTiles(const View& kv) {
  return kv.layout != StateLayout::kRows && kv.dtype == DType::kBF16 &&
         kv.dim(-1) % kColumnsOfTile == 0;
}

// Multiply-adds per nanosecond of one thread, roughly.
constexpr double kMultiplyAddsPerNs = 40;

// Nanoseconds of the whole step on one thread.
double TotalNs(const AttentionShape& s) {
  // Positions are read, since a context that is hardly filled costs little.
  double keys = 0;
  for (int64_t t = 0; t < s.tokens; ++t) {
    const KeyRange range = s.VisibleKeys(t);
    keys += static_cast<double>(std::max<int64_t>(0, range.high - range.low));
  }
  const double per_key = static_cast<double>(s.groups * (s.d + s.e)) *
                         (static_cast<double>(s.heads_per_group) + 2);
  return 50 * static_cast<double>(s.tokens) +
         keys * per_key / kMultiplyAddsPerNs;
}

}  // namespace

AttentionShape::AttentionShape(const KernelArgs& a, bool amx)
    : params(a.params), q(&a.in[0]), k(&a.in[1]), v(&a.in[2]), out(&a.out[0]) {
  size_t next = 3;
  if (params->has_pos) positions = a.in[next++].As<const int32_t>();
  if (params->has_slot) slots = a.in[next++].As<const int32_t>();
  if (params->has_bias) bias = &a.in[next++];
  if (params->has_sinks) sinks = a.in[next++].As<const float>();
  tokens = q->dim(0);
  heads = q->dim(1);
  const bool cached = k->rank == 4;
  n_slots = cached ? k->dim(0) : 1;
  n_keys = k->dim(cached ? 1 : 0);
  groups = k->dim(cached ? 2 : 1);
  heads_per_group = heads / groups;
  d = q->dim(2);
  e = v->dim(-1);
  d_padded = PadToVector(d);
  e_padded = PadToVector(e);
  block_tokens = std::max<int64_t>(1, kBlockRows / heads_per_group);
  key_tiles = amx && FitsTiles(*k);
  value_tiles = amx && FitsTiles(*v);
}

bool AttentionShape::Supports(const Graph& graph, const Node& node) {
  // States of the formats that they can have; plain keys and values are f32.
  return CanEncodeRow(graph.value(node.inputs[1]).type.dtype) &&
         CanEncodeRow(graph.value(node.inputs[2]).type.dtype);
}

KeyRange AttentionShape::VisibleKeys(int64_t token) const {
  if (!SlotExists(token)) return {0, 0};
  KeyRange range = {0, n_keys};
  if (positions == nullptr) return range;
  const int64_t pos = positions[token];
  if (params->causal) range.high = std::min(n_keys, pos + 1);
  if (params->window > 0)
    range.low = std::max<int64_t>(0, pos - params->window + 1);
  return range;
}

KeyRange AttentionShape::VisibleKeys(const TokenBlock& block) const {
  KeyRange all;
  for (int64_t t = block.begin; t < block.end; ++t) {
    const KeyRange one = VisibleKeys(t);
    if (one.empty()) continue;
    all = all.empty() ? one
                      : KeyRange{std::min(all.low, one.low),
                                 std::max(all.high, one.high)};
  }
  return all;
}

PartRange AttentionShape::Parts(const TokenBlock& block) const {
  const KeyRange keys = VisibleKeys(block);
  if (keys.empty()) return {};
  return {keys.low / kPart, CeilDiv(keys.high, kPart)};
}

Bias AttentionShape::BiasOf(int64_t token, int64_t head) const {
  if (bias == nullptr) return {};
  // Over a cache the scores are [T, H, 1, keys], else [H, T, keys].
  const bool cached = k->rank == 4;
  const int token_axis = cached ? -4 : -2, head_axis = -3;
  const auto step = [&](int axis, int64_t index) {
    return bias->rank + axis < 0 || bias->dim(axis) == 1
               ? 0
               : index * bias->stride(axis);
  };
  Bias out_bias;
  out_bias.row = reinterpret_cast<const float*>(
      bias->data + step(token_axis, token) + step(head_axis, head));
  out_bias.stride = bias->rank == 0 || bias->dim(-1) == 1 ? 0 : 1;
  return out_bias;
}

TokenBlock AttentionShape::BlockAt(int64_t token) const {
  TokenBlock block = {token, token + 1};
  const int64_t last = std::min(tokens, token + block_tokens);
  while (block.end < last && Slot(block.end) == Slot(token)) ++block.end;
  return block;
}

int64_t AttentionShape::CountBlocks() const {
  int64_t blocks = 0;
  for (int64_t t = 0; t < tokens; t = BlockAt(t).end) ++blocks;
  return blocks;
}

bool AttentionShape::Split() const {
  if (n_keys <= kPart || tokens > kMaxSplitTokens) return false;
  int64_t blocks = 0, parts = 0;
  for (int64_t t = 0; t < tokens; ++blocks) {
    const TokenBlock block = BlockAt(t);
    parts += Parts(block).count();
    t = block.end;
  }
  return blocks * groups < kEnoughTasks && parts > blocks;
}

float* AttentionShape::Part(const KernelArgs& a, int64_t token, int64_t head,
                            int64_t part) const {
  const int64_t parts = CeilDiv(n_keys, kPart);
  return reinterpret_cast<float*>(a.shared) +
         ((token * heads + head) * parts + part) * part_stride();
}

AttentionScratch::AttentionScratch(const AttentionShape& s, std::byte* memory) {
  CarveScratch(s, memory, *this);
}

int64_t AttentionScratch::Bytes(const AttentionShape& s) {
  AttentionScratch none(s, nullptr);
  return CarveScratch(s, nullptr, none);
}

int64_t AttentionTasks(const KernelArgs& a) {
  const AttentionShape s(a);
  if (!s.Split()) return s.CountBlocks() * s.groups;
  int64_t parts = 0;
  for (int64_t t = 0; t < s.tokens;) {
    const TokenBlock block = s.BlockAt(t);
    parts += s.Parts(block).count();
    t = block.end;
  }
  return parts * s.groups;
}

double AttentionTaskNs(const KernelArgs& a) {
  const int64_t tasks = std::max<int64_t>(1, AttentionTasks(a));
  return TotalNs(AttentionShape(a)) / static_cast<double>(tasks);
}

int64_t AttentionSharedBytes(const KernelArgs& a) {
  const AttentionShape s(a);
  if (s.n_keys <= kPart) return 0;
  return std::min(s.tokens, kMaxSplitTokens) * s.heads *
         CeilDiv(s.n_keys, kPart) * s.part_stride() *
         static_cast<int64_t>(sizeof(float));
}

int64_t AttentionFinishTasks(const KernelArgs& a) {
  const AttentionShape s(a);
  return s.Split() ? s.tokens : 0;
}

double AttentionFinishNs(const KernelArgs& a) {
  const AttentionShape s(a);
  const double parts = static_cast<double>(CeilDiv(s.n_keys, kPart));
  return static_cast<double>(s.heads * s.e_padded) * parts / 16;
}

}  // namespace cpu
}  // namespace weft::inline v0
