// Qwen 3: every head of q and k is normalised before it is rotated.
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  Value attn_norm, q_norm, k_norm, ffn_norm;
  AttentionWeights attn;
  MlpWeights ffn;
  AttendOptions attend;
};

struct Config : Sizes {
  std::vector<int64_t> windows;  // by layer; most files have none
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.q_norm = b.Vector(name("attn_q_norm.weight"), c.head_size);
  w.k_norm = b.Vector(name("attn_k_norm.weight"), c.head_size);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.ffn = ReadMlp(b, c, i);
  w.attend = c.attend;
  w.attend.window = c.windows[static_cast<size_t>(i)];
  return w;
}

Value Block(const Layer& w, const Sizes& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Qkv qkv = ProjectQkv(h, w.attn);
  qkv.q = RmsNorm(qkv.q, c.eps) * w.q_norm;
  qkv.k = RmsNorm(qkv.k, c.eps) * w.k_norm;
  qkv = Rotated(qkv, step.pos, c.rope);
  x = x + SelfAttention(qkv, w.attn, step, w.attend);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  return x + Project(SwiGlu(Project(h, w.ffn.gate), Project(h, w.ffn.up)),
                     w.ffn.down);
}

}  // namespace

void BuildQwen3(ModelBuilder& b) {
  Config c{ReadSizes(b), {}};
  if (!b.status().ok()) return;
  c.windows = ReadWindows(b, c.layers, /*width=*/0, /*period=*/0);
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
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
