#include "tools/predict.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "models/large_pages.h"
#include "models/model_builder.h"
#include "ops/experts.h"
#include "tools/profile_summary.h"
#include "tools/stopwatch.h"

namespace weft::inline v0 {
namespace {

// Text that is equal for nodes that take as long as each other.
std::string KindOf(const Graph& graph, const Node& node) {
  std::string kind = absl::StrCat(node.op->name, node.attrs.ToString());
  for (const ValueId v : node.inputs)
    absl::StrAppend(&kind, " ", graph.value(v).type.ToString());
  return kind;
}

int64_t WeightBytes(const Graph& graph, const Node& node) {
  int64_t bytes = 0;
  for (const ValueId v : node.inputs)
    if (graph.producer(v).op->kind == OpKind::kWeight)
      bytes += graph.value(v).type.BoundBytes();
  return bytes;
}

// The layers to run: those that have a kind of node which no layer before has,
// and others while there is room.
std::set<int64_t> ChooseLayers(const Graph& graph,
                               absl::Span<const int64_t> layer_of,
                               int64_t budget) {
  std::map<int64_t, std::pair<int64_t, std::set<std::string>>> layers;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const int64_t layer = layer_of[static_cast<size_t>(node.outputs[0])];
    if (node.op->kind != OpKind::kCompute || layer < 0) continue;
    auto& [bytes, kinds] = layers[layer];
    bytes += WeightBytes(graph, node);
    kinds.insert(KindOf(graph, node));
  }
  std::set<int64_t> chosen;
  std::set<std::string> known;
  for (const auto& [layer, what] : layers) {
    const size_t before = known.size();
    known.insert(what.second.begin(), what.second.end());
    if (known.size() == before) continue;
    chosen.insert(layer);
    budget -= what.first;
  }
  for (const auto& [layer, what] : layers) {
    if (chosen.contains(layer) || what.first > budget) continue;
    chosen.insert(layer);
    budget -= what.first;
  }
  return chosen;
}

// The chosen layers, and what belongs to none, as a graph of its own. What it
// would read of others is an input.
class Cut {
 public:
  Cut(const Graph& from, const std::set<int64_t>& layers,
      absl::Span<const int64_t> layer_of)
      : from_(from), graph_(std::make_shared<Graph>()) {
    for (const NodeId id : from.order()) {
      const Node& node = from.node(id);
      const int64_t layer = layer_of[static_cast<size_t>(node.outputs[0])];
      if (node.op->kind == OpKind::kCompute &&
          (layer < 0 || layers.contains(layer)))
        Copy(node);
    }
    // All of it is needed.
    for (const NodeId id : graph_->order())
      for (const ValueId v : graph_->node(id).outputs)
        if (graph_->value(v).users.empty())
          graph_->Output(absl::StrCat("out", v), Value(graph_.get(), v));
  }

  const std::shared_ptr<Graph>& graph() const { return graph_; }

  // An input of numbers of experts, below `count`.
  struct Picks {
    std::string input;
    int64_t of_token, count;
  };
  absl::Span<const Picks> picks() const { return picks_; }

 private:
  void Copy(const Node& node) {
    Values in;
    for (const ValueId v : node.inputs)
      in.push_back(IsPick(v) ? Picked(v) : Of(v));
    const Values out = graph_->EmitAll(*node.op, in, node.attrs, node.where);
    for (size_t i = 0; i < node.outputs.size(); ++i)
      values_[node.outputs[i]] = out[i];
  }

  bool IsPick(ValueId v) const {
    return from_.producer(v).op == &kRoute &&
           from_.value(v).type.dtype == DType::kI32;
  }

  // What a router picks, as an input: for made-up weights it would pick the
  // same experts for all tokens, few bytes and large groups.
  Value Picked(ValueId v) {
    const auto known = picked_.find(v);
    if (known != picked_.end()) return known->second;
    const Node& router = from_.producer(v);
    const TensorType& type = from_.value(v).type;
    picks_.push_back(
        {absl::StrCat("picked", v), type.shape.dim(-1).bound(),
         from_.value(router.inputs[0]).type.shape.dim(-1).bound()});
    return picked_[v] =
               graph_->Input(picks_.back().input, type.dtype, type.shape);
  }

  Value Of(ValueId v) {
    const auto known = values_.find(v);
    if (known != values_.end()) return known->second;
    const Node& node = from_.producer(v);
    const TensorType& type = from_.value(v).type;
    Value made;
    switch (node.op->kind) {
      case OpKind::kWeight:
        made = graph_->Weight(node.name, type.dtype, type.shape);
        break;
      case OpKind::kState:
        made = graph_->State(node.name, type.dtype, type.shape);
        break;
      case OpKind::kConstant:
        made = graph_->Constant(*node.constant);
        break;
      default:
        made = graph_->Input(
            node.name.empty() ? absl::StrCat("cut", v) : node.name, type.dtype,
            type.shape);
    }
    return values_[v] = made;
  }

  const Graph& from_;
  std::shared_ptr<Graph> graph_;
  absl::flat_hash_map<ValueId, Value> values_, picked_;
  std::vector<Picks> picks_;
};

// Memory for weights, in pages as a model's are: packed ones in large pages
// (models/packed_weights.h), others in small ones like a mapped file's. Every
// byte is 0x2C: as the scale of a block it is 0.065, and as an f32 a normal
// number, so that arithmetic takes its usual time.
class MadeUpWeights {
 public:
  absl::StatusOr<absl::Span<const std::byte>> Of(const Graph& graph,
                                                 const Node& node) {
    const ValueId v = node.outputs[0];
    const auto bytes = static_cast<size_t>(graph.value(v).type.BoundBytes());
    constexpr size_t kLarge = size_t{2} << 20;
    LargePages memory =
        IsPacked(graph.value(v).type.dtype) && bytes >= kLarge
            ? AllocateLargePages(bytes)
            : LargePages(static_cast<std::byte*>(std::calloc(1, bytes)));
    if (memory == nullptr)
      return absl::ResourceExhaustedError(
          absl::StrCat("cannot allocate ", bytes, " bytes"));
    // A table of which a few rows are read need not be there as a whole.
    const auto& users = graph.value(v).users;
    if (!std::all_of(users.begin(), users.end(), [&](NodeId user) {
          const absl::string_view op = graph.node(user).op->name;
          return op == "qgather" || op == "gather_rows";
        }))
      std::memset(memory.get(), 0x2C, bytes);
    const auto* at = static_cast<const std::byte*>(memory.get());
    all_.push_back(std::move(memory));
    return absl::MakeConstSpan(at, bytes);
  }

 private:
  std::vector<LargePages> all_;
};

// Tokens at the positions of the size's first step.
absl::Status SetInputs(const Graph& graph, const StepSize& size,
                       Executable& executable) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kInput) continue;
    WEFT_ASSIGN_OR_RETURN(const auto memory, executable.Input(node.name));
    std::memset(memory.data(), 0, memory.size());
    if (node.name != kPosInput) continue;
    auto* pos = reinterpret_cast<int32_t*>(memory.data());
    for (size_t i = 0; i < memory.size() / sizeof(*pos); ++i)
      pos[i] =
          static_cast<int32_t>(size.first_position) + static_cast<int32_t>(i);
  }
  return absl::OkStatus();
}

// Other experts for each token and at each call, as often each, and no two
// alike for a token: neighbours of one that is drawn.
absl::Status PickExperts(const Cut& cut, std::mt19937& random,
                         Executable& executable) {
  for (const Cut::Picks& picks : cut.picks()) {
    WEFT_ASSIGN_OR_RETURN(const auto memory, executable.Input(picks.input));
    auto* ids = reinterpret_cast<int32_t*>(memory.data());
    const auto of_token = static_cast<size_t>(picks.of_token);
    for (size_t i = 0; i < memory.size() / sizeof(*ids); i += of_token) {
      const uint64_t drawn = random();
      for (size_t k = 0; k < of_token; ++k)
        ids[i + k] = static_cast<int32_t>((drawn + k) %
                                          static_cast<uint64_t>(picks.count));
    }
  }
  return absl::OkStatus();
}

// The median of runs for about half a second, 3 at least.
absl::StatusOr<double> TimeOf(const Cut& cut, const StepSize& size,
                              Executable& executable) {
  constexpr double kEnough = 0.5;
  std::mt19937 random(1);
  WEFT_RETURN_IF_ERROR(PickExperts(cut, random, executable));
  WEFT_RETURN_IF_ERROR(executable.Run(size.symbols));
  std::vector<double> times;
  for (const Stopwatch all;
       times.size() < 3 || (all.Seconds() < kEnough && times.size() < 2000);) {
    WEFT_RETURN_IF_ERROR(PickExperts(cut, random, executable));
    const Stopwatch one;
    WEFT_RETURN_IF_ERROR(executable.Run(size.symbols));
    times.push_back(one.Seconds());
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2,
                   times.end());
  return times[times.size() / 2];
}

// How many times as long as the cut the whole plan takes: each node as long as
// those of its kind on average.
absl::StatusOr<double> WholeByCut(const Graph& whole, const BackendPlan& plan,
                                  const Graph& cut, const StepSize& size,
                                  Executable& executable) {
  // Only shares matter, so that few runs will do.
  constexpr int kRuns = 3;
  Profile profile;
  WEFT_RETURN_IF_ERROR(executable.SetProfile(&profile));
  for (int i = 0; i < kRuns; ++i)
    WEFT_RETURN_IF_ERROR(executable.Run(size.symbols));
  WEFT_RETURN_IF_ERROR(executable.SetProfile(nullptr));
  struct Kind {
    double seconds = 0;
    int64_t run = 0, wanted = 0;
  };
  std::map<std::string, Kind> kinds;
  const std::vector<PlannedStep>& steps = executable.plan().steps;
  for (size_t i = 0; i < steps.size(); ++i) {
    Kind& kind = kinds[KindOf(cut, cut.node(steps[i].node))];
    kind.seconds += profile.steps[i].elapsed;
    ++kind.run;
  }
  for (const PlannedStep& step : plan.steps)
    ++kinds[KindOf(whole, whole.node(step.node))].wanted;
  double ran = 0, all = 0;
  for (const auto& [name, kind] : kinds) {
    if (kind.run == 0) continue;
    ran += kind.seconds;
    all += kind.seconds * static_cast<double>(kind.wanted) /
           static_cast<double>(kind.run);
  }
  return ran > 0 ? std::max(1.0, all / ran) : 1.0;
}

}  // namespace

absl::StatusOr<Prediction> PredictSpeed(const Graph& graph,
                                        absl::Span<const DumpSize> sizes,
                                        const BackendOptions& options,
                                        int64_t budget) {
  const std::vector<int64_t> layer_of = LayersOfValues(graph);
  const std::set<int64_t> layers = ChooseLayers(graph, layer_of, budget);
  Prediction out;
  out.layers_run = static_cast<int64_t>(layers.size());
  out.layers = 1 + *std::max_element(layer_of.begin(), layer_of.end());
  const Cut cut(graph, layers, layer_of);
  WEFT_RETURN_IF_ERROR(cut.graph()->Finish());
  WEFT_ASSIGN_OR_RETURN(const auto backend, MakeBackend("cpu", options));
  WEFT_ASSIGN_OR_RETURN(const BackendPlan plan, backend->Plan(graph));
  MadeUpWeights weights;
  WEFT_ASSIGN_OR_RETURN(const auto executable,
                        backend->Compile(cut.graph(), [&](const Node& node) {
                          return weights.Of(*cut.graph(), node);
                        }));
  for (const DumpSize& size : sizes) {
    WEFT_RETURN_IF_ERROR(SetInputs(*cut.graph(), size.size, *executable));
    WEFT_ASSIGN_OR_RETURN(double seconds, TimeOf(cut, size.size, *executable));
    if (out.layers_run < out.layers) {
      WEFT_ASSIGN_OR_RETURN(
          const double times,
          WholeByCut(graph, plan, *cut.graph(), size.size, *executable));
      seconds *= times;
    }
    out.seconds.push_back(seconds);
  }
  return out;
}

}  // namespace weft::inline v0
