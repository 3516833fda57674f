// Elementwise arithmetic and activations. All f32.
#ifndef WEFT_OPS_ELEMENTWISE_H_
#define WEFT_OPS_ELEMENTWISE_H_

#include "graph/graph.h"

namespace weft::inline v0 {

// Binary ops broadcast as NumPy does: shapes are aligned at the fastest
// dimension, and a dimension of 1 (or a missing one) stretches.
extern const OpDef kAdd, kSub, kMul, kDiv;
extern const OpDef kSumTo;  // undoes a broadcast
extern const OpDef kScale;  // y = x * factor
extern const OpDef kSilu, kRelu, kSigmoid, kTanh, kExp, kSqrt;
// The three forms of GELU that model files mean:
//   kGelu      x * Phi(x) with the error function
//   kGeluTanh  0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
//   kGeluQuick x * sigmoid(1.702 x)
extern const OpDef kGelu, kGeluTanh, kGeluQuick;
// The ops of these names, element by element.
Value Add(Value a, Value b, Where at = std::source_location::current());
Value Sub(Value a, Value b, Where at = std::source_location::current());
Value Mul(Value a, Value b, Where at = std::source_location::current());
Value Div(Value a, Value b, Where at = std::source_location::current());
Value Scale(Value x, FloatAttr factor,
            Where at = std::source_location::current());
Value Silu(Value x, Where at = std::source_location::current());
Value Relu(Value x, Where at = std::source_location::current());
Value Sigmoid(Value x, Where at = std::source_location::current());
Value Tanh(Value x, Where at = std::source_location::current());
Value Exp(Value x, Where at = std::source_location::current());
Value Sqrt(Value x, Where at = std::source_location::current());
Value Gelu(Value x, Where at = std::source_location::current());
Value GeluTanh(Value x, Where at = std::source_location::current());
Value GeluQuick(Value x, Where at = std::source_location::current());

// Sums over the dimensions of x in which `shape`, which broadcasts to x's, has
// 1 or none. Of that shape already: x itself.
Value SumTo(Value x, Shape shape, Where at = std::source_location::current());

// Operators on values; the line is that of the left operand's conversion.
inline Value operator+(Lhs a, Value b) { return Add(a.value, b, a.at); }
inline Value operator-(Lhs a, Value b) { return Sub(a.value, b, a.at); }
inline Value operator*(Lhs a, Value b) { return Mul(a.value, b, a.at); }
inline Value operator*(Lhs a, double b) { return Scale(a.value, b, a.at); }

// The activations, for rules and kernels that treat them alike. The names are
// those of the ops: "silu", "gelu", "gelu_tanh", "gelu_quick", "relu",
// "sigmoid", "tanh".
absl::Span<const OpDef* const> Activations();
// Null when no activation has that name.
const OpDef* FindActivation(absl::string_view name);
// The scalar definition of an activation of that name, in f32 arithmetic of
// double intermediate precision; 0 for an unknown name.
float ActivationOf(absl::string_view name, float x);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_ELEMENTWISE_H_
