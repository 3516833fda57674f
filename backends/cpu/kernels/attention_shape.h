// What the attention kernel knows of its operands and how it divides its work,
// whatever the instruction set.
//
// A query's result is made of parts: kPart positions, counted from position 0,
// each with a maximum, a sum and weighted values of its own, taken in chunks
// of kChunk positions with a running maximum (Dao et al. 2022,
// arXiv:2205.14135). Parts are added in order. So the result depends on no
// other query, on no thread and on no division of the work, and parts may be
// made at the same time.
#ifndef WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_
#define WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernel.h"
#include "backends/cpu/kv_layout.h"

namespace weft::inline v0 {
namespace cpu {

// Positions per chunk: four vectors of 16 lanes, and keys and values of 64
// numbers in f32 (32 KB) stay in L1 while the queries pass by.
inline constexpr int64_t kChunk = kChunkPositions;
// Positions per part: long enough that adding parts costs nothing (one value
// written for each 512 read), short enough that 4096 positions give 8 threads
// something to do.
inline constexpr int64_t kPart = 512;
// Queries (tokens times the heads of a group) that share an unpacked chunk:
// unpacking then costs some 2 %, and their rows of f32 (150 KB for heads of 64)
// stay in L2. A multiple of 6, the rows of a tile.
inline constexpr int64_t kBlockRows = 192;
// Up to this many queries read keys and values as stored: unpacking would cost
// as much as what it saves.
inline constexpr int64_t kDirectRows = 8;
// Parts are made at the same time only for steps of at most this many tokens
// (more give enough tasks by themselves) that would have fewer tasks than
// kEnoughTasks.
inline constexpr int64_t kMaxSplitTokens = 32;
inline constexpr int64_t kEnoughTasks = 64;
inline constexpr int64_t kMaxLanes = 16;

// Tile registers (attention_amx-inl.h): rows of queries in one of them, columns
// that an instruction sums over, and bytes.
inline constexpr int64_t kRowsOfTile = 16;
inline constexpr int64_t kColumnsOfTile = 32;
inline constexpr int64_t kBytesOfTile = 1024;
// Parts of 8 bits that stand for a float.
inline constexpr int64_t kPartsOfFloat = 2;

// Keys [low, high) that a query sees.
struct KeyRange {
  int64_t low = 0, high = 0;
  bool empty() const { return low >= high; }
};

// The bias of one query: by key, or one number for all.
struct Bias {
  const float* row = nullptr;
  int64_t stride = 0;
  float At(int64_t key) const { return row[key * stride]; }
};

// Tokens [begin, end) of one sequence, which read the same keys.
struct TokenBlock {
  int64_t begin, end;
};

// Parts [first, end) that a block's queries see.
struct PartRange {
  int64_t first = 0, end = 0;
  int64_t count() const { return end - first; }
};

struct AttentionShape {
  // `amx`: whether tile registers may be used.
  explicit AttentionShape(const KernelArgs& a, bool amx = false);

  static bool Supports(const Graph& graph, const Node& node);

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
  bool SlotExists(int64_t token) const {
    return Slot(token) >= 0 && Slot(token) < n_slots;
  }
  // Empty for a token whose slot does not exist.
  KeyRange VisibleKeys(int64_t token) const;
  KeyRange VisibleKeys(const TokenBlock& block) const;
  PartRange Parts(const TokenBlock& block) const;
  Bias BiasOf(int64_t token, int64_t head) const;
  bool has_bias() const { return bias != nullptr; }

  // The block that begins at `token`.
  TokenBlock BlockAt(int64_t token) const;
  int64_t CountBlocks() const;
  // Whether each part is a task of its own.
  bool Split() const;
  // Where a split step keeps its parts: kPartHeader floats (maximum, sum), then
  // e_padded.
  float* Part(const KernelArgs& a, int64_t token, int64_t head,
              int64_t part) const;
  int64_t part_stride() const { return kPartHeader + e_padded; }
  static constexpr int64_t kPartHeader = kMaxLanes;

  const KernelParams* params;
  const View *q, *k, *v, *out;
  const View* bias = nullptr;
  const float* sinks = nullptr;  // by head
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  int64_t tokens, heads, groups, heads_per_group, n_slots, n_keys;
  int64_t d, e;  // head sizes of k and v
  int64_t d_padded, e_padded;
  int64_t block_tokens;  // of a block, at most
  // Whether the products with keys and with values are on tile registers: by
  // their type and place alone, so that every step computes the same.
  bool key_tiles, value_tiles;
};

// One worker's buffers. Rows are the queries of a block: tokens, and within
// them the heads of a group.
struct AttentionScratch {
  AttentionScratch(const AttentionShape& s, std::byte* memory);
  static int64_t Bytes(const AttentionShape& s);

  float* q;          // [rows][d_padded], or [d][kDirectRows]; scaled
  float* scores;     // [rows][kChunk]
  float* part;       // [rows][e_padded]
  float* total;      // [rows][e_padded]
  float* part_sums;  // [rows][kMaxLanes]: of each lane
  float* part_most;  // [rows] each, from here on
  float* part_sum;
  float* total_most;
  float* total_sum;
  float* keep;
  float* slope;  // of ALiBi, in the logarithm's base 2
  int32_t* low;
  int32_t* high;
  float* keys;          // [d][kChunk]
  float* key_scales;    // [blocks of d][kChunk]
  float* values;        // [kChunk][e_padded]
  float* value_scales;  // [blocks of e][kChunk]
  float* row;           // one row of either, decoded
  // Operands of tile registers. Rows: [16 rows][step of 32][part][tile], or, up
  // to kDirectRows, both parts in one tile. Keys and values: [16 columns][step]
  // [tile].
  uint8_t* query_tiles;
  uint8_t* weight_tiles;  // of 16 rows' probabilities
  uint8_t* key_tiles;
  uint8_t* value_tiles;
  float* tile_sums;  // [part][16 rows][kChunk]
};

int64_t AttentionTasks(const KernelArgs& a);
double AttentionTaskNs(const KernelArgs& a);
int64_t AttentionSharedBytes(const KernelArgs& a);
// One task per token of a split step, else none.
int64_t AttentionFinishTasks(const KernelArgs& a);
double AttentionFinishNs(const KernelArgs& a);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KERNELS_ATTENTION_SHAPE_H_
