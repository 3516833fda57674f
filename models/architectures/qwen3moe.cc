// Qwen 3 with experts: every head of q and k is normalised before it is
// rotated.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/experts.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config : Sizes {
  ExpertSizes experts;
};

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b), {}};
  c.experts = ReadExpertSizes(b, 0);
  c.experts.route.scores = RouterScores::kSoftmaxOfAll;
  c.experts.route.normalize = true;
  // Without a length of their own, those that a token takes share that of the
  // layer.
  if (c.experts.hidden == 0 && c.experts.route.used > 0)
    c.experts.hidden = c.hidden / c.experts.route.used;
  return c;
}

struct Layer {
  Value attn_norm, q_norm, k_norm, ffn_norm;
  AttentionWeights attn;
  ExpertWeights experts;
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.q_norm = b.Vector(name("attn_q_norm.weight"), c.head_size);
  w.k_norm = b.Vector(name("attn_k_norm.weight"), c.head_size);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  w.experts = ReadExperts(b, c.experts, c.width, i);
  return w;
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Qkv qkv = ProjectQkv(h, w.attn);
  qkv.q = RmsNorm(qkv.q, c.eps) * w.q_norm;
  qkv.k = RmsNorm(qkv.k, c.eps) * w.k_norm;
  qkv = Rotated(qkv, step.pos, c.rope);
  x = x + SelfAttention(qkv, w.attn, step, c.attend);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  return x + ExpertMlp(h, w.experts, c.experts.route);
}

}  // namespace

void BuildQwen3moe(ModelBuilder& b) {
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
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
  b.graph().Expect("matmul_by_id", 3 * layers);
}

}  // namespace weft::inline v0
