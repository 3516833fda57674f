#include "tools/train/window_loss.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "models/lora.h"
#include "ops/loss.h"
#include "ops/optimize.h"
#include "ops/windows.h"
#include "ops/work.h"

namespace weft::inline v0 {
namespace {

constexpr char kTargetsInput[] = "targets";
constexpr char kLossOutput[] = "loss";

// The name that ApplyLora gives a half of the only adapter.
constexpr char kAdapterPrefix[] = "lora.0.";

// The decoder as its architecture builds it, with the adapter that is trained.
absl::StatusOr<std::unique_ptr<Graph>> BuildDecoder(
    const TrainModel& model, const WindowLossOptions& options) {
  BuildOptions build;
  build.max_tokens = options.windows * options.length;
  build.max_rows = build.max_tokens;
  build.context = options.length;
  build.kv_k = build.kv_v = DType::kF32;
  std::optional<LoraAdapter> adapter;
  if (model.is_adapter) {
    WEFT_ASSIGN_OR_RETURN(GgufFile file,
                          ParseHeader(model.header, "the adapter"));
    WEFT_ASSIGN_OR_RETURN(
        adapter, LoraAdapter::FromFile(std::move(file), *model.source));
    build.adapters.push_back({&*adapter});
  }
  WEFT_ASSIGN_OR_RETURN(const Architecture* const architecture,
                        FindArchitecture(model.model_file()));
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Graph> decoder,
                        BuildModel(model.model_file(), *architecture, build));
  if (decoder->outputs()[0].name != kLogitsOutput)
    return absl::InvalidArgumentError(
        absl::StrCat(model.model_file().source(), ": ", architecture->name,
                     " models have no logits; expected one that writes text"));
  return decoder;
}

absl::StatusOr<std::shared_ptr<Graph>> BuildGraph(
    const TrainModel& model, const WindowLossOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Graph> decoder,
                        BuildDecoder(model, options));
  auto graph = std::make_shared<Graph>();
  std::vector<Parameter> parameters;
  WindowOptions windows;
  windows.windows = options.windows;
  windows.length = options.length;
  windows.checkpoint_layers = options.optimizer && options.recompute;
  windows.weight = [&](Graph& into, const Node& node) {
    absl::string_view name = node.name;
    const TensorType& type = decoder->value(node.outputs[0]).type;
    // Factors of rope's frequencies are no weights that one learns.
    const bool trained = model.is_adapter
                             ? absl::ConsumePrefix(&name, kAdapterPrefix)
                             : !absl::StartsWith(name, "rope_");
    if (!trained || !options.optimizer)
      return into.Weight(name, type.dtype, type.shape, node.where);
    parameters.push_back(MakeParameter(into, name, type.shape, node.where));
    return parameters.back().value;
  };
  WEFT_ASSIGN_OR_RETURN(const Values outputs,
                        CopyForWindows(*decoder, windows, *graph));
  const Value targets = graph->Input(kTargetsInput, DType::kI32,
                                     {options.windows * options.length});
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
  if (const auto apply = executable_->Input("apply"); apply.ok())
    apply_ = reinterpret_cast<float*>(apply->data());
  WEFT_ASSIGN_OR_RETURN(const auto loss, executable_->Output(kLossOutput));
  loss_ = reinterpret_cast<const float*>(loss.data());
  if (const auto norm = executable_->Output("gradient_norm"); norm.ok())
    norm_ = reinterpret_cast<const float*>(norm->data());
  return absl::OkStatus();
}

absl::Status WindowLoss::Run(float rate, bool apply) {
  if (rate_ != nullptr) *rate_ = rate;
  if (apply_ != nullptr) *apply_ = apply ? 1 : 0;
  return executable_->Run({});
}

std::string WindowLoss::SlowOps() const {
  std::set<absl::string_view> ops;
  for (const PlannedStep& step : plan().steps)
    if (step.on_reference) ops.insert(graph_->node(step.node).op->name);
  return absl::StrJoin(ops, ", ");
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
