#include "models/runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

absl::Status Wrong(const char* what, const Runner::Port& port,
                   const std::string& found) {
  return absl::InvalidArgumentError(absl::StrCat(
      what, " ", port.name, " ", port.type.ToString(), ": ", found));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::Compile(
    std::unique_ptr<Graph> graph, Weights weights,
    const CompileOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<std::unique_ptr<Runner>> {
    if (graph == nullptr)
      return absl::InvalidArgumentError("the graph to compile is null");
    WEFT_RETURN_IF_ERROR(graph->Finish());
    std::unique_ptr<Runner> runner(new Runner());
    WEFT_ASSIGN_OR_RETURN(runner->report_,
                          Optimize(*graph, {.numerics = options.numerics}));
    runner->graph_ = std::move(graph);
    runner->weights_ = std::move(weights);
    WEFT_ASSIGN_OR_RETURN(
        const auto backend,
        MakeBackend(options.backend, options.backend_options));
    const Runner* self = runner.get();
    WEFT_ASSIGN_OR_RETURN(
        runner->executable_,
        backend->Compile(
            self->graph_,
            [self](const Node& node)
                -> absl::StatusOr<absl::Span<const std::byte>> {
              if (self->weights_ == nullptr)
                return absl::NotFoundError(absl::StrCat(
                    "no weights are given; the graph has ", node.name));
              return self->weights_(node.name,
                                    self->graph_->value(node.outputs[0]).type);
            }));
    WEFT_RETURN_IF_ERROR(runner->Bind());
    return runner;
  });
}

absl::Status Runner::Bind() {
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    if (node.op->kind != OpKind::kInput) continue;
    const ValueId v = node.outputs[0];
    inputs_.push_back({node.name, graph_->value(v).type, v});
  }
  // In the order in which they were declared, which passes do not keep.
  std::sort(inputs_.begin(), inputs_.end(),
            [](const Port& a, const Port& b) { return a.value < b.value; });
  for (const Port& port : inputs_) {
    WEFT_ASSIGN_OR_RETURN(input_bytes_.emplace_back(),
                          executable_->Input(port.name));
  }
  for (const Graph::NamedValue& out : graph_->outputs()) {
    outputs_.push_back({out.name, graph_->value(out.value).type, out.value});
    WEFT_ASSIGN_OR_RETURN(output_bytes_.emplace_back(),
                          executable_->Output(out.name));
  }
  all_symbols_ = graph_->Symbols();
  values_.resize(all_symbols_.size());
  for (const Dim& dim : all_symbols_) symbols_.Set(dim.name(), dim.bound());
  return absl::OkStatus();
}

int64_t Runner::BytesNow(const TensorType& type) const {
  const int rank = type.shape.rank();
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < rank; ++axis)
    rows *= symbols_.Of(type.shape.dim(axis));
  const int64_t row = rank == 0 ? 1 : symbols_.Of(type.shape.dim(-1));
  return rows * PaddedRowBytes(type.dtype, row).value_or(0);
}

absl::Status Runner::TakeInput(size_t i, const InputBuffer& given) {
  const Port& port = inputs_[i];
  const Shape& shape = port.type.shape;
  if (given.rank != shape.rank())
    return Wrong("input", port,
                 absl::StrCat("given with ", given.rank, " dims"));
  for (int axis = 0; axis < given.rank; ++axis) {
    const Dim& dim = shape.dim(axis);
    const int64_t value = given.dims[static_cast<size_t>(axis)];
    int64_t want = dim.bound();
    if (dim.is_symbol()) {
      const auto at = std::find(all_symbols_.begin(), all_symbols_.end(), dim) -
                      all_symbols_.begin();
      int64_t& known = values_[static_cast<size_t>(at)];
      if (value < 1 || value > dim.bound())
        return absl::OutOfRangeError(absl::StrCat(
            "input ", port.name, " ", port.type.ToString(), ": dim ", axis,
            " is ", value, "; ", dim.name(), " is 1 to ", dim.bound()));
      if (known == 0) known = value;
      want = known;
    }
    if (value != want)
      return Wrong(
          "input", port,
          absl::StrCat("dim ", axis, " is ", value, "; expected ", want));
  }
  return absl::OkStatus();
}

absl::Status Runner::CheckSizes(absl::Span<const InputBuffer> given,
                                absl::Span<const OutputBuffer> wanted) const {
  for (size_t i = 0; i < given.size(); ++i) {
    const int64_t bytes = BytesNow(inputs_[i].type);
    if (static_cast<int64_t>(given[i].bytes.size()) != bytes)
      return Wrong("input", inputs_[i],
                   absl::StrCat("given ", given[i].bytes.size(),
                                " bytes; these dims have ", bytes));
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const int64_t bytes = BytesNow(outputs_[i].type);
    if (!wanted[i].bytes.empty() &&
        static_cast<int64_t>(wanted[i].bytes.size()) < bytes)
      return Wrong("output", outputs_[i],
                   absl::StrCat("room for ", wanted[i].bytes.size(),
                                " bytes; needs ", bytes));
  }
  return absl::OkStatus();
}

absl::Status Runner::Run(absl::Span<const InputBuffer> given,
                         absl::Span<const OutputBuffer> wanted,
                         const std::atomic<bool>* cancel) {
  return NoThrow([&]() -> absl::Status {
    if (given.size() != inputs_.size() || wanted.size() > outputs_.size())
      return absl::InvalidArgumentError(
          absl::StrCat(given.size(), " inputs and ", wanted.size(),
                       " outputs; the graph has ", inputs_.size(), " and ",
                       outputs_.size()));
    std::fill(values_.begin(), values_.end(), 0);
    for (size_t i = 0; i < given.size(); ++i)
      WEFT_RETURN_IF_ERROR(TakeInput(i, given[i]));
    // A symbol of states alone has its bound.
    for (size_t i = 0; i < all_symbols_.size(); ++i)
      symbols_.Set(all_symbols_[i].name(),
                   values_[i] > 0 ? values_[i] : all_symbols_[i].bound());
    WEFT_RETURN_IF_ERROR(CheckSizes(given, wanted));
    for (size_t i = 0; i < given.size(); ++i)
      std::memcpy(input_bytes_[i].data(), given[i].bytes.data(),
                  given[i].bytes.size());
    WEFT_RETURN_IF_ERROR(executable_->Run(symbols_, cancel));
    for (size_t i = 0; i < wanted.size(); ++i)
      if (!wanted[i].bytes.empty())
        std::memcpy(wanted[i].bytes.data(), output_bytes_[i].data(),
                    static_cast<size_t>(BytesNow(outputs_[i].type)));
    return absl::OkStatus();
  });
}

}  // namespace weft::inline v0
