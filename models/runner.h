// Any graph as something to run: built with the DSL, compiled once, run with
// the caller's buffers. Language models have engine.h instead.
//
//   auto graph = std::make_unique<Graph>();
//   const Value x = graph->Input("x", DType::kF32, {Dim::Symbol("N", 64),
//   784}); graph->Output("y", Linear(x, graph->Weight("w", DType::kF32, {10,
//   784}))); auto runner = Runner::Compile(std::move(graph), RandomWeights(1));
//   float images[3 * 784], scores[3 * 10];
//   absl::Status ran = (*runner)->Run({InputOf(images, {3, 784})},
//                                     {OutputOf(scores)});
#ifndef WEFT_MODELS_RUNNER_H_
#define WEFT_MODELS_RUNNER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/graph.h"
#include "models/weights.h"
#include "ops/optimize.h"

namespace weft::inline v0 {

struct CompileOptions {  // How a graph is compiled.
  Numerics numerics = Numerics::kExact;
  std::string backend = "cpu";
  BackendOptions backend_options;  // threads, target, limits, the host's own
};

// An input of one step: its dims, and its values in row-major order.
struct InputBuffer {
  std::array<int64_t, kMaxRank> dims{};
  int rank = 0;
  absl::Span<const std::byte> bytes;
};
// Where an output goes, row-major.
struct OutputBuffer {
  absl::Span<std::byte> bytes;
};

// Buffers of arrays, vectors or spans. More than kMaxRank dims are cut off.
template <class Values>
InputBuffer InputOf(const Values& values, std::initializer_list<int64_t> dims) {
  InputBuffer in;
  for (const int64_t dim : dims)
    if (in.rank < kMaxRank) in.dims[static_cast<size_t>(in.rank++)] = dim;
  const auto span = absl::MakeConstSpan(values);
  in.bytes = {reinterpret_cast<const std::byte*>(span.data()),
              span.size() * sizeof(span[0])};
  return in;
}
template <class Values>
OutputBuffer OutputOf(Values& values) {
  const auto span = absl::MakeSpan(values);
  return {{reinterpret_cast<std::byte*>(span.data()),
           span.size() * sizeof(span[0])}};
}

// A compiled graph with its memory and threads. Not thread-safe; runners are
// independent of each other.
class Runner {
 public:
  // A name and a type, whose symbols have their bounds.
  struct Port {
    std::string name;
    TensorType type;
    ValueId value;
  };

  // Finishes and optimizes the graph and binds it to its weights, which may be
  // null for a graph that has none. The first error of building it, those of
  // Optimize, of the weights and of Backend::Compile; InvalidArgument for a
  // graph that is null; ResourceExhausted where memory runs out.
  static absl::StatusOr<std::unique_ptr<Runner>> Compile(
      std::unique_ptr<Graph> graph, Weights weights,
      const CompileOptions& options = {});

  // One step: `given` in the order of inputs(), `wanted` in that of outputs().
  // An output may be shorter than outputs() (the rest is not wanted) or an
  // empty span. Symbols have the values that the inputs' dims give them. States
  // keep what they hold between steps. InvalidArgument naming the input or
  // output whose dims or size are wrong, OutOfRange for a symbol above its
  // bound and for an index outside its table, Cancelled. Allocates nothing.
  absl::Status Run(absl::Span<const InputBuffer> given,
                   absl::Span<const OutputBuffer> wanted,
                   const std::atomic<bool>* cancel = nullptr);

  absl::Span<const Port> inputs() const { return inputs_; }
  absl::Span<const Port> outputs() const { return outputs_; }
  void ResetStates() { executable_->ResetStates(); }

  const Graph& graph() const { return *graph_; }
  const FusionReport& fusion_report() const { return report_; }
  const BackendPlan& plan() const { return executable_->plan(); }

 private:
  Runner() = default;
  absl::Status Bind();
  absl::Status TakeInput(size_t i, const InputBuffer& given);
  // Before anything is changed.
  absl::Status CheckSizes(absl::Span<const InputBuffer> given,
                          absl::Span<const OutputBuffer> wanted) const;
  int64_t BytesNow(const TensorType& type) const;

  std::shared_ptr<const Graph> graph_;
  Weights weights_;  // holds their memory
  FusionReport report_;
  std::unique_ptr<Executable> executable_;
  std::vector<Port> inputs_, outputs_;
  std::vector<absl::Span<std::byte>> input_bytes_;
  std::vector<absl::Span<const std::byte>> output_bytes_;
  SymbolValues symbols_;
  std::vector<Dim> all_symbols_;
  std::vector<int64_t> values_;  // of all_symbols_ in this step; 0: not given
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_RUNNER_H_
