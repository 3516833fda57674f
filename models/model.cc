#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/cancel.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "models/engine.h"
#include "models/model_file.h"
#include "models/no_throw.h"
#include "models/no_tokenizer.h"
#include "ops/optimize.h"

namespace weft::inline v0 {
namespace {

// Default bound of the context: a KV cache that fits next to any model.
constexpr int64_t kDefaultContext = 4096;
constexpr int64_t kMaxSlots = 4096;

absl::Status CheckRange(const char* what, int64_t value, int64_t low,
                        int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      what, " is ", value, "; expected a number from ", low, " to ", high));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Model>> Model::Load(
    const std::string& path, const LoadOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<std::shared_ptr<const Model>> {
    CopyWatch watch({options.cancel, options.progress, options.max_bytes});
    WEFT_ASSIGN_OR_RETURN(
        GgufFile file,
        OpenModelFile(path, {.read_into_memory = options.read_into_memory,
                             .watch = &watch}));
    return FromFile(std::move(file), options);
  });
}

absl::StatusOr<std::shared_ptr<const Model>> Model::FromFile(
    GgufFile file, const LoadOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<std::shared_ptr<const Model>> {
    std::unique_ptr<Model> made(new Model(std::move(file)));
    std::shared_ptr<Model> model(std::move(made));
    WEFT_RETURN_IF_ERROR(model->Init(options));
    return model;
  });
}

absl::Status Model::Init(const LoadOptions& options) {
  WEFT_ASSIGN_OR_RETURN(architecture_,
                        FindArchitecture(file_, options.architectures));
  WEFT_RETURN_IF_ERROR(CheckCancel(options.cancel));
  if (options.tokenizer) {
    WEFT_ASSIGN_OR_RETURN(tokenizer_, MakeTokenizer(file_));
  } else {
    tokenizer_ = std::make_unique<NoTokenizer>();
  }
  WEFT_RETURN_IF_ERROR(CheckCancel(options.cancel));
  WEFT_RETURN_IF_ERROR(ReadSizes());
  CopyWatch watch({.cancel = options.cancel, .max_bytes = options.max_bytes},
                  static_cast<int64_t>(file_.copied_bytes()));
  for (const AdapterOptions& adapter : options.adapters) {
    WEFT_RETURN_IF_ERROR(CheckCancel(options.cancel));
    WEFT_ASSIGN_OR_RETURN(
        LoraAdapter opened,
        LoraAdapter::Open(
            adapter.path, file_,
            {.read_into_memory = options.read_into_memory, .watch = &watch}));
    adapters_.push_back(std::move(opened));
    adapter_scales_.push_back(adapter.scale);
  }
  if (options.progress) return TouchPages(options.progress, options.cancel);
  return CheckCancel(options.cancel);
}

absl::Status Model::TouchPages(const std::function<void(double)>& progress,
                               const std::atomic<bool>* cancel) const {
  constexpr size_t kPage = 4096, kReport = 4 << 20;
  if (file_.copied_bytes() > 0) return CheckCancel(cancel);
  uint64_t total = 0, done = 0;
  for (const GgufTensor& tensor : file_.tensors()) total += tensor.data.size();
  const auto tell = [&progress](double share) {
    if (progress) progress(share);
  };
  size_t since = 0;
  volatile std::byte sink{};  // keeps the reads
  for (const GgufTensor& tensor : file_.tensors())
    for (size_t at = 0; at < tensor.data.size(); at += kPage) {
      WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
      sink = tensor.data[at];
      done += std::min(kPage, tensor.data.size() - at);
      since += kPage;
      if (since >= kReport) {
        since = 0;
        tell(static_cast<double>(done) / static_cast<double>(total));
      }
    }
  static_cast<void>(sink);
  WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
  tell(1);
  return CheckCancel(cancel);
}

absl::Status Model::ReadSizes() {
  // The smallest graph: checks every tensor and hyper-parameter now, and tells
  // the width of the logits.
  BuildOptions smallest;
  smallest.max_tokens = smallest.context = 1;
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Graph> graph,
                        BuildModel(file_, *architecture_, smallest));
  for (const Graph::NamedValue& out : graph->outputs()) {
    const Shape& shape = graph->value(out.value).type.shape;
    if (out.name == kLogitsOutput) vocab_size_ = shape.dim(-1).bound();
    // Without logits, the vocabulary is the table that tokens are taken from.
    const GgufTensor* table = file_.FindTensor("token_embd.weight");
    if (out.name == kEmbeddingsOutput && table != nullptr &&
        !table->dims.empty())
      vocab_size_ = table->dims.front();
  }
  if (vocab_size_ == 0)
    return absl::FailedPreconditionError(
        absl::StrCat(file_.source(), ": the architecture ", architecture_->name,
                     " has neither an output \"", kLogitsOutput, "\" nor \"",
                     kEmbeddingsOutput, "\" and a table of tokens"));
  const auto key = [this](const char* name) {
    return absl::StrCat(architecture_->name, ".", name);
  };
  if (file_.Has(key("context_length"))) {
    WEFT_ASSIGN_OR_RETURN(trained_context_,
                          file_.GetInt64(key("context_length")));
  }
  pooling_ = architecture_->causal ? Pooling::kLast : Pooling::kMean;
  if (!file_.Has(key("pooling_type"))) return absl::OkStatus();
  WEFT_ASSIGN_OR_RETURN(const int64_t pooling,
                        file_.GetInt64(key("pooling_type")));
  // 0 is "none", 4 "rank": scores, not embeddings.
  constexpr Pooling kByType[] = {Pooling::kModel, Pooling::kMean,
                                 Pooling::kFirst, Pooling::kLast};
  if (pooling >= 1 && pooling <= 3) pooling_ = kByType[pooling];
  return absl::OkStatus();
}

absl::StatusOr<SessionOptions> Model::Complete(SessionOptions o) const {
  if (o.context == 0)
    o.context = trained_context_ > 0 && trained_context_ <= kMaxContext
                    ? std::min(trained_context_, kDefaultContext)
                    : kDefaultContext;
  WEFT_RETURN_IF_ERROR(CheckRange("context", o.context, 1, kMaxContext));
  WEFT_RETURN_IF_ERROR(CheckRange("slots", o.slots, 1, kMaxSlots));
  WEFT_RETURN_IF_ERROR(CheckRange("batch", o.batch, 1, 1 << 16));
  o.batch = std::min(o.batch, o.context * o.slots);
  WEFT_RETURN_IF_ERROR(CheckRange("logits_rows", o.logits_rows, 1, 1 << 16));
  if (o.embeddings || !architecture_->causal) o.logits_rows = o.batch;
  o.logits_rows = std::min(o.logits_rows, o.batch);
  if (o.adapter_scales.empty()) o.adapter_scales = adapter_scales_;
  if (o.adapter_scales.size() != adapters_.size())
    return absl::InvalidArgumentError(
        absl::StrCat("adapter_scales has ", o.adapter_scales.size(),
                     " numbers; expected one for each of the ",
                     adapters_.size(), " adapters of the model"));
  return o;
}

absl::StatusOr<Model::Built> Model::BuildGraph(const SessionOptions& o) const {
  BuildOptions build;
  build.max_tokens = o.batch;
  build.max_rows = o.logits_rows;
  build.slots = o.slots;
  build.context = o.context;
  build.kv_k = o.kv_k;
  build.kv_v = o.kv_v;
  build.embeddings = o.embeddings;
  build.adapters = UsesOf(o);
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Graph> graph,
                        BuildModel(file_, *architecture_, build));
  OptimizeOptions optimize = {.numerics = o.numerics,
                              .pack_weights = o.pack_weights};
  if (o.pack_weights) {
    WEFT_ASSIGN_OR_RETURN(const auto backend,
                          MakeBackend(o.backend, o.backend_options));
    optimize.pack_halves = backend->PacksHalves();
  }
  // What an architecture expects is about its own nodes.
  const bool adapted =
      absl::c_any_of(o.adapter_scales, [](float scale) { return scale != 0; });
  optimize.check_expectations = !adapted;
  Built out;
  WEFT_ASSIGN_OR_RETURN(out.report, Optimize(*graph, optimize));
  if (!o.taps.empty()) {
    const FusionReport without = std::move(out.report);
    WEFT_ASSIGN_OR_RETURN(graph, BuildModel(file_, *architecture_, build));
    WEFT_ASSIGN_OR_RETURN(out.taps, AddTaps(*graph, o.taps));
    // What the model expects is what the taps may prevent.
    optimize.check_expectations = false;
    WEFT_ASSIGN_OR_RETURN(out.report, Optimize(*graph, optimize));
    out.tap_costs = TapCosts(without, out.report);
  }
  out.graph = std::move(graph);
  return out;
}

std::vector<LoraUse> Model::UsesOf(const SessionOptions& o) const {
  std::vector<LoraUse> uses;
  for (size_t i = 0; i < adapters_.size(); ++i)
    uses.push_back({&adapters_[i], o.adapter_scales[i]});
  return uses;
}

absl::StatusOr<absl::Span<const std::byte>> Model::FindWeight(
    const std::string& name, const SessionOptions& options) const {
  const GgufTensor* tensor = FindLoraTensor(UsesOf(options), name);
  if (tensor == nullptr) tensor = file_.FindTensor(name);
  if (tensor != nullptr) return tensor->data;
  return absl::NotFoundError(
      absl::StrCat(file_.source(), ": no tensor ", name));
}

absl::StatusOr<std::vector<PackedWeights::Source>> Model::ToPack(
    const Graph& graph, const SessionOptions& o) const {
  std::vector<PackedWeights::Source> sources;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const TensorType& type = graph.value(node.outputs[0]).type;
    if (!IsPacked(type.dtype)) continue;
    WEFT_ASSIGN_OR_RETURN(const auto rows, FindWeight(node.name, o));
    // What is cut off is the backend's to refuse.
    if (static_cast<int64_t>(rows.size()) == type.BoundBytes())
      sources.push_back(
          {RowsType(type.dtype), type.shape.dim(0).bound(), rows});
  }
  return sources;
}

absl::Status Model::Pack(const Graph& graph, const SessionOptions& o,
                         int64_t session_bytes) const {
  WEFT_ASSIGN_OR_RETURN(const std::vector<PackedWeights::Source> sources,
                        ToPack(graph, o));
  if (sources.empty()) return absl::OkStatus();
  // The host's threads are its own to use: its executor gets no such work.
  const int threads =
      o.backend_options.executor != nullptr ? 1 : o.backend_options.threads;
  return packed_.Add(sources, file_,
                     {.threads = threads,
                      .cache_folder = o.pack_cache,
                      .progress = o.packing_progress,
                      .cancel = o.cancel,
                      .max_bytes = o.backend_options.max_bytes,
                      .session_bytes = session_bytes});
}

absl::StatusOr<MemoryEstimate> Model::Estimate(
    const SessionOptions& options) const {
  return NoThrow([&]() -> absl::StatusOr<MemoryEstimate> {
    WEFT_ASSIGN_OR_RETURN(const SessionOptions o, Complete(options));
    WEFT_ASSIGN_OR_RETURN(const Built built, BuildGraph(o));
    WEFT_ASSIGN_OR_RETURN(const auto backend,
                          MakeBackend(o.backend, o.backend_options));
    WEFT_ASSIGN_OR_RETURN(const BackendPlan plan, backend->Plan(*built.graph));
    WEFT_ASSIGN_OR_RETURN(const auto to_pack, ToPack(*built.graph, o));
    return MemoryEstimate{plan.plan.weight_bytes,
                          PackedWeights::BytesFor(to_pack), plan.memory};
  });
}

absl::StatusOr<std::unique_ptr<Session>> Model::NewSession(
    const SessionOptions& options) const {
  return NoThrow([&] { return MakeSession(options); });
}

absl::StatusOr<std::unique_ptr<Session>> Model::MakeSession(
    const SessionOptions& options) const {
  std::unique_ptr<Session> session(new Session());
  session->model_ = shared_from_this();
  WEFT_ASSIGN_OR_RETURN(session->options_, Complete(options));
  const SessionOptions& o = session->options_;
  WEFT_ASSIGN_OR_RETURN(Built built, BuildGraph(o));
  session->graph_ = std::move(built.graph);
  session->report_ = std::move(built.report);
  session->taps_ = std::move(built.taps);
  session->tap_costs_ = std::move(built.tap_costs);
  WEFT_ASSIGN_OR_RETURN(const auto backend,
                        MakeBackend(o.backend, o.backend_options));
  if (o.pack_weights) {
    // Not for a session that Compile() will refuse.
    const int64_t allowed = o.backend_options.max_bytes;
    int64_t needed = 0;
    if (allowed > 0) {
      WEFT_ASSIGN_OR_RETURN(const BackendPlan plan,
                            backend->Plan(*session->graph_));
      needed = plan.memory.total();
    }
    if (needed <= allowed)
      WEFT_RETURN_IF_ERROR(Pack(*session->graph_, o, needed));
    if (!o.pack_cache.empty())
      session->pack_cache_status_ = packed_.cache_status();
  }
  const auto weights =
      [&](const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
    WEFT_ASSIGN_OR_RETURN(const auto rows, FindWeight(node.name, o));
    const Graph& graph = *session->graph_;
    const bool packed = IsPacked(graph.value(node.outputs[0]).type.dtype);
    return packed ? packed_.Find(rows) : rows;
  };
  WEFT_ASSIGN_OR_RETURN(session->executable_,
                        backend->Compile(session->graph_, weights));
  // The caller's no longer.
  session->options_.packing_progress = nullptr;
  session->options_.cancel = nullptr;
  WEFT_RETURN_IF_ERROR(session->Init());
  return session;
}

}  // namespace weft::inline v0
