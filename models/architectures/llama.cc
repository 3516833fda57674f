// The llama family: Llama 1 to 3, Mistral, Mixtral, TinyLlama, stories.
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/experts.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Layer {
  Value attn_norm, ffn_norm;
  AttentionWeights attn;
  MlpWeights ffn;  // or:
  ExpertWeights experts;
  AttendOptions attend;
};

struct Config : Sizes {
  ExpertSizes experts;
  std::vector<int64_t> windows;  // by layer; the first Mistral has them
};

Config ReadConfig(ModelBuilder& b) {
  // In GGUF files the rows of q and k are permuted so that pairs are neighbours;
  // what comes from safetensors is as it was trained, halves apart.
  const bool halves = b.Bool("rope.halves", false);
  Config c{ReadSizes(b, {.adjacent = !halves}), {}, {}};
  c.experts = ReadExpertSizes(b, c.hidden, /*optional=*/true);
  c.experts.route.scores = RouterScores::kSoftmaxOfAll;
  c.experts.route.normalize = true;
  c.windows = ReadWindows(b, c.layers, /*width=*/0, /*period=*/0);
  return c;
}

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.ffn_norm = b.Vector(name("ffn_norm.weight"), c.width);
  if (c.experts.count > 0)
    w.experts = ReadExperts(b, c.experts, c.width, i);
  else
    w.ffn = ReadMlp(b, c, i);
  w.attend = c.attend;
  w.attend.window = c.windows[static_cast<size_t>(i)];
  return w;
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  Qkv qkv = Rotated(ProjectQkv(h, w.attn), step.pos, c.rope, c.rope_factors);
  x = x + SelfAttention(qkv, w.attn, step, w.attend);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  if (c.experts.count > 0) return x + ExpertMlp(h, w.experts, c.experts.route);
  return x + Project(SwiGlu(Project(h, w.ffn.gate), Project(h, w.ffn.up)),
                     w.ffn.down);
}

}  // namespace

void BuildLlama(ModelBuilder& b) {
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
  b.graph().Expect("rms_norm_mul", 2 * layers + 1);
  b.graph().Expect("add_rms_norm", 2 * layers - 1);
  b.graph().Expect("gated", layers);
  b.graph().Expect("matmul_by_id", c.experts.count > 0 ? 3 * layers : 0);
}

}  // namespace weft::inline v0
