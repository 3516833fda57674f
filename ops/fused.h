// Fused ops: what rules put in place of chains. Models never call these; each
// one's expansion is the chain that it stands for, so that its types and its
// reference are never written twice.
#ifndef WEFT_OPS_FUSED_H_
#define WEFT_OPS_FUSED_H_

#include "graph/graph.h"
#include "ops/composite.h"

namespace weft::inline v0 {

extern const OpDef kQMatMul, kMatMulTransposed, kQGather, kAttention,
    kRmsNormMul, kAddRmsNorm, kLayerNormMulAdd, kGated, kGatedQMatMul;

// x [..., K], f32, 8-bit or bf16, times the rows of w [N, K] as stored, in any
// format. `bias` f32[N] is added when given, then `activation` (an op's name,
// "" = none) applied.
Value QMatMul(Value x, Value w, Value bias = {},
              absl::string_view activation = "",
              Where at = std::source_location::current());
// MatMul(Transpose(a), b), or MatMul(a, Transpose(b)) where `operand` is 1,
// with no copy of what is transposed.
Value MatMulTransposed(Value a, Value b, int operand,
                       Where at = std::source_location::current());
// Rows ids i32[T] of w [N, K] as stored, decoded to f32[T, K].
Value QGather(Value w, Value ids, Where at = std::source_location::current());
// With `quantized` set the ops below give Quantize(result, quantized) instead
// of f32 (AddRmsNorm: of its second result).

// RmsNorm(x, eps) * w.
Value RmsNormMul(Value x, Value w, FloatAttr eps, FloatAttr quantized = 0,
                 Where at = std::source_location::current());
// {sum, normed}: sum = a + b; normed = RmsNorm(sum, eps) * w.
Values AddRmsNorm(Value a, Value b, Value w, FloatAttr eps,
                  FloatAttr quantized = 0,
                  Where at = std::source_location::current());
// LayerNorm(x, eps) * w + b.
Value LayerNormMulAdd(Value x, Value w, Value b, FloatAttr eps,
                      FloatAttr quantized = 0,
                      Where at = std::source_location::current());
// activation(gate) * up.
Value Gated(Value gate, Value up, absl::string_view activation,
            FloatAttr quantized = 0,
            Where at = std::source_location::current());

// activation(QMatMul(x, gate)) * QMatMul(x, up), for gate and up of one type.
Value GatedQMatMul(Value x, Value gate, Value up, absl::string_view activation,
                   FloatAttr quantized = 0,
                   Where at = std::source_location::current());

struct FusedAttention {
  Value q;  // f32[T, H, D]
  Value k,
      v;      // states [S, C, G, D/E] when `step.slot` is set, else [N, G, D/E]
  Step step;  // pos: set when causal, windowed or with ALiBi; slot: set
              // with states
  Value bias;   // broadcasts to [T, H, 1, keys]; may be unset
  Value sinks;  // f32[H]; may be unset
  AttendOptions options;
};
Value Attention(const FusedAttention& a,
                Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_FUSED_H_
