// OLMo 2 and 3 (arXiv:2501.00656): no norm before a part, one after it; queries
// and keys normalised over their full width.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/rope_metadata.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config : Sizes {
  std::vector<int64_t> windows;  // by layer
  RopeOptions window_rope;
};

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b), {}, {}};
  if (!b.status().ok()) return c;
  c.windows = ReadWindows(b, c.layers, 0, 4);
  c.window_rope = {.n_dims = c.rope.n_dims,
                   .freq_base = ReadWindowFreqBase(b, c.rope.freq_base),
                   .adjacent = c.rope.adjacent};
  return c;
}

struct Layer {
  Value q_norm, k_norm, attn_norm, ffn_norm;
  AttentionWeights attn;
  MlpWeights ffn;
  AttendOptions attend;
  RopeOptions rope;
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn = ReadAttention(b, c, i);
  w.q_norm = b.Vector(name("attn_q_norm.weight"), c.heads * c.head_size);
  w.k_norm =
      b.Vector(name("attn_k_norm.weight"), w.attn.kv_heads * c.head_size);
  w.attn_norm = b.Vector(name("post_attention_norm.weight"), c.width);
  w.ffn = ReadMlp(b, c, i);
  w.ffn_norm = b.Vector(name("post_ffw_norm.weight"), c.width);
  w.attend = c.attend;
  w.attend.window = c.windows[static_cast<size_t>(i)];
  w.rope = w.attend.window > 0 ? c.window_rope : c.rope;
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  const Value q = RmsNorm(Project(x, w.attn.q), c.eps) * w.q_norm;
  const Value k = RmsNorm(Project(x, w.attn.k), c.eps) * w.k_norm;
  const Value v = Project(x, w.attn.v);
  Qkv qkv = {Heads(q, w.attn.heads), Heads(k, w.attn.kv_heads),
             Heads(v, w.attn.kv_heads)};
  qkv = Rotated(qkv, step.pos, w.rope);
  Value h = SelfAttention(qkv, w.attn, step, w.attend);
  x = x + RmsNorm(h, c.eps) * w.attn_norm;
  h = SwiGlu(Project(x, w.ffn.gate), Project(x, w.ffn.up));
  return x + RmsNorm(Project(h, w.ffn.down), c.eps) * w.ffn_norm;
}

}  // namespace

void BuildOlmo2(ModelBuilder& b) {
  const Config c = ReadConfig(b);
  if (!b.status().ok()) return;
  const Value table = b.Weight("token_embd.weight", {c.vocab, c.width});
  Value x = Embed(b, table);
  for (int64_t i = 0; i < c.layers; ++i)
    x = Block(ReadLayer(b, c, i), c, x, b.step())
            .Named(absl::StrCat("layer.", i));
  x = SelectRows(x, b.out_rows());
  x = RmsNorm(x, c.eps) * b.Vector("output_norm.weight", c.width);
  b.Finish(x, Logits(b, x, table));

  const int layers = static_cast<int>(c.layers);
  b.graph().Expect("attention", layers);
  b.graph().Expect("rms_norm_mul", 4 * layers + 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
