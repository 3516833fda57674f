// What architectures have in common: their sizes, and the pieces of a layer
// that read the same in each of them. An architecture's file holds the rest.
//
// DSL functions here stamp their nodes with the caller's line.
#ifndef WEFT_MODELS_BLOCKS_H_
#define WEFT_MODELS_BLOCKS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "models/model_builder.h"
#include "ops/composite.h"
#include "ops/rope.h"

namespace weft::inline v0 {

// ---- Sizes ----

struct Sizes {  // The sizes that most decoders have.
  int64_t layers = 0, width = 0, hidden = 0, vocab = 0;
  int64_t heads = 0, head_size = 0, value_size = 0;
  std::vector<int64_t> kv_heads;  // by layer; each divides heads
  double eps = 0;                 // of the norms
  RopeOptions rope;
  Value rope_factors;    // divisors of the frequencies; may be unset
  AttendOptions attend;  // causal, scale = 1 / sqrt(head_size)
};

// How a file tells its positions and norms.
struct SizesOptions {
  bool layer_norm = false;  // attention.layer_norm_epsilon, else ..._rms_...
  bool rope = true;
  bool adjacent = false;  // rotary pairs (2i, 2i+1), else (i, i + n/2)
};

// Reads block_count, embedding_length, feed_forward_length, attention.*,
// rope.* and the rope factors. BIND-A* errors stick; check b.status() before
// the sizes are used.
Sizes ReadSizes(ModelBuilder& b, const SizesOptions& options = {});

// The epsilon of layer norms, or of RMS norms; above 0 (BIND-A8).
double ReadEps(ModelBuilder& b, bool layer_norm);

// The window of each layer, 0 where it sees everything. The width is
// attention.sliding_window, `width` when the file has none; layer l has the
// window when l mod p < p - 1, p being attention.sliding_window_pattern (or
// `period`), or when that is an array whose entry says so.
std::vector<int64_t> ReadWindows(ModelBuilder& b, int64_t layers, int64_t width,
                                 int64_t period);

// ---- Weights ----

// Of y = x w^T + bias; the bias is unset where the file has none.
struct Projection {
  Value weight, bias;
};
// `name` without ".weight".
Projection ReadProjection(ModelBuilder& b, const std::string& name,
                          int64_t rows, int64_t columns,
                          Where at = std::source_location::current());
Value Project(Value x, const Projection& p,
              Where at = std::source_location::current());

// Scale and shift of a layer norm; the shift is unset where the file has none.
struct Norm {
  Value weight, bias;
};
Norm ReadNorm(ModelBuilder& b, const std::string& name, int64_t n,
              Where at = std::source_location::current());
// LayerNorm(x, eps) * weight + bias.
Value NormOf(Value x, const Norm& norm, double eps,
             Where at = std::source_location::current());

// ---- Attention ----

// q, k and v are three matrices, or one under attn_qkv.
struct AttentionWeights {
  Projection q, k, v, fused, out;
  KvCache cache;
  int64_t heads = 0, kv_heads = 0, head_size = 0, value_size = 0;
};
// `cached`: makes the layer's cache.
AttentionWeights ReadAttention(ModelBuilder& b, const Sizes& sizes,
                               int64_t layer, bool cached = true,
                               Where at = std::source_location::current());

struct Qkv {  // Queries, keys and values.
  Value q;  // f32[T, H, D]
  Value k;  // f32[T, G, D]
  Value v;  // f32[T, G, E]
};
// x f32[T, width] times the weights of each, in heads.
Qkv ProjectQkv(Value x, const AttentionWeights& w,
               Where at = std::source_location::current());
// With queries and keys rotated.
Qkv Rotated(Qkv x, Value pos, const RopeOptions& rope, Value factors = {},
            Where at = std::source_location::current());
// Appends keys and values to the cache, attends, and projects what comes out:
// f32[T, width].
Value SelfAttention(const Qkv& x, const AttentionWeights& w, const Step& step,
                    const AttendOptions& options, Value sinks = {},
                    Where at = std::source_location::current());

// ---- Feed-forward ----

struct MlpWeights {  // Of a feed-forward block.
  Projection gate, up, down;
};
// ffn_gate (unless not `gated`), ffn_up and ffn_down.
MlpWeights ReadMlp(ModelBuilder& b, const Sizes& sizes, int64_t layer,
                   bool gated = true,
                   Where at = std::source_location::current());

// ---- Around the layers ----

// Rows of a table, stored in any format, by the step's tokens: f32[T, width].
Value Embed(ModelBuilder& b, Value table,
            Where at = std::source_location::current());
// Products with output.weight, or with `table` in files that tie the two;
// output.bias where there is one: f32[R, vocab].
Value Logits(ModelBuilder& b, Value x, Value table,
             Where at = std::source_location::current());
// cap * tanh(x / cap); x itself when the cap is 0.
Value SoftCap(Value x, double cap, Where at = std::source_location::current());
// x * factor, or x itself when the factor is 1.
Value Times(Value x, double factor, Where at = std::source_location::current());

// Keys and values know positions up to `rows` only; BIND-A6 when a session
// wants more.
void RequireContext(ModelBuilder& b, int64_t rows);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BLOCKS_H_
