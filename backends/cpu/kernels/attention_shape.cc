#include "backends/cpu/kernels/attention_shape.h"

#include <algorithm>

#include "graph/plan.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

int64_t PadToVector(int64_t n) {
  return (n + kMaxLanes - 1) / kMaxLanes * kMaxLanes;
}

bool IsPlain(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

// Offsets of one worker's buffers; `total` is their size.
struct Layout {
  explicit Layout(const AttentionShape& s) {
    const int64_t queries =
        std::min(s.tokens, kTokensPerTask) * s.heads_per_group;
    constexpr int64_t kFloat = sizeof(float);
    values = AlignUp(s.d * kChunk * kFloat);
    outputs = values + AlignUp(kChunk * s.e_padded * kFloat);
    scores = outputs + AlignUp(queries * s.e_padded * kFloat);
    states = scores + AlignUp(std::max(kChunk, s.d) * kFloat);
    total = states +
            AlignUp(queries * static_cast<int64_t>(sizeof(QueryState)));
  }
  int64_t values, outputs, scores, states, total;
};

}  // namespace

AttentionShape::AttentionShape(const KernelArgs& a)
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
  e_padded = PadToVector(e);
}

bool AttentionShape::Supports(const Graph& graph, const Node& node) {
  return IsPlain(graph.value(node.inputs[1]).type.dtype) &&
         IsPlain(graph.value(node.inputs[2]).type.dtype);
}

KeyRange AttentionShape::VisibleKeys(int64_t token) const {
  if (Slot(token) < 0 || Slot(token) >= n_slots) return {0, 0};
  KeyRange range = {0, n_keys};
  if (positions == nullptr) return range;
  const int64_t pos = positions[token];
  if (params->causal) range.high = std::min(n_keys, pos + 1);
  if (params->window > 0)
    range.low = std::max<int64_t>(0, pos - params->window + 1);
  return range;
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

AttentionScratch::AttentionScratch(const AttentionShape& s,
                                   std::byte* memory) {
  const Layout layout(s);
  keys = reinterpret_cast<float*>(memory);
  values = reinterpret_cast<float*>(memory + layout.values);
  outputs = reinterpret_cast<float*>(memory + layout.outputs);
  scores = reinterpret_cast<float*>(memory + layout.scores);
  states = reinterpret_cast<QueryState*>(memory + layout.states);
}

int64_t AttentionScratch::Bytes(const KernelArgs& a) {
  return Layout(AttentionShape(a)).total;
}

int64_t AttentionTasks(const KernelArgs& a) {
  const AttentionShape s(a);
  return (s.tokens + kTokensPerTask - 1) / kTokensPerTask * s.groups;
}

double AttentionTaskNs(const KernelArgs& a) {
  const AttentionShape s(a);
  // Positions are read, since a context that is hardly filled costs little.
  int64_t keys = s.n_keys;
  if (s.positions != nullptr) {
    keys = 0;
    for (int64_t t = 0; t < s.tokens; ++t) {
      const KeyRange range = s.VisibleKeys(t);
      keys = std::max(keys, range.high - range.low);
    }
  }
  const double queries = static_cast<double>(
      std::min(s.tokens, kTokensPerTask) * s.heads_per_group);
  // About 30 multiply-adds a nanosecond, and one key unpacked value each.
  return 50 + static_cast<double>(keys) * static_cast<double>(s.d + s.e) *
                  (1 + queries / 30);
}

}  // namespace cpu
}  // namespace weft::inline v0
