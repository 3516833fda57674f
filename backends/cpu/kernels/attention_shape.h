// What the attention kernel knows of its operands, whatever the instruction
// set.
#ifndef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "backends/cpu/kernel.h"

namespace weft::inline v0 {
namespace cpu {

// Positions per chunk: 64 keys of 64 values in f32 are 16 KB, so that a chunk's
// keys and values stay in L1/L2 while the queries pass by; and four vectors of
// 16 lanes.
inline constexpr int64_t kChunk = 64;
// Tokens that share an unpacked chunk. More would amortise better but leaves
// fewer tasks for threads to share.
inline constexpr int64_t kTokensPerTask = 16;
// Rows of values are padded to a whole vector of at most 16 floats.
inline constexpr int64_t kMaxLanes = 16;

// Keys [low, high) that a query sees.
struct KeyRange {
  int64_t low, high;
};

// The bias of one query: by key, or one number for all.
struct Bias {
  const float* row = nullptr;
  int64_t stride = 0;
  float At(int64_t key) const { return row[key * stride]; }
};

struct AttentionShape {
  explicit AttentionShape(const KernelArgs& a);

  static bool Supports(const Graph& graph, const Node& node);

  const std::byte* KeyRow(int64_t slot, int64_t group, int64_t pos) const {
    return Row(*k, slot, group, pos);
  }
  const std::byte* ValueRow(int64_t slot, int64_t group, int64_t pos) const {
    return Row(*v, slot, group, pos);
  }
  const float* Query(int64_t token, int64_t head) const {
    return reinterpret_cast<const float*>(q->data + token * q->stride(0) +
                                          head * q->stride(1));
  }
  float* Result(int64_t token, int64_t head) const {
    return reinterpret_cast<float*>(out->data + token * out->stride(0) +
                                    head * out->stride(1));
  }
  int64_t Slot(int64_t token) const {
    return slots == nullptr ? 0 : slots[token];
  }
  // Empty for a token whose slot does not exist.
  KeyRange VisibleKeys(int64_t token) const;
  Bias BiasOf(int64_t token, int64_t head) const;

  const KernelParams* params;
  const View *q, *k, *v, *out;
  const View* bias = nullptr;
  const float* sinks = nullptr;  // by head
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  int64_t tokens, heads, groups, heads_per_group, n_slots, n_keys;
  int64_t d, e;       // head sizes of k and v
  int64_t e_padded;

 private:
  static const std::byte* Row(const View& view, int64_t slot, int64_t group,
                              int64_t pos) {
    return view.rank == 4 ? view.data + slot * view.stride(0) +
                                pos * view.stride(1) + group * view.stride(2)
                          : view.data + pos * view.stride(0) +
                                group * view.stride(1);
  }
};

// Running maximum and sum of a query's exponentials; a sink is the first of
// them.
struct QueryState {
  float most = -std::numeric_limits<float>::infinity();
  float sum = 0;
};

// One worker's buffers.
struct AttentionScratch {
  AttentionScratch(const AttentionShape& s, std::byte* memory);
  static int64_t Bytes(const KernelArgs& a);

  float* keys;     // [d][kChunk]
  float* values;   // [kChunk][e_padded]
  float* outputs;  // [queries][e_padded]
  float* scores;   // [max(kChunk, d)]: also one row of keys while unpacking
  QueryState* states;  // [queries]
};

int64_t AttentionTasks(const KernelArgs& a);
double AttentionTaskNs(const KernelArgs& a);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_
