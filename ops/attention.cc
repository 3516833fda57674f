// The fused attention op.
#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "ops/composite.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {
namespace {

AttendOptions OptionsOf(const Attrs& attrs) {
  return {.scale = attrs.Float("scale", 1),
          .softcap = attrs.Float("softcap"),
          .causal = attrs.Int("causal") != 0,
          .window = attrs.Int("window"),
          .alibi = attrs.Float("alibi")};
}

// Inputs in order: q, k, v, then those of pos, slot, bias, sinks that are
// there.
FusedAttention Unpack(absl::Span<const Value> in, const Attrs& attrs) {
  FusedAttention a;
  a.q = in[0];
  a.k = in[1];
  a.v = in[2];
  size_t next = 3;
  if (attrs.Int("has_pos")) a.step.pos = in[next++];
  if (attrs.Int("has_slot")) a.step.slot = in[next++];
  if (attrs.Int("has_bias")) a.bias = in[next++];
  if (attrs.Int("has_sinks")) a.sinks = in[next++];
  a.options = OptionsOf(attrs);
  return a;
}

struct CachedSample {
  const char* name;
  DType kv;
  int64_t heads, groups, head_size, context;
  AttendOptions options;
  bool sinks = false;
};

// Queries at positions 3, 4, ... of two sequences, over a filled cache.
Values BuildCached(SampleGraph& g, const CachedSample& s) {
  const Dim t = Dim::Symbol("T", 5);
  FusedAttention a;
  a.q = g.Normal({t, s.heads, s.head_size});
  a.k = g.State(s.kv, {2, s.context, s.groups, s.head_size});
  a.v = g.State(s.kv, {2, s.context, s.groups, s.head_size});
  a.step = {g.Positions({t}, 3), g.Ids({t}, 2)};
  a.k = Append(a.k, g.Normal({t, s.groups, s.head_size}), a.step);
  a.v = Append(a.v, g.Normal({t, s.groups, s.head_size}), a.step);
  a.options = s.options;
  if (s.sinks) a.sinks = g.Normal({s.heads});
  return {Attention(a)};
}

constexpr CachedSample kCached[] = {
    {"f32", DType::kF32, 4, 4, 8, 16, {.scale = 0.35}},
    {"f16_grouped", DType::kF16, 8, 2, 64, 130, {.scale = 0.125}},
    {"f16_odd_head", DType::kF16, 3, 1, 37, 33, {.scale = 0.2}},
    {"softcap", DType::kF32, 4, 2, 16, 20, {.scale = 0.25, .softcap = 5}},
    {"window", DType::kF32, 4, 2, 16, 40, {.scale = 0.25, .window = 4}},
    {"not_causal", DType::kF32, 2, 2, 16, 9, {.scale = 0.25, .causal = false}},
    {"sinks", DType::kF16, 4, 2, 16, 70, {.scale = 0.25, .window = 8}, true},
    {"alibi", DType::kF16, 6, 2, 16, 130, {.scale = 0.25, .alibi = 8}},
    {"alibi_not_causal",
     DType::kF32,
     4,
     4,
     16,
     70,
     {.scale = 0.25, .softcap = 5, .causal = false, .alibi = 8}},
};

Values BuildPlain(SampleGraph& g, bool causal, bool bias) {
  const Dim t = Dim::Symbol("T", 6);
  FusedAttention a;
  a.q = g.Normal({t, 4, 24});
  a.k = g.Normal({t, 2, 24});
  a.v = g.Normal({t, 2, 40});
  if (causal) a.step.pos = g.Positions({t});
  if (bias) a.bias = g.Normal({4, t, t});
  a.options = {.scale = 0.2, .causal = causal};
  return {Attention(a)};
}

}  // namespace

const OpDef kAttention = {
    .name = "attention",
    .doc =
        "Fused attention: softmax(mask(softcap(scale q k^T) + bias)) v, "
        "without the score matrix in memory. q f32[T, H, D]; k and v are "
        "states [S, C, G, D] and [S, C, G, E] read through each token's "
        "slot, or plain tensors [N, G, D] and [N, G, E]; result f32[T, H, "
        "E]. The bias broadcasts to [T, H, 1, C] with slots, to [H, T, N] "
        "without; sinks are f32[H]; alibi is the max_bias of the op of that "
        "name. Exponentials are summed relative to a "
        "running maximum "
        "(Dao et al. 2022, arXiv:2205.14135).",
    .expand = [](const ExpandCall& c) -> Values {
      const FusedAttention a = Unpack(c.in, c.attrs);
      if (a.step.slot.graph() == nullptr)
        return {
            AttendAll(a.q, a.k, a.v, a.step.pos, a.options, a.bias, a.sinks)};
      return {Attend(a.q, a.k, a.v, a.step, a.options, a.bias, a.sinks)};
    },
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const CachedSample& s : kCached)
            samples.push_back(
                {s.name, [&s](SampleGraph& g) { return BuildCached(g, s); }});
          samples.push_back({"plain", [](SampleGraph& g) {
                               return BuildPlain(g, true, false);
                             }});
          samples.push_back({"plain_bias", [](SampleGraph& g) {
                               return BuildPlain(g, false, true);
                             }});
          return samples;
        },
    // The gate for f32 KV; exponentials by polynomial and f32 sums stay well
    // below it.
    .tolerance = 2e-5,
};

Value Attention(const FusedAttention& a, Where at) {
  Values in = {a.q, a.k, a.v};
  const auto add = [&in](Value v) {
    if (v.graph() == nullptr) return 0;
    in.push_back(v);
    return 1;
  };
  const bool needs_pos =
      a.options.causal || a.options.window > 0 || a.options.alibi > 0;
  const int has_pos = needs_pos ? add(a.step.pos) : 0;
  const int has_slot = add(a.step.slot);
  const int has_bias = add(a.bias);
  const int has_sinks = add(a.sinks);
  Attrs attrs = {{"scale", a.options.scale},   {"softcap", a.options.softcap},
                 {"causal", a.options.causal}, {"window", a.options.window},
                 {"has_pos", has_pos},         {"has_slot", has_slot},
                 {"has_bias", has_bias}};
  if (has_sinks) attrs.Add("has_sinks", has_sinks);
  if (a.options.alibi > 0) attrs.Add("alibi", a.options.alibi);
  return a.q.graph()->Emit(kAttention, in, std::move(attrs), at);
}

}  // namespace weft::inline v0
