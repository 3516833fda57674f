// Composites: functions over the DSL that models use. No ops of their own; each
// idea has this one canonical form, which the fusion rules match.
#ifndef WEFT_OPS_COMPOSITE_H_
#define WEFT_OPS_COMPOSITE_H_

#include "graph/graph.h"
#include "ops/gather.h"

namespace weft::inline v0 {

// x f32[..., K], w [N, K] in any stored format -> f32[..., N]:
// MatMul(x, Transpose(Dequant(w))).
Value Linear(Value x, Value w, Where at = std::source_location::current());

// f32[T, H * D] -> f32[T, H, D], and back.
Value Heads(Value x, int64_t n_heads,
            Where at = std::source_location::current());
Value Merge(Value x, Where at = std::source_location::current());

// Silu(gate) * up.
Value SwiGlu(Value gate, Value up, Where at = std::source_location::current());

struct AttendOptions {  // The forms that attention has.
  double scale = 1;    // of the scores
  double softcap = 0;  // > 0: scores become cap * tanh(score / cap)
  bool causal = true;
  int64_t window = 0;  // > 0: keys with pos - key < window are seen
  double alibi = 0;    // > 0: scores less a slope times the distance, see Alibi
};

// Attention of queries f32[T, H, D] over the cached keys [S, C, G, D] and
// values [S, C, G, E] of each token's own slot -> f32[T, H, E]. H is a multiple
// of G; head h reads group h / (H / G). The canonical chain, with the parts
// that the options leave out left out:
//   keys   = Permute(Repeat(GatherRows(Dequant(k), slot)))    [T, H, D, C]
//   scores = MatMul(Reshape(q), keys)                         [T, H, 1, C]
//   scores = Mask(Add(Alibi(SoftCap(Scale(scores)), pos), bias), pos)
//   result = MatMul(Softmax(scores), Permute(Repeat(GatherRows(...))))
// `bias` broadcasts to [T, H, 1, C]; `sinks` f32[H] are one more score for each
// head (see Softmax). A default-constructed Value means none.
Value Attend(Value q, Value k, Value v, const Step& step,
             const AttendOptions& options, Value bias = {}, Value sinks = {},
             Where at = std::source_location::current());

// The same over the step's own tokens, k f32[N, G, D] and v f32[N, G, E], where
// nothing is cached; heads lead, as they do where somebody writes attention out
// by hand. `pos` i32[T] is needed when causal,
// windowed or with ALiBi; `bias` broadcasts to
// [H, T, N].
Value AttendAll(Value q, Value k, Value v, Value pos,
                const AttendOptions& options, Value bias = {}, Value sinks = {},
                Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_COMPOSITE_H_
