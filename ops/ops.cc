#include "ops/ops.h"

#include "ops/fused.h"
#include "ops/quantize.h"

namespace weft::inline v0 {
namespace {

constexpr const OpDef* kAllOps[] = {
    // Arithmetic and activations.
    &kAdd, &kSub, &kMul, &kScale, &kSilu, &kRelu, &kSigmoid, &kTanh, &kExp,
    &kGelu, &kGeluTanh, &kGeluQuick,
    // Matrices, normalisation, attention.
    &kMatMul, &kTranspose, &kDequant, &kQuantize, &kRmsNorm, &kLayerNorm,
    &kSoftmax, &kMask, &kRopeTable, &kRotate,
    // Data movement and state.
    &kReshape, &kPermute, &kSlice, &kConcat, &kRepeat, &kGatherRows, &kAppend,
    // Fused: what rules make.
    &kQMatMul, &kQGather, &kAttention, &kRmsNormMul, &kAddRmsNorm,
    &kLayerNormMulAdd, &kGated};

}  // namespace

absl::Span<const OpDef* const> AllOps() { return kAllOps; }

const OpDef* FindOp(absl::string_view name) {
  for (const OpDef* op : kAllOps)
    if (op->name == name) return op;
  return nullptr;
}

}  // namespace weft::inline v0
