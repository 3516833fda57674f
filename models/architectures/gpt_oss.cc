// gpt-oss (OpenAI 2025): experts behind bounded gates, an attention sink in
// each head, a window on every other layer, biases everywhere.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "models/experts.h"
#include "models/rope_metadata.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

constexpr double kGateLimit = 7;

struct Config : Sizes {
  std::vector<int64_t> windows;  // by layer
  RopeOptions window_rope;
  ExpertSizes experts;
};

Config ReadConfig(ModelBuilder& b) {
  Config c{ReadSizes(b), {}, {}, {}};
  if (!b.status().ok()) return c;
  c.windows = ReadWindows(b, c.layers, 0, 2);
  c.window_rope = c.rope;
  c.window_rope.freq_base = ReadWindowFreqBase(b, c.rope.freq_base);
  c.experts = ReadExpertSizes(b, c.hidden);
  c.experts.route.scores = RouterScores::kSoftmaxOfPicked;
  return c;
}

struct Layer {
  Value attn_norm, sinks, ffn_norm;
  AttentionWeights attn;
  ExpertWeights experts;
  AttendOptions attend;
  RopeOptions rope;
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  Layer w;
  w.attn_norm = b.Vector(name("attn_norm.weight"), c.width);
  w.attn = ReadAttention(b, c, i);
  w.sinks = b.Vector(name("attn_sinks.weight"), c.heads);
  w.ffn_norm = b.Vector(name("post_attention_norm.weight"), c.width);
  w.experts = ReadExperts(b, c.experts, c.width, i);
  w.attend = c.attend;
  w.attend.window = c.windows[static_cast<size_t>(i)];
  w.rope = w.attend.window > 0 ? c.window_rope : c.rope;
  return w;
}

Value Mixture(Value x, const ExpertWeights& w, const RouteOptions& route) {
  const Routing r = Route(Project(x, w.router), route);
  const Value gate = LinearById(x, w.gate, r.ids, w.gate_bias);
  const Value up = LinearById(x, w.up, r.ids, w.up_bias);
  const Value h = ClampedSwiGlu(gate, up, kGateLimit);
  return WeightedSum(LinearById(h, w.down, r.ids, w.down_bias), r.weights);
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  Value h = RmsNorm(x, c.eps) * w.attn_norm;
  const Qkv qkv = Rotated(ProjectQkv(h, w.attn), step.pos, w.rope);
  x = x + SelfAttention(qkv, w.attn, step, w.attend, w.sinks);
  h = RmsNorm(x, c.eps) * w.ffn_norm;
  return x + Mixture(h, w.experts, c.experts.route);
}

}  // namespace

void BuildGptOss(ModelBuilder& b) {
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
  b.graph().Expect("matmul_by_id", 3 * layers);
}

}  // namespace weft::inline v0
