// The references of products with stored matrices, some rows at a time.
#ifndef WEFT_TOOLS_STORED_PRODUCT_H_
#define WEFT_TOOLS_STORED_PRODUCT_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "graph/graph.h"
#include "graph/host_tensor.h"

namespace weft::inline v0 {

// A matrix of a product, [N, K], that comes from one weight.
struct StoredMatrix {
  const Node* weight = nullptr;
  // Between weight and product, as data flows: dequant, transpose.
  std::vector<const Node*> between;
};

// A node y = x w^T, its activation, or what is gated of two: what it computes
// for some rows of its matrices are columns of y.
struct StoredProduct {
  const Node* node = nullptr;
  std::vector<StoredMatrix> matrices;  // the node's operands from the second on
};

// Nothing where the node is none.
std::optional<StoredProduct> FindStoredProduct(const Graph& graph,
                                               const Node& node);

// y by the references of these ops, bit for bit as from the whole weight at
// once, but with no more than a few MB of it decoded for each thread. `x`: the
// node's first operand; `bias`: its last, null for none; `bytes`: the weights'
// in the file. Errors of the references.
absl::StatusOr<HostTensor> RunStoredProduct(
    const Graph& graph, const StoredProduct& product, const HostTensor& x,
    const HostTensor* bias,
    absl::Span<const absl::Span<const std::byte>> bytes,
    const SymbolValues& symbols, int threads);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_STORED_PRODUCT_H_
