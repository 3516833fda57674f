// The llama family: Llama 1 to 3, Mistral, TinyLlama, stories.
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/model_builder.h"
#include "models/rope_metadata.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config {
  int64_t layers, width, hidden, heads, head_size, value_size, vocab;
  std::vector<int64_t> kv_heads;  // by layer
  double eps;
  RopeOptions rope;
  AttendOptions attend;
};

struct Layer {
  Value attn_norm, q, k, v, o, q_bias, k_bias, v_bias;
  Value ffn_norm, gate, up, down;
  KvCache kv;
};

Config ReadConfig(ModelBuilder& b) {
  Config c;
  c.layers = b.Int("block_count", 1, kMaxLayers);
  c.width = b.Int("embedding_length", 1, kMaxWidth);
  c.hidden = b.Int("feed_forward_length", 1, kMaxWidth);
  c.heads = b.Int("attention.head_count", 0, kMaxHeads);
  b.Require(c.heads > 0, "BIND-A2", "attention.head_count", "0",
            "at least one head");
  const int64_t heads = std::max<int64_t>(1, c.heads);
  c.kv_heads = b.PerLayer("attention.head_count_kv", c.layers, 0, kMaxHeads,
                          heads);
  for (const int64_t n : c.kv_heads)
    b.Require(n > 0 && n <= heads && heads % n == 0, "BIND-A2",
              "attention.head_count_kv", absl::StrCat(n),
              absl::StrCat("a divisor of the ", heads, " heads"));
  c.head_size = b.Int("attention.key_length", 0, kMaxHeadSize,
                      c.width / heads);
  c.value_size = b.Int("attention.value_length", 0, kMaxHeadSize,
                       c.width / heads);
  b.Require(c.head_size > 0 && c.head_size % 2 == 0, "BIND-A4",
            "attention.key_length", absl::StrCat(c.head_size),
            "an even number above 0 (default: width / heads)");
  b.Require(c.value_size > 0, "BIND-A4", "attention.value_length",
            absl::StrCat(c.value_size), "a number above 0");
  c.eps = b.RequiredFloat("attention.layer_norm_rms_epsilon");
  b.Require(c.eps > 0 && std::isfinite(c.eps), "BIND-A8",
            "attention.layer_norm_rms_epsilon", absl::StrCat(c.eps),
            "a number above 0");
  c.rope = ReadRope(b, c.head_size);
  c.attend.scale = 1 / std::sqrt(static_cast<double>(c.head_size));
  c.vocab = b.TensorDim("token_embd.weight", 0);
  b.Require(!b.Has("expert_count") || b.Int("expert_count", 0, kMaxWidth) == 0,
            "BIND-EXPERTS", "expert_count", "above 0",
            "0: mixtures of experts are not implemented yet");
  return c;
}

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  const int64_t groups = c.kv_heads[static_cast<size_t>(i)];
  const int64_t q_rows = c.heads * c.head_size, k_rows = groups * c.head_size,
                v_rows = groups * c.value_size;
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.q = b.Weight(name("attn_q.weight"), {q_rows, c.width});
  w.k = b.Weight(name("attn_k.weight"), {k_rows, c.width});
  w.v = b.Weight(name("attn_v.weight"), {v_rows, c.width});
  w.o = b.Weight(name("attn_output.weight"),
                 {c.width, c.heads * c.value_size});
  w.q_bias = b.OptionalVector(name("attn_q.bias"), q_rows);
  w.k_bias = b.OptionalVector(name("attn_k.bias"), k_rows);
  w.v_bias = b.OptionalVector(name("attn_v.bias"), v_rows);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.gate = b.Weight(name("ffn_gate.weight"), {c.hidden, c.width});
  w.up = b.Weight(name("ffn_up.weight"), {c.hidden, c.width});
  w.down = b.Weight(name("ffn_down.weight"), {c.width, c.hidden});
  w.kv = b.Cache(i, groups, c.head_size, c.value_size);
  return w;
}

Value Project(Value x, Value w, Value bias,
              Where at = std::source_location::current()) {
  const Value y = Linear(x, w, at);
  return bias.graph() == nullptr ? y : Add(y, bias, at);
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step,
            Value factors, int64_t groups) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Value q = Heads(Project(h, w.q, w.q_bias), c.heads);
  Value k = Heads(Project(h, w.k, w.k_bias), groups);
  Value v = Heads(Project(h, w.v, w.v_bias), groups);
  q = Rope(q, step.pos, c.rope, factors);
  k = Rope(k, step.pos, c.rope, factors);
  const Value a = Attend(q, Append(w.kv.k, k, step), Append(w.kv.v, v, step),
                         step, c.attend);
  x = x + Linear(Merge(a), w.o);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  return x + Linear(SwiGlu(Linear(h, w.gate), Linear(h, w.up)), w.down);
}

void Build(ModelBuilder& b) {
  const Config c = ReadConfig(b);
  if (!b.status().ok()) return;
  const Value embedding = b.Weight("token_embd.weight", {c.vocab, c.width});
  // Divisors of the rotary frequencies (Llama 3.1 and later).
  const Value factors = b.OptionalVector("rope_freqs.weight", c.rope.n_dims / 2);
  Value x = GatherRows(Dequant(embedding), b.tokens());
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step(), factors,
              c.kv_heads[static_cast<size_t>(i)])
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  // Models without an output matrix share the embedding's.
  const Value output = b.HasTensor("output.weight")
                           ? b.Weight("output.weight", {c.vocab, c.width})
                           : embedding;
  b.graph().Output(kLogitsOutput, Linear(x, output));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", 2 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace

const Architecture kLlama = {"llama", Build};

}  // namespace weft::inline v0
