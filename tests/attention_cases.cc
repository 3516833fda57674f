#include "tests/attention_cases.h"

#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using Bias = AttentionChain::Bias;
using ScaleOn = AttentionChain::ScaleOn;
using Widen = AttentionChain::Widen;

constexpr int64_t kContext = 24;
constexpr int64_t kKeySize = 8;
constexpr int64_t kValueSize = 12;

// Builds one chain. The axes differ between caches [T, C, G, D], which each
// token reads by its slot, and plain tensors [N, G, D].
class ChainBuilder {
 public:
  ChainBuilder(SampleGraph& g, const AttentionChain& c) : g_(g), c_(c) {}

  Value Build() {
    heads_ = g_.Normal({t_, c_.heads, kKeySize});
    pos_ = g_.Positions({t_});
    if (c_.cached) slot_ = g_.Ids({t_}, 2);
    const Value q = Queries();
    const Value k = Keys(Source(kKeySize));
    const Value v = Values(Source(kValueSize));
    const Value p = Softmax(Adjust(MatMul(q, k)));
    const Value mixed = MatMul(p, v);
    if (!c_.restore) return mixed;
    return c_.cached ? Reshape(mixed, {t_, c_.heads, kValueSize})
                     : Permute(mixed, {1, 0, 2});
  }

 private:
  Value ScaleIf(ScaleOn where, Value v) const {
    return c_.scale_on == where ? Scale(v, c_.scale) : v;
  }

  Value Queries() const {
    const Value q = ScaleIf(ScaleOn::kHeads, heads_);
    return ScaleIf(ScaleOn::kQuery,
                   c_.cached ? Reshape(q, {t_, c_.heads, 1, kKeySize})
                             : Permute(q, {1, 0, 2}));
  }

  // Keys or values before they are laid out: [T, C, G, n] or [T, G, n].
  Value Source(int64_t n) {
    const Value fresh = g_.Normal({t_, c_.groups, n});
    if (!c_.cached) return fresh;
    const Value state = g_.State(c_.kv, {2, kContext, c_.groups, n});
    return GatherRows(Dequant(Append(state, fresh, {pos_, slot_})), slot_);
  }

  Value WidenIf(Widen when, Value v, int axis) const {
    if (c_.widen != when || c_.heads == c_.groups) return v;
    return Repeat(v, axis, c_.heads / c_.groups);
  }

  // Heads before positions: [T, G, C, n] or [G, N, n].
  Value HeadsFirst(Value v) const {
    return c_.cached ? Permute(v, {0, 2, 1, 3}) : Permute(v, {1, 0, 2});
  }

  Value Keys(Value k) const {
    const int heads_before = c_.cached ? 2 : 1;
    const int heads_after = c_.cached ? 1 : 0;
    k = WidenIf(Widen::kBefore, k, heads_before);
    if (c_.keys_in_two_steps) {
      k = WidenIf(Widen::kBetween, HeadsFirst(k), heads_after);
      k = Transpose(k);
    } else {
      k = c_.cached ? Permute(k, {0, 2, 3, 1}) : Permute(k, {1, 2, 0});
    }
    return ScaleIf(ScaleOn::kKeys, WidenIf(Widen::kAfter, k, heads_after));
  }

  Value Values(Value v) const {
    v = WidenIf(Widen::kBefore, v, c_.cached ? 2 : 1);
    v = HeadsFirst(v);
    const int heads = c_.cached ? 1 : 0;
    return WidenIf(Widen::kBetween, WidenIf(Widen::kAfter, v, heads), heads);
  }

  Value MaskIf(Value s) const {
    if (!c_.causal && c_.window == 0) return s;
    return Mask(s, pos_,
                {.causal = c_.causal,
                 .window = c_.window,
                 .query_axis = c_.cached ? 0 : 1});
  }

  Value Adjust(Value s) {
    s = ScaleIf(ScaleOn::kScores, s);
    if (c_.softcap > 0) s = Scale(Tanh(Scale(s, 1 / c_.softcap)), c_.softcap);
    if (c_.alibi > 0) s = Alibi(s, pos_, c_.alibi, c_.cached ? 0 : 1);
    if (c_.bias == Bias::kNone) return ScaleIf(ScaleOn::kMasked, MaskIf(s));
    const Dim keys = c_.cached ? Dim(kContext) : t_;
    const Value bias = g_.Normal({c_.heads, 1, keys});
    if (c_.bias == Bias::kAfterMask) return MaskIf(s) + bias;
    return MaskIf(c_.bias == Bias::kLeft ? bias + s : s + bias);
  }

  SampleGraph& g_;
  const AttentionChain& c_;
  Dim t_ = Dim::Symbol("T", 5);
  Value heads_, pos_, slot_;
};

std::vector<AttentionChain> Cached() {
  const std::string plain =
      "{scale=0.35, softcap=0, causal=1, window=0, has_pos=1, has_slot=1, "
      "has_bias=0}";
  const std::string biased =
      "{scale=0.35, softcap=0, causal=1, window=0, has_pos=1, has_slot=1, "
      "has_bias=1}";
  return {
      {.name = "canonical", .fused = plain},
      {.name = "f16", .fused = plain, .kv = DType::kF16},
      {.name = "scale_on_query", .fused = plain, .scale_on = ScaleOn::kQuery},
      {.name = "scale_on_heads", .fused = plain, .scale_on = ScaleOn::kHeads},
      {.name = "scale_on_keys", .fused = plain, .scale_on = ScaleOn::kKeys},
      {.name = "scale_after_mask",
       .fused = plain,
       .scale_on = ScaleOn::kMasked},
      {.name = "no_scale",
       .fused = "{scale=1, softcap=0, causal=1, window=0, has_pos=1, "
                "has_slot=1, has_bias=0}",
       .scale_on = ScaleOn::kNothing},
      {.name = "negative_scale",
       .fused = "{scale=-0.35, softcap=0, causal=1, window=0, has_pos=1, "
                "has_slot=1, has_bias=0}",
       .scale = -0.35},
      {.name = "softcap",
       .fused = "{scale=0.35, softcap=5, causal=1, window=0, has_pos=1, "
                "has_slot=1, has_bias=0}",
       .softcap = 5},
      {.name = "window",
       .fused = "{scale=0.35, softcap=0, causal=1, window=3, has_pos=1, "
                "has_slot=1, has_bias=0}",
       .window = 3},
      {.name = "window_of_both_sides",
       .fused = "{scale=0.35, softcap=0, causal=0, window=3, has_pos=1, "
                "has_slot=1, has_bias=0}",
       .causal = false,
       .window = 3},
      {.name = "unmasked",
       .fused = "{scale=0.35, softcap=0, causal=0, window=0, has_pos=0, "
                "has_slot=1, has_bias=0}",
       .causal = false},
      {.name = "bias", .fused = biased, .bias = Bias::kRight},
      {.name = "bias_on_the_left", .fused = biased, .bias = Bias::kLeft},
      {.name = "bias_after_mask", .fused = biased, .bias = Bias::kAfterMask},
      {.name = "alibi",
       .fused = "{scale=0.35, softcap=0, causal=1, window=0, has_pos=1, "
                "has_slot=1, has_bias=0, alibi=8}",
       .alibi = 8},
      {.name = "alibi_unmasked_with_bias",
       .fused = "{scale=0.35, softcap=5, causal=0, window=0, has_pos=1, "
                "has_slot=1, has_bias=1, alibi=8}",
       .softcap = 5,
       .bias = Bias::kRight,
       .causal = false,
       .alibi = 8},
      {.name = "everything",
       .fused = "{scale=0.35, softcap=5, causal=1, window=3, has_pos=1, "
                "has_slot=1, has_bias=1}",
       .kv = DType::kF16,
       .softcap = 5,
       .bias = Bias::kRight,
       .window = 3},
      {.name = "keys_in_two_steps", .fused = plain, .keys_in_two_steps = true},
      {.name = "widened_between",
       .fused = plain,
       .keys_in_two_steps = true,
       .widen = Widen::kBetween},
      {.name = "widened_after", .fused = plain, .widen = Widen::kAfter},
      {.name = "widened_by_the_product",
       .fused = plain,
       .groups = 1,
       .widen = Widen::kByProduct},
      {.name = "as_many_keys_as_heads", .fused = plain, .groups = 4},
      {.name = "one_head", .fused = plain, .heads = 1, .groups = 1},
      {.name = "not_restored", .fused = plain, .restore = false},
  };
}

// The same over plain keys and values, where the answer differs.
std::vector<AttentionChain> Plain() {
  std::vector<AttentionChain> chains;
  for (AttentionChain chain : Cached()) {
    if (chain.kv != DType::kF32) continue;
    chain.name = "plain_" + chain.name;
    chain.cached = false;
    const size_t slot = chain.fused.find("has_slot=1");
    chain.fused[slot + 9] = '0';
    chains.push_back(std::move(chain));
  }
  return chains;
}

std::vector<AttentionChain> All() {
  std::vector<AttentionChain> chains = Cached();
  for (AttentionChain& chain : Plain()) chains.push_back(std::move(chain));
  return chains;
}

}  // namespace

Value AttentionChain::Build(SampleGraph& g) const {
  return ChainBuilder(g, *this).Build();
}

const std::vector<AttentionChain>& AttentionChains() {
  static const auto* const kChains = new std::vector<AttentionChain>(All());
  return *kChains;
}

}  // namespace weft::inline v0
