#include "ops/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"
#include "graph/half.h"
#include "graph/host_tensor.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/experts.h"
#include "ops/fused.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// What shares a scale: n values to q, and the scale. A value that is not finite
// makes all NaN: it must not vanish on the way.
template <class Block>
float QuantizeRun(const float* x, int64_t n, int8_t* q) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::max(largest, std::fabs(x[i]));
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  if (largest < Block::kTiny) return 0;
  const float inverse = Block::kMax / largest;
  for (int64_t i = 0; i < n; ++i)
    q[i] = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
  return largest / Block::kMax;
}

// One block from n values, n <= 256; the rest is zero.
template <class Block>
Block QuantizeBlock(const float* x, int64_t n) {
  Block block{};
  for (int64_t i = 0; i < n; i += Block::kPerScale) {
    const float d = QuantizeRun<Block>(
        x + i, std::min<int64_t>(Block::kPerScale, n - i), block.q + i);
    if constexpr (Block::kPerScale == Block::kCount) {
      block.d = d;
    } else {
      block.d[i / Block::kPerScale] = d;
    }
  }
  block.SetSums();
  return block;
}

template <class Block>
void QuantizeRows(const HostTensor& x, std::byte* to) {
  const int64_t n = x.dim(-1);
  for (int64_t r = 0; r < x.elements() / n; ++r)
    for (int64_t k = 0; k < n; k += Block::kCount, to += sizeof(Block)) {
      const auto block = QuantizeBlock<Block>(
          x.f32() + r * n + k, std::min<int64_t>(Block::kCount, n - k));
      std::memcpy(to, &block, sizeof(block));
    }
}

absl::Status QuantizeReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  HostTensor& out = *call.out[0];
  if (out.dtype == DType::kQ8_A) {
    QuantizeRows<BlockQ8_A>(x, out.bytes.data());
  } else if (out.dtype == DType::kQ8_A32) {
    QuantizeRows<BlockQ8_A32>(x, out.bytes.data());
  } else {
    auto* bits = reinterpret_cast<uint16_t*>(out.bytes.data());
    std::transform(x.f32(), x.f32() + x.elements(), bits, F32ToBF16);
  }
  return absl::OkStatus();
}

}  // namespace

const OpDef kQuantize = {
    .name = "quantize",
    .doc =
        "Activations as 8-bit values with a scale for each 256 or 32 of them: "
        "code = round(x * 127 / max |x|), ties to even. What shares a scale "
        "with a value that is not finite is NaN. per_scale 1: bf16, to the "
        "nearest, ties to even.\n"
        "f32[..., K] -> q8_a[..., K] (per_scale 256), q8_a32[..., K] (32), "
        "bf16[..., K] (1)\n"
        "C1: x is f32.\n"
        "C2: x has a dimension.\n"
        "C3: per_scale is 256, 32 or 1.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
      WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 1));
      const double per_scale = call.attrs.Float("per_scale");
      WEFT_RETURN_IF_ERROR(call.Require(
          per_scale == 256 || per_scale == 32 || per_scale == 1,
          absl::StrCat("C3: per_scale is ", per_scale, ", not 256, 32 or 1")));
      return OneType(QuantizedType(per_scale), call.in[0].shape);
    },
    .reference = QuantizeReference,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const int per_scale : {256, 32, 1})
            for (const int64_t n : {1, 3, 64, 255, 256, 257, 800})
              samples.push_back(
                  {absl::StrCat("n", n, "_", per_scale), [=](SampleGraph& g) {
                     return Values{Quantize(g.Normal({Dim::Symbol("T", 5), n}),
                                            per_scale)};
                   }});
          return samples;
        },
    .tolerance = 0,  // a product and a rounding, the same everywhere
};

Value Quantize(Value x, FloatAttr per_scale, Where at) {
  return EmitNode(kQuantize, {x}, {{"per_scale", per_scale}}, at);
}

bool HasIntegerCodes(DType weight) {
  return Info(weight).block_values > 1 && IsDecodable(weight);
}

DType QuantizedType(double per_scale) {
  if (per_scale == 1) return DType::kBF16;
  return per_scale == 256 ? DType::kQ8_A : DType::kQ8_A32;
}

bool WantsQuantized(DType weight) {
  return HasIntegerCodes(weight) || weight == DType::kBF16;
}

int PerScaleFor(DType weight) { return Info(weight).block_values; }

namespace {

// Of activations and weight, the first two operands of the product.
bool CanQuantize(Value product, bool (*wants)(DType), Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  if (x.dtype() != DType::kF32) return c.Miss(x, "is quantised already");
  if (wants(w.dtype())) return true;
  return c.Miss(
      w, absl::StrCat("is ", Name(w.dtype()), ", which has no integer codes"));
}

bool ClassifyQMatMul(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  if (!CanQuantize(product, WantsQuantized, c)) return false;
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  const Value bias =
      node.inputs.size() > 2 ? Value(graph, node.inputs[2]) : Value();
  const std::string activation(node.attrs.String("activation"));
  c.root = product;
  c.emit = [=] {
    return QMatMul(Quantize(x, PerScaleFor(w.dtype())), w, bias, activation);
  };
  return true;
}

bool ClassifyGatedQMatMul(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  if (!CanQuantize(product, WantsQuantized, c)) return false;
  const Value x(graph, node.inputs[0]), gate(graph, node.inputs[1]);
  const Value up(graph, node.inputs[2]);
  const std::string activation(node.attrs.String("activation"));
  c.root = product;
  c.emit = [=] {
    return GatedQMatMul(Quantize(x, PerScaleFor(gate.dtype())), gate, up,
                        activation);
  };
  return true;
}

bool ClassifyQMatMulById(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  // Experts in bf16 have no kernel for bf16 activations.
  if (!CanQuantize(product, HasIntegerCodes, c)) return false;
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  const bool has_ids = node.attrs.Int("has_ids") != 0;
  const Value ids = has_ids ? Value(graph, node.inputs[2]) : Value();
  const Value bias = node.attrs.Int("has_bias") != 0
                         ? Value(graph, node.inputs[has_ids ? 3 : 2])
                         : Value();
  c.root = product;
  c.emit = [=] {
    return QMatMulById(Quantize(x, PerScaleFor(w.dtype())), w, ids, bias);
  };
  return true;
}

}  // namespace

Pass QuantizeActivations(FusionReport* report, RewriteFilter allow) {
  std::vector<Rule> rules;
  rules.push_back(
      Rule("quantize_activations").Classify(kQMatMul, ClassifyQMatMul));
  rules.push_back(
      Rule("quantize_gated").Classify(kGatedQMatMul, ClassifyGatedQMatMul));
  rules.push_back(
      Rule("quantize_by_id").Classify(kQMatMulById, ClassifyQMatMulById));
  return Rewrite("quantize_activations", std::move(rules), report,
                 std::move(allow));
}

}  // namespace weft::inline v0
