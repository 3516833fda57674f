#include "tools/stored_product.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/interpret.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "models/parallel.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "tools/diff_graph.h"

namespace weft::inline v0 {
namespace {

// Decoded values that are in memory at once for a thread: 1 MB of f32, and as
// much transposed, stay in a core's cache.
constexpr int64_t kValuesOfPart = int64_t{1} << 18;

// The product for rows `begin` to `end` of the weight: f32[..., end - begin].
absl::StatusOr<HostTensor> RunPart(
    const Graph& graph, const StoredProduct& product, const HostTensor& x,
    const HostTensor* bias, absl::Span<const absl::Span<const std::byte>> bytes,
    const SymbolValues& symbols, int64_t begin, int64_t end) {
  const TensorType& x_type = graph.value(product.node->inputs[0]).type;
  Graph part;
  std::vector<HostTensor> sources = {x};
  Values in = {part.Input("x", x_type.dtype, x_type.shape)};
  for (size_t i = 0; i < product.matrices.size(); ++i) {
    const StoredMatrix& matrix = product.matrices[i];
    const TensorType& type = graph.value(matrix.weight->outputs[0]).type;
    WEFT_ASSIGN_OR_RETURN(HostTensor rows,
                          WeightRows(type, bytes[i], begin, end));
    Value w = part.Weight(absl::StrCat("w", i), type.dtype,
                          {end - begin, type.shape.dim(1)});
    sources.push_back(std::move(rows));
    for (const Node* node : matrix.between)
      w = part.Emit(*node->op, {w}, node->attrs, node->where);
    in.push_back(w);
  }
  if (bias != nullptr) {
    in.push_back(part.Input("bias", DType::kF32, {end - begin}));
    sources.push_back(HostTensor::FromFloats(
        {end - begin}, absl::MakeConstSpan(bias->f32() + begin,
                                           static_cast<size_t>(end - begin))));
  }
  const Value y = part.Emit(*product.node->op, in, product.node->attrs,
                            product.node->where);
  WEFT_RETURN_IF_ERROR(part.status());
  size_t next = 0;  // sources are asked for in their order
  WEFT_ASSIGN_OR_RETURN(
      Interpretation run,
      Interpret(part, symbols,
                [&](const Graph&, const Node&) -> absl::StatusOr<HostTensor> {
                  return std::move(sources[next++]);
                }));
  return std::move(run.values[static_cast<size_t>(y.id())]);
}

// Operand `input` of a product that reads its rows; `turned`: its columns.
std::optional<StoredMatrix> FindStoredMatrix(const Graph& graph, ValueId input,
                                             bool turned) {
  StoredMatrix matrix;
  const Node* from = &graph.producer(input);
  while (from->op == &kDequant || (from->op == &kTranspose && !turned)) {
    turned |= from->op == &kTranspose;
    matrix.between.insert(matrix.between.begin(), from);
    from = &graph.producer(from->inputs[0]);
  }
  if (!turned || from->op->kind != OpKind::kWeight ||
      graph.value(from->outputs[0]).type.shape.rank() != 2)
    return std::nullopt;
  matrix.weight = from;
  return matrix;
}

}  // namespace

std::optional<StoredProduct> FindStoredProduct(const Graph& graph,
                                               const Node& node) {
  const bool gated = node.op == &kGatedQMatMul;
  const bool rows = gated || node.op == &kQMatMul;  // it reads rows
  if (!rows && node.op != &kMatMul) return std::nullopt;
  StoredProduct product;
  product.node = &node;
  for (size_t i = 1; i <= (gated ? 2 : 1); ++i) {
    auto matrix = FindStoredMatrix(graph, node.inputs[i], rows);
    if (!matrix.has_value()) return std::nullopt;
    product.matrices.push_back(*std::move(matrix));
  }
  return product;
}

absl::StatusOr<HostTensor> RunStoredProduct(
    const Graph& graph, const StoredProduct& product, const HostTensor& x,
    const HostTensor* bias, absl::Span<const absl::Span<const std::byte>> bytes,
    const SymbolValues& symbols, int threads) {
  const TensorType& type = graph.value(product.node->outputs[0]).type;
  HostTensor y(type.dtype, type.shape.Bind(symbols));
  const Shape& w =
      graph.value(product.matrices[0].weight->outputs[0]).type.shape;
  const int64_t n = w.dim(0).bound(), outer = y.OuterElements(1);
  const int64_t block = Info(type.dtype).block_values;
  const int64_t step = std::max<int64_t>(kPackedRows, block);
  const int64_t rows =
      std::max(step, kValuesOfPart / w.dim(1).bound() / step * step);
  const int64_t parts = (n + rows - 1) / rows;
  std::vector<absl::Status> status(static_cast<size_t>(parts));
  ParallelFor(threads, parts, [&](int64_t i) {
    const int64_t begin = i * rows, end = std::min(n, begin + rows);
    const absl::StatusOr<HostTensor> part =
        RunPart(graph, product, x, bias, bytes, symbols, begin, end);
    status[static_cast<size_t>(i)] = part.status();
    if (!part.ok()) return;
    // Parts begin with a block, and so do rows.
    const auto y_row = y.bytes.size() / static_cast<size_t>(outer);
    const auto part_row = part->bytes.size() / static_cast<size_t>(outer);
    const auto first = static_cast<size_t>(begin / block) *
                       static_cast<size_t>(Info(type.dtype).block_bytes);
    for (size_t r = 0; r < static_cast<size_t>(outer); ++r)
      std::memcpy(y.bytes.data() + r * y_row + first,
                  part->bytes.data() + r * part_row, part_row);
  });
  for (const absl::Status& s : status) WEFT_RETURN_IF_ERROR(s);
  return y;
}

}  // namespace weft::inline v0
