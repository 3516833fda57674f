#include "tools/train/window_loss.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "ops/loss.h"
#include "ops/optimize.h"
#include "ops/windows.h"
#include "ops/work.h"

namespace weft::inline v0 {
namespace {

constexpr char kTargetsInput[] = "targets";
constexpr char kLossOutput[] = "loss";

absl::StatusOr<Value> ConstantOf(const TrainModel& model, Graph& into,
                                 const Node& weight) {
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const NewGgufTensor& tensor = model.tensors[i];
    if (tensor.name != weight.name) continue;
    HostTensor values(DType::kF32, {tensor.dims.begin(), tensor.dims.end()});
    model.values(i, absl::MakeSpan(values.f32(),
                                   static_cast<size_t>(values.elements())));
    return into.Constant(std::move(values), weight.where);
  }
  return absl::NotFoundError(weight.name);
}

absl::StatusOr<std::shared_ptr<Graph>> BuildGraph(
    const TrainModel& model, const WindowLossOptions& options) {
  const int64_t tokens = options.windows * options.length;
  BuildOptions build;
  build.max_tokens = tokens;
  build.max_rows = tokens;
  build.context = options.length;
  build.kv_k = build.kv_v = DType::kF32;
  WEFT_ASSIGN_OR_RETURN(const Architecture* const architecture,
                        FindArchitecture(*model.file));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Graph> decoder,
                        BuildModel(*model.file, *architecture, build));
  auto graph = std::make_shared<Graph>();
  std::vector<Parameter> parameters;
  absl::Status constants;
  WindowOptions windows;
  windows.windows = options.windows;
  windows.length = options.length;
  windows.weight = [&](Graph& into, const Node& node) {
    if (absl::StartsWith(node.name, "rope_")) {
      absl::StatusOr<Value> value = ConstantOf(model, into, node);
      constants.Update(value.status());
      return value.ok() ? *value : Value();
    }
    const TensorType& type = decoder->value(node.outputs[0]).type;
    if (!options.optimizer)
      return into.Weight(node.name, DType::kF32, type.shape, node.where);
    parameters.push_back(
        MakeParameter(into, node.name, type.shape, node.where));
    return parameters.back().value;
  };
  WEFT_ASSIGN_OR_RETURN(const Values outputs,
                        CopyForWindows(*decoder, windows, *graph));
  WEFT_RETURN_IF_ERROR(constants);
  if (decoder->outputs()[0].name != kLogitsOutput)
    return absl::InvalidArgumentError(absl::StrCat(
        model.file->source(), ": a model of the architecture ",
        architecture->name, " has no logits; expected one that writes text"));
  const Value targets = graph->Input(kTargetsInput, DType::kI32, {tokens});
  const Value loss = CrossEntropy(outputs[0], targets);
  graph->Output(kLossOutput, loss);
  if (options.optimizer)
    WEFT_RETURN_IF_ERROR(AddAdamW(loss, parameters, *options.optimizer));
  WEFT_RETURN_IF_ERROR(Optimize(*graph).status());
  return graph;
}

std::vector<StateRows> StatesOf(const Graph& graph) {
  std::vector<StateRows> states;
  size_t offset = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kState) continue;
    const TensorType& type = graph.value(node.outputs[0]).type;
    StateRows state{node.name, {}, offset, 0};
    for (int axis = 1; axis < type.shape.rank(); ++axis)
      state.dims.push_back(type.shape.dim(axis).bound());
    state.bytes = static_cast<size_t>(type.BoundBytes());
    offset += state.bytes;
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace

absl::StatusOr<std::unique_ptr<WindowLoss>> WindowLoss::Make(
    const TrainModel& model, const WindowLossOptions& options) {
  auto made = std::unique_ptr<WindowLoss>(new WindowLoss);
  WEFT_ASSIGN_OR_RETURN(made->graph_, BuildGraph(model, options));
  made->states_ = StatesOf(*made->graph_);
  made->operations_ = WorkOfSteps(*made->graph_, StepSize())
                          .operations[static_cast<size_t>(Arithmetic::kF32)];
  WEFT_ASSIGN_OR_RETURN(const auto backend,
                        MakeBackend("cpu", options.backend));
  const auto weights =
      [&](const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
    return options.weights(node.name);
  };
  WEFT_ASSIGN_OR_RETURN(made->executable_,
                        backend->Compile(made->graph_, weights));
  WEFT_RETURN_IF_ERROR(made->Bind(options.windows, options.length));
  return made;
}

absl::StatusOr<absl::Span<int32_t>> WindowLoss::Indices(
    absl::string_view name) {
  WEFT_ASSIGN_OR_RETURN(const absl::Span<std::byte> bytes,
                        executable_->Input(name));
  return absl::MakeSpan(reinterpret_cast<int32_t*>(bytes.data()),
                        bytes.size() / sizeof(int32_t));
}

absl::Status WindowLoss::Bind(int64_t windows, int64_t length) {
  WEFT_ASSIGN_OR_RETURN(tokens_, Indices(kTokensInput));
  WEFT_ASSIGN_OR_RETURN(targets_, Indices(kTargetsInput));
  // These are the same in every step.
  for (int64_t i = 0; i < windows * length; ++i) {
    const auto at = static_cast<size_t>(i);
    if (const auto pos = Indices(kPosInput); pos.ok())
      (*pos)[at] = static_cast<int32_t>(i % length);
    if (const auto slot = Indices(kSlotInput); slot.ok()) (*slot)[at] = 0;
    if (const auto rows = Indices(kRowsInput); rows.ok())
      (*rows)[at] = static_cast<int32_t>(i);
  }
  if (const auto rate = executable_->Input("learning_rate"); rate.ok())
    rate_ = reinterpret_cast<float*>(rate->data());
  WEFT_ASSIGN_OR_RETURN(const auto loss, executable_->Output(kLossOutput));
  loss_ = reinterpret_cast<const float*>(loss.data());
  if (const auto norm = executable_->Output("gradient_norm"); norm.ok())
    norm_ = reinterpret_cast<const float*>(norm->data());
  return absl::OkStatus();
}

absl::Status WindowLoss::Run(float rate) {
  if (rate_ != nullptr) *rate_ = rate;
  return executable_->Run({});
}

size_t WindowLoss::state_bytes() const {
  return static_cast<size_t>(executable_->SlotBytes(0));
}

void WindowLoss::Save(absl::Span<std::byte> bytes) const {
  executable_->SaveSlot(0, 0, bytes);
}

void WindowLoss::Load(absl::Span<const std::byte> bytes) {
  executable_->LoadSlot(0, 0, bytes);
}

}  // namespace weft::inline v0
