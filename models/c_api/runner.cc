// weft_graph.h, second half: graphs that run.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/c_api/graph_handles.h"

using weft::c_api::Call;
using weft::c_api::GiveGraph;
using weft::c_api::GiveReport;
using weft::c_api::IsNull;

namespace {

absl::StatusOr<weft::Weights> ReadWeights(const weft_runner_options& o) {
  if (o.weights_path != nullptr) {
    if (o.weight_count > 0)
      return absl::InvalidArgumentError(
          "weights_path and weights exclude each other");
    WEFT_ASSIGN_OR_RETURN(weft::GgufFile file,
                          weft::GgufFile::Open(o.weights_path));
    return weft::WeightsFromFile(
        std::make_shared<const weft::GgufFile>(std::move(file)));
  }
  if (o.weights == nullptr && o.weight_count > 0) return IsNull("weights");
  std::vector<weft::NamedWeight> weights;
  for (size_t i = 0; i < o.weight_count; ++i) {
    const weft_named_weight& w = o.weights[i];
    if (w.name == nullptr || (w.data == nullptr && w.bytes > 0))
      return IsNull("the name or the data of a weight");
    weights.push_back(
        {w.name, {static_cast<const std::byte*>(w.data), w.bytes}});
  }
  return weft::WeightsFromMemory(std::move(weights));
}

absl::Status CheckDType(const weft_tensor& given,
                        const weft::Runner::Port& port) {
  const absl::string_view want = weft::Name(port.type.dtype);
  if (given.dtype == nullptr || want == given.dtype) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "input ", port.name, " is given as ", given.dtype, "; it is ", want));
}

}  // namespace

weft_code weft_runner_new(weft_graph* graph, const weft_runner_options* options,
                          weft_runner** runner, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (graph == nullptr || runner == nullptr)
      return IsNull("the graph or where the runner goes");
    std::unique_ptr<weft::Graph> built = std::move(graph->graph);
    if (built == nullptr)
      return absl::FailedPreconditionError("a runner took this graph already");
    if (graph->out_of_memory) return weft::OutOfMemory();
    WEFT_ASSIGN_OR_RETURN(const weft_runner_options o,
                          weft::c_api::Known(options, weft_runner_options{}));
    weft::CompileOptions compile;
    compile.numerics =
        o.fast != 0 ? weft::Numerics::kFast : weft::Numerics::kExact;
    if (o.backend != nullptr) compile.backend = o.backend;
    compile.backend_options.threads = o.threads;
    compile.backend_options.max_bytes = o.max_bytes;
    if (o.target != nullptr) compile.backend_options.target = o.target;
    WEFT_ASSIGN_OR_RETURN(weft::Weights weights, ReadWeights(o));
    auto handle = std::make_unique<weft_runner>();
    WEFT_ASSIGN_OR_RETURN(
        handle->runner,
        weft::Runner::Compile(std::move(built), std::move(weights), compile));
    handle->inputs.resize(handle->runner->inputs().size());
    handle->outputs.resize(handle->runner->outputs().size());
    *runner = handle.release();
    return absl::OkStatus();
  });
}

void weft_runner_free(weft_runner* runner) { delete runner; }

weft_code weft_runner_run(weft_runner* runner, const weft_tensor* inputs,
                          size_t input_count, const weft_buffer* outputs,
                          size_t output_count, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (runner == nullptr) return IsNull("the runner");
    weft::Runner& r = *runner->runner;
    if ((inputs == nullptr && input_count > 0) ||
        (outputs == nullptr && output_count > 0))
      return IsNull("the inputs or the outputs");
    if (input_count != r.inputs().size() || output_count > r.outputs().size())
      return absl::InvalidArgumentError(absl::StrCat(
          input_count, " inputs and ", output_count, " outputs; the graph has ",
          r.inputs().size(), " and ", r.outputs().size()));
    for (size_t i = 0; i < input_count; ++i) {
      const weft_tensor& given = inputs[i];
      WEFT_RETURN_IF_ERROR(CheckDType(given, r.inputs()[i]));
      if (given.data == nullptr) return IsNull("the data of an input");
      weft::InputBuffer& in = runner->inputs[i];
      in.rank = given.rank;
      std::copy_n(given.dims, weft::kMaxRank, in.dims.begin());
      in.bytes = {static_cast<const std::byte*>(given.data), given.bytes};
    }
    for (size_t i = 0; i < output_count; ++i)
      runner->outputs[i].bytes = {
          static_cast<std::byte*>(outputs[i].data),
          outputs[i].data == nullptr ? 0 : outputs[i].bytes};
    const absl::Status status = r.Run(
        runner->inputs, absl::MakeSpan(runner->outputs).first(output_count),
        &runner->cancel);
    if (absl::IsCancelled(status)) runner->cancel.store(false);
    return status;
  });
}

void weft_runner_cancel(weft_runner* runner) {
  if (runner != nullptr) runner->cancel.store(true);
}

void weft_runner_reset(weft_runner* runner) {
  if (runner != nullptr) runner->runner->ResetStates();
}

weft_code weft_runner_graph(const weft_runner* runner, char* text,
                            size_t capacity, size_t* size, weft_error* error) {
  return Call(error, [&] {
    if (runner == nullptr) return IsNull("the runner");
    return GiveGraph(runner->runner->graph(), text, capacity, size);
  });
}

weft_code weft_runner_fusion_report(const weft_runner* runner, char* text,
                                    size_t capacity, size_t* size,
                                    weft_error* error) {
  return Call(error, [&] {
    if (runner == nullptr) return IsNull("the runner");
    return GiveReport(runner->runner->fusion_report(), text, capacity, size);
  });
}
