#include "models/blocks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "models/rope_metadata.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

bool IsSet(Value v) { return v.graph() != nullptr; }

void CheckKvHeads(ModelBuilder& b, absl::Span<const int64_t> kv_heads,
                  int64_t heads) {
  constexpr char kKey[] = "attention.head_count_kv";
  const std::string expected =
      absl::StrCat("a divisor of the ", heads, " heads");
  const bool by_layer = b.IsArray(kKey);
  for (size_t i = 0; i < kv_heads.size(); ++i) {
    const int64_t n = kv_heads[i];
    const bool ok = n > 0 && n <= heads && heads % n == 0;
    if (by_layer)
      b.RequireOfLayer(ok, kKey, i, n, expected);
    else
      b.Require(ok, "BIND-A2", kKey, absl::StrCat(n), expected);
  }
}

int64_t ReadHeadSize(ModelBuilder& b, absl::string_view key,
                     int64_t otherwise) {
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  const int64_t n = b.Int(key, -kAny, kAny, otherwise);
  const bool ok = n > 0 && n <= kMaxHeadSize && n % 2 == 0;
  b.Require(ok, "BIND-A4", key, absl::StrCat(n),
            absl::StrCat("an even number from 2 to ", kMaxHeadSize,
                         " (default: width / heads)"));
  return ok ? n : 2;
}

void ReadHeads(ModelBuilder& b, Sizes& s) {
  s.heads = b.Int("attention.head_count", 0, kMaxHeads);
  b.Require(s.heads > 0, "BIND-A2", "attention.head_count", "0",
            "at least one head");
  const int64_t heads = std::max<int64_t>(1, s.heads);
  s.kv_heads =
      b.PerLayer("attention.head_count_kv", s.layers, 0, kMaxHeads, heads);
  CheckKvHeads(b, s.kv_heads, heads);
  s.head_size = ReadHeadSize(b, "attention.key_length", s.width / heads);
  s.value_size = ReadHeadSize(b, "attention.value_length", s.width / heads);
  s.attend.scale =
      1 / std::sqrt(static_cast<double>(std::max<int64_t>(1, s.head_size)));
}

}  // namespace

Sizes ReadSizes(ModelBuilder& b, const SizesOptions& options) {
  Sizes s;
  s.layers = b.Int("block_count", 1, kMaxLayers);
  s.width = b.Int("embedding_length", 1, kMaxWidth);
  s.hidden = b.Int("feed_forward_length", 1, kMaxWidth);
  ReadHeads(b, s);
  s.eps = ReadEps(b, options.layer_norm);
  s.vocab = b.TensorDim("token_embd.weight", 0);
  if (!options.rope) return s;
  s.rope = ReadRope(b, s.head_size);
  s.rope.adjacent = options.adjacent;
  s.rope_factors = ReadRopeFactors(b, s.rope);
  return s;
}

double ReadEps(ModelBuilder& b, bool layer_norm) {
  const char* key = layer_norm ? "attention.layer_norm_epsilon"
                               : "attention.layer_norm_rms_epsilon";
  const double eps = b.RequiredFloat(key);
  b.Require(eps > 0 && std::isfinite(eps), "BIND-A8", key, absl::StrCat(eps),
            "a number above 0");
  return eps;
}

std::vector<int64_t> ReadWindows(ModelBuilder& b, int64_t layers, int64_t width,
                                 int64_t period) {
  constexpr char kPattern[] = "attention.sliding_window_pattern";
  width = b.Int("attention.sliding_window", 0, kMaxContext, width);
  if (b.IsArray(kPattern)) {
    std::vector<int64_t> windows = b.PerLayer(kPattern, layers, 0, 1, 0);
    for (int64_t& w : windows) w *= width;
    return windows;
  }
  period = b.Int(kPattern, 0, kMaxLayers, period);
  std::vector<int64_t> windows(static_cast<size_t>(layers), width);
  // 0: every layer has it.
  for (int64_t i = 0; i < layers; ++i)
    if (period > 0 && i % period == period - 1)
      windows[static_cast<size_t>(i)] = 0;
  return windows;
}

// ---- Weights ----

Projection ReadProjection(ModelBuilder& b, const std::string& name,
                          int64_t rows, int64_t columns, Where at) {
  return {b.Weight(absl::StrCat(name, ".weight"), {rows, columns}, at),
          b.OptionalVector(absl::StrCat(name, ".bias"), rows, at)};
}

Value Project(Value x, const Projection& p, Where at) {
  const Value y = Linear(x, p.weight, at);
  return IsSet(p.bias) ? Add(y, p.bias, at) : y;
}

Norm ReadNorm(ModelBuilder& b, const std::string& name, int64_t n, Where at) {
  return {b.Vector(absl::StrCat(name, ".weight"), n, at),
          b.OptionalVector(absl::StrCat(name, ".bias"), n, at)};
}

Value NormOf(Value x, const Norm& norm, double eps, Where at) {
  const Value y = Mul(LayerNorm(x, eps, at), norm.weight, at);
  return IsSet(norm.bias) ? Add(y, norm.bias, at) : y;
}

// ---- Attention ----

AttentionWeights ReadAttention(ModelBuilder& b, const Sizes& s, int64_t layer,
                               bool cached, Where at) {
  AttentionWeights w;
  w.heads = s.heads;
  w.kv_heads = s.kv_heads[static_cast<size_t>(layer)];
  w.head_size = s.head_size;
  w.value_size = s.value_size;
  const auto read = [&](const char* name, int64_t rows) {
    return ReadProjection(b, LayerTensor(layer, name), rows, s.width, at);
  };
  const int64_t q_rows = w.heads * w.head_size,
                k_rows = w.kv_heads * w.head_size,
                v_rows = w.kv_heads * w.value_size;
  if (b.HasTensor(LayerTensor(layer, "attn_qkv.weight"))) {
    w.fused = read("attn_qkv", q_rows + k_rows + v_rows);
  } else {
    w.q = read("attn_q", q_rows);
    w.k = read("attn_k", k_rows);
    w.v = read("attn_v", v_rows);
  }
  w.out = ReadProjection(b, LayerTensor(layer, "attn_output"), s.width,
                         w.heads * w.value_size, at);
  if (cached)
    w.cache = b.Cache(layer, w.kv_heads, w.head_size, w.value_size, at);
  return w;
}

Qkv ProjectQkv(Value x, const AttentionWeights& w, Where at) {
  if (!IsSet(w.fused.weight)) {
    const Value q = Heads(Project(x, w.q, at), w.heads, at);
    const Value k = Heads(Project(x, w.k, at), w.kv_heads, at);
    const Value v = Heads(Project(x, w.v, at), w.kv_heads, at);
    return {q, k, v};
  }
  const Value all = Project(x, w.fused, at);
  const int64_t q_end = w.heads, k_end = q_end + w.kv_heads,
                v_end = k_end + w.kv_heads;
  if (w.head_size == w.value_size) {
    // Slices of heads are views.
    const Value heads = Heads(all, v_end, at);
    return {Slice(heads, 1, 0, q_end, at), Slice(heads, 1, q_end, k_end, at),
            Slice(heads, 1, k_end, v_end, at)};
  }
  const int64_t k_at = q_end * w.head_size, v_at = k_end * w.head_size;
  const int64_t end = v_at + w.kv_heads * w.value_size;
  return {Heads(Slice(all, 1, 0, k_at, at), w.heads, at),
          Heads(Slice(all, 1, k_at, v_at, at), w.kv_heads, at),
          Heads(Slice(all, 1, v_at, end, at), w.kv_heads, at)};
}

Qkv Rotated(Qkv x, Value pos, const RopeOptions& rope, Value factors,
            Where at) {
  return {Rope(x.q, pos, rope, factors, at), Rope(x.k, pos, rope, factors, at),
          x.v};
}

Value SelfAttention(const Qkv& x, const AttentionWeights& w, const Step& step,
                    const AttendOptions& options, Value sinks, Where at) {
  const Value keys = Append(w.cache.k, x.k, step, at);
  const Value values = Append(w.cache.v, x.v, step, at);
  const Value mixed = Attend(x.q, keys, values, step, options, {}, sinks, at);
  return Project(Merge(mixed, at), w.out, at);
}

// ---- Feed-forward ----

MlpWeights ReadMlp(ModelBuilder& b, const Sizes& s, int64_t layer, bool gated,
                   Where at) {
  const auto read = [&](const char* name, int64_t rows, int64_t columns) {
    return ReadProjection(b, LayerTensor(layer, name), rows, columns, at);
  };
  MlpWeights w;
  if (gated) w.gate = read("ffn_gate", s.hidden, s.width);
  w.up = read("ffn_up", s.hidden, s.width);
  w.down = read("ffn_down", s.width, s.hidden);
  return w;
}

// ---- Around the layers ----

Value Embed(ModelBuilder& b, Value table, Where at) {
  return GatherRows(Dequant(table, at), b.tokens(), at);
}

Value Logits(ModelBuilder& b, Value x, Value table, Where at) {
  const int64_t vocab = table.dim(0).bound(), width = table.dim(1).bound();
  Value output = table;
  if (b.HasTensor("output.weight"))
    output = b.Weight("output.weight", {vocab, width}, at);
  return Project(x, {output, b.OptionalVector("output.bias", vocab, at)}, at);
}

Value SoftCap(Value x, double cap, Where at) {
  return cap == 0 ? x : Scale(Tanh(Scale(x, 1 / cap, at), at), cap, at);
}

Value Times(Value x, double factor, Where at) {
  return factor == 1 ? x : Scale(x, factor, at);
}

void RequireContext(ModelBuilder& b, int64_t rows) {
  b.Require(b.options().context <= rows, "BIND-A6", "context_length",
            absl::StrCat(rows),
            absl::StrCat("at least the ", b.options().context,
                         " positions that the session wants"));
}

}  // namespace weft::inline v0
