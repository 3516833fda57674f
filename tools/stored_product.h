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

// A node y = x w^T, or its activation, whose w [N, K] comes from one weight:
// what it computes for some rows of the weight are columns of y.
struct StoredProduct {
  const Node* node = nullptr;
  const Node* weight = nullptr;
  // Between the two, as data flows: dequant, transpose.
  std::vector<const Node*> between;
};

// Nothing where the node is none.
std::optional<StoredProduct> FindStoredProduct(const Graph& graph,
                                               const Node& node);

// y by the references of these ops, bit for bit as from the whole weight at
// once, but with no more than a few MB of it decoded for each thread. `x`: the
// node's first operand; `bias`: its third, null for none; `bytes`: the weight's
// in the file. Errors of the references.
absl::StatusOr<HostTensor> RunStoredProduct(
    const Graph& graph, const StoredProduct& product, const HostTensor& x,
    const HostTensor* bias, absl::Span<const std::byte> bytes,
    const SymbolValues& symbols, int threads);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_STORED_PRODUCT_H_
