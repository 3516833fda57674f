// Mamba (arXiv:2312.00752): no attention; each channel keeps a few numbers of
// all that went before.
#include "absl/strings/str_cat.h"
#include "models/architecture.h"
#include "models/blocks.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

struct Config {
  int64_t layers, width, vocab, inner, kernel, states, rank;
  double eps;
  bool norms;  // of the coefficients, as Falcon-Mamba has them
};

Config ReadConfig(ModelBuilder& b) {
  Config c;
  c.layers = b.Int("block_count", 1, kMaxLayers);
  c.width = b.Int("embedding_length", 1, kMaxWidth);
  c.inner = b.Int("ssm.inner_size", 1, kMaxWidth);
  c.kernel = b.Int("ssm.conv_kernel", 2, 64);
  c.states = b.Int("ssm.state_size", 1, kMaxHeadSize);
  c.rank = b.Int("ssm.time_step_rank", 1, kMaxWidth);
  c.norms = b.Bool("ssm.dt_b_c_rms", false);
  c.eps = ReadEps(b, /*layer_norm=*/false);
  c.vocab = b.TensorDim("token_embd.weight", 0);
  return c;
}

struct Layer {
  Value norm, in, conv, conv_bias, coefficients, a, skip, out;
  Projection step_size;
  Value conv_state, scan_state;
};

Layer ReadLayer(ModelBuilder& b, const Config& c, int64_t i) {
  const auto name = [i](const char* s) { return LayerTensor(i, s); };
  const BuildOptions& o = b.options();
  Layer w;
  w.norm = b.Vector(name("attn_norm.weight"), c.width);
  w.in = b.Weight(name("ssm_in.weight"), {2 * c.inner, c.width});
  w.conv = Dequant(b.Weight(name("ssm_conv1d.weight"), {c.inner, c.kernel}));
  w.conv_bias = b.Vector(name("ssm_conv1d.bias"), c.inner);
  w.coefficients =
      b.Weight(name("ssm_x.weight"), {c.rank + 2 * c.states, c.inner});
  w.step_size = ReadProjection(b, name("ssm_dt"), c.inner, c.rank);
  w.a = Dequant(b.Weight(name("ssm_a"), {c.inner, c.states}));
  w.skip = b.Vector(name("ssm_d"), c.inner);
  w.out = b.Weight(name("ssm_out.weight"), {c.width, c.inner});
  w.conv_state = b.graph().State(name("conv"), DType::kF32,
                                 {o.slots, c.kernel - 1, c.inner});
  w.scan_state =
      b.graph().State(name("scan"), DType::kF32, {o.slots, c.inner, c.states});
  return w;
}

Value Block(const Layer& w, const Config& c, Value x, const Step& step) {
  const Value both = Linear(RmsNorm(x, c.eps) * w.norm, w.in);
  Value h = Slice(both, 1, 0, c.inner);
  const Value gate = Slice(both, 1, c.inner, 2 * c.inner);
  h = Silu(CausalConv(w.conv_state, h, w.conv, w.conv_bias, step));

  const Value k = Linear(h, w.coefficients);
  const int64_t b_at = c.rank, c_at = c.rank + c.states;
  Value delta = Slice(k, 1, 0, b_at);
  ScanInputs in;
  in.x = h;
  in.a = w.a;
  in.b = Slice(k, 1, b_at, c_at);
  in.c = Slice(k, 1, c_at, c_at + c.states);
  if (c.norms) {
    delta = RmsNorm(delta, c.eps);
    in.b = RmsNorm(in.b, c.eps);
    in.c = RmsNorm(in.c, c.eps);
  }
  in.delta = Project(delta, w.step_size);
  const Value y = SelectiveScan(w.scan_state, in, step) + h * w.skip;
  return x + Linear(Silu(gate) * y, w.out);
}

}  // namespace

void BuildMamba(ModelBuilder& b) {
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
  b.graph().Expect("rms_norm_mul", layers + 1);
  b.graph().Expect("add_rms_norm", layers - 1);
  b.graph().Expect("gated", layers);
}

}  // namespace weft::inline v0
