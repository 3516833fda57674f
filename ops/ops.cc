#include "ops/ops.h"

#include "ops/alibi.h"
#include "ops/experts.h"
#include "ops/fused.h"
#include "ops/gradient.h"
#include "ops/gradient_ops.h"
#include "ops/optimizer.h"
#include "ops/quantize.h"
#include "ops/recurrent.h"

namespace weft::inline v0 {
namespace {

constexpr const OpDef* kAllOps[] = {
    // Arithmetic and activations.
    &kAdd, &kSub, &kMul, &kDiv, &kScale, &kSilu, &kRelu, &kSigmoid, &kTanh,
    &kExp, &kSqrt, &kSumTo, &kGelu, &kGeluTanh, &kGeluQuick,
    // Matrices, normalisation, attention.
    &kMatMul, &kTranspose, &kDequant, &kQuantize, &kRmsNorm, &kLayerNorm,
    &kSoftmax, &kMask, &kAlibi, &kRopeTable, &kRotate,
    // Losses, and what gradients are made of.
    &kCrossEntropy, &kCrossEntropyGradient, &kActivationGradient,
    &kNormGradient, &kSoftmaxGradient, &kScatterRows, &kPad, &kCheckpoint,
    &kAfter, &kRouteGradient, &kOuterById, &kCausalConvGradient,
    &kSelectiveScanGradient, &kAdamW,
    // Experts.
    &kRoute, &kMatMulById, &kClampedSwiGlu,
    // Data movement and state.
    &kReshape, &kPermute, &kSlice, &kConcat, &kRepeat, &kGatherRows, &kAppend,
    &kAssign, &kCausalConv, &kSelectiveScan,
    // Fused: what rules make.
    &kQMatMul, &kMatMulTransposed, &kQGather, &kAttention, &kRmsNormMul,
    &kAddRmsNorm, &kLayerNormMulAdd, &kGated, &kGatedQMatMul, &kQMatMulById};

}  // namespace

absl::Span<const OpDef* const> AllOps() { return kAllOps; }

const OpDef* FindOp(absl::string_view name) {
  for (const OpDef* op : kAllOps)
    if (op->name == name) return op;
  return nullptr;
}

}  // namespace weft::inline v0
