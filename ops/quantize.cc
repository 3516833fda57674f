#include "ops/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "graph/blocks/q8_a.h"
#include "graph/host_tensor.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/experts.h"
#include "ops/fused.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// One block from n values, n <= 256; the rest is zero. A value that is not
// finite makes the whole block NaN: it must not vanish on the way.
BlockQ8_A QuantizeBlock(const float* x, int64_t n) {
  BlockQ8_A block{};
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) {
    finite = finite && std::isfinite(x[i]);
    largest = std::max(largest, std::fabs(x[i]));
  }
  if (!finite) block.d = std::numeric_limits<float>::quiet_NaN();
  if (!finite || largest < BlockQ8_A::kTiny) return block;
  block.d = largest / BlockQ8_A::kMax;
  const float inverse = BlockQ8_A::kMax / largest;
  for (int64_t i = 0; i < n; ++i) {
    const auto q = static_cast<int8_t>(std::nearbyint(x[i] * inverse));
    block.q[i] = q;
    block.sums[i / 16] = static_cast<int16_t>(block.sums[i / 16] + q);
    block.sums32[i / 32] = static_cast<int16_t>(block.sums32[i / 32] + q);
  }
  return block;
}

absl::Status QuantizeReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const int64_t n = x.dim(-1);
  std::byte* to = call.out[0]->bytes.data();
  for (int64_t r = 0; r < x.elements() / n; ++r)
    for (int64_t k = 0; k < n; k += BlockQ8_A::kCount) {
      const BlockQ8_A block = QuantizeBlock(
          x.f32() + r * n + k, std::min<int64_t>(BlockQ8_A::kCount, n - k));
      std::memcpy(to, &block, sizeof(block));
      to += sizeof(block);
    }
  return absl::OkStatus();
}

}  // namespace

const OpDef kQuantize = {
    .name = "quantize",
    .doc =
        "Activations as 8-bit blocks of 256 with one scale each: code = "
        "round(x * 127 / max |x|), ties to even. A block with a value that is "
        "not finite is NaN.\n"
        "f32[..., K] -> q8_a[..., K]\n"
        "C1: x is f32.\n"
        "C2: x has a dimension.",
    .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
      WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
      WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C2", 0, 1));
      return OneType(DType::kQ8_A, call.in[0].shape);
    },
    .reference = QuantizeReference,
    .samples =
        [] {
          std::vector<Sample> samples;
          for (const int64_t n : {1, 3, 64, 255, 256, 257, 800})
            samples.push_back(
                {absl::StrCat("n", n), [n](SampleGraph& g) {
                   return Values{Quantize(g.Normal({Dim::Symbol("T", 5), n}))};
                 }});
          return samples;
        },
    .tolerance = 0,  // a product and a rounding, the same everywhere
};

Value Quantize(Value x, Where at) { return EmitNode(kQuantize, {x}, {}, at); }

bool HasIntegerCodes(DType weight) {
  return Info(weight).block_values > 1 && IsDecodable(weight);
}

namespace {

// Of activations and weight, the first two operands of the product.
bool CanQuantize(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  if (x.dtype() != DType::kF32) return c.Miss(x, "is quantised already");
  if (HasIntegerCodes(w.dtype())) return true;
  return c.Miss(
      w, absl::StrCat("is ", Name(w.dtype()), ", which has no integer codes"));
}

bool ClassifyQMatMul(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  if (!CanQuantize(product, c)) return false;
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  const Value bias =
      node.inputs.size() > 2 ? Value(graph, node.inputs[2]) : Value();
  const std::string activation(node.attrs.String("activation"));
  c.root = product;
  c.emit = [=] { return QMatMul(Quantize(x), w, bias, activation); };
  return true;
}

bool ClassifyQMatMulById(Value product, Classification& c) {
  Graph* graph = product.graph();
  const Node& node = graph->producer(product.id());
  if (!CanQuantize(product, c)) return false;
  const Value x(graph, node.inputs[0]), w(graph, node.inputs[1]);
  const bool has_ids = node.attrs.Int("has_ids") != 0;
  const Value ids = has_ids ? Value(graph, node.inputs[2]) : Value();
  const Value bias = node.attrs.Int("has_bias") != 0
                         ? Value(graph, node.inputs[has_ids ? 3 : 2])
                         : Value();
  c.root = product;
  c.emit = [=] { return QMatMulById(Quantize(x), w, ids, bias); };
  return true;
}

}  // namespace

Pass QuantizeActivations(FusionReport* report, RewriteFilter allow) {
  std::vector<Rule> rules;
  rules.push_back(
      Rule("quantize_activations").Classify(kQMatMul, ClassifyQMatMul));
  rules.push_back(
      Rule("quantize_by_id").Classify(kQMatMulById, ClassifyQMatMulById));
  return Rewrite("quantize_activations", std::move(rules), report,
                 std::move(allow));
}

}  // namespace weft::inline v0
