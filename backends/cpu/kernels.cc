#include "backends/cpu/kernels.h"

#include <algorithm>

namespace weft::inline v0 {
namespace cpu {
namespace {

struct ActivationName {
  absl::string_view name;
  Activation activation;
};

constexpr ActivationName kActivationNames[] = {
    {"silu", Activation::kSilu},          {"gelu", Activation::kGelu},
    {"gelu_tanh", Activation::kGeluTanh}, {"gelu_quick", Activation::kGeluQuick},
    {"relu", Activation::kRelu},          {"sigmoid", Activation::kSigmoid},
    {"tanh", Activation::kTanh},
};

Activation ParseActivation(const Node& node) {
  // An activation's own node has its name; fused ops have it as an attribute.
  absl::string_view name = node.attrs.String("activation");
  if (name.empty()) name = node.op->name;
  for (const ActivationName& entry : kActivationNames)
    if (entry.name == name) return entry.activation;
  return Activation::kNone;
}

}  // namespace

KernelList AllKernels(TargetMask targets) {
  KernelList list;
  AddAdamWKernels(targets, list);
  AddAttentionKernels(targets, list);
  AddBinaryKernels(targets, list);
  AddCrossEntropyKernels(targets, list);
  AddDequantKernels(targets, list);
  AddExpertGradientKernels(targets, list);
  AddGatherKernels(targets, list);
  AddGradientKernels(targets, list);
  AddMatMulKernels(targets, list);
  AddNormKernels(targets, list);
  AddQMatMulKernels(targets, list);
  AddQMatMulBF16Kernels(targets, list);
  AddQMatMulF16Kernels(targets, list);
  AddQMatMulCodebooksKernels(targets, list);
  AddQMatMulQ2Q3KKernels(targets, list);
  AddQMatMulQ4Kernels(targets, list);
  AddQMatMulQ4Q5KKernels(targets, list);
  AddQMatMulQ5Kernels(targets, list);
  AddQMatMulQ6KKernels(targets, list);
  AddQMatMulQ8Kernels(targets, list);
  AddRecurrentKernels(targets, list);
  AddRecurrentGradientKernels(targets, list);
  AddReduceKernels(targets, list);
  AddRopeKernels(targets, list);
  AddRouteKernels(targets, list);
  AddShapeKernels(targets, list);
  AddSoftmaxKernels(targets, list);
  AddStateKernels(targets, list);
  AddUnaryKernels(targets, list);
  AddUpdateKernels(targets, list);
  AddGatedQMatMulKernels(targets, list);
  AddMatMulByIdKernels(list);
  return list;
}

KernelParams ParseParams(const Node& node) {
  const Attrs& a = node.attrs;
  KernelParams p;
  p.eps = static_cast<float>(a.Float("eps"));
  p.factor = static_cast<float>(a.Float("factor", 1));
  p.scale = static_cast<float>(a.Float("scale", 1));
  p.softcap = static_cast<float>(a.Float("softcap"));
  p.alibi = static_cast<float>(a.Float("alibi"));
  p.window = a.Int("window");
  p.causal = a.Int("causal") != 0;
  p.has_pos = a.Int("has_pos") != 0;
  p.has_slot = a.Int("has_slot") != 0;
  p.has_bias = a.Int("has_bias") != 0;
  p.has_sinks = a.Int("has_sinks") != 0;
  p.adjacent = a.Int("adjacent", 1) != 0;
  p.query_axis = static_cast<int>(a.Int("query_axis"));
  p.axis = static_cast<int>(a.Int("axis"));
  p.begin = a.Int("begin");
  p.times = a.Int("times", 1);
  const auto perm = a.Ints("perm");
  for (size_t i = 0; i < std::min<size_t>(perm.size(), kMaxRank); ++i)
    p.perm[i] = static_cast<int8_t>(perm[i]);
  p.activation = ParseActivation(node);
  p.attrs = &a;
  return p;
}

}  // namespace cpu
}  // namespace weft::inline v0
