#include "tools/profile_summary.h"

#include <algorithm>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kNoLayer = -1;

// "blk.3.attn_q.weight" is of layer 3.
int64_t LayerOfName(absl::string_view name) {
  int64_t layer = kNoLayer;
  if (absl::ConsumePrefix(&name, "blk.") &&
      absl::SimpleAtoi(name.substr(0, name.find('.')), &layer))
    return layer;
  return kNoLayer;
}

// Layers of all values, in the order of the graph.
class LayerFinder {
 public:
  explicit LayerFinder(const Graph& graph)
      : graph_(graph),
        layers_(static_cast<size_t>(graph.num_values()), kNoLayer) {
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      const int64_t layer = Find(node);
      for (const ValueId v : node.outputs) layers_[Index(v)] = layer;
    }
  }

  const std::vector<int64_t>& all() const { return layers_; }
  int64_t Of(const Node& node) const { return layers_[Index(node.outputs[0])]; }

 private:
  static size_t Index(ValueId id) { return static_cast<size_t>(id); }

  int64_t Find(const Node& node) const {
    if (node.op->kind != OpKind::kCompute) return LayerOfName(node.name);
    int64_t named = kNoLayer, last = kNoLayer;
    bool has_named = false;
    for (const ValueId id : node.inputs) {
      const OpKind kind = graph_.producer(id).op->kind;
      const int64_t layer = layers_[Index(id)];
      last = std::max(last, layer);
      if (kind != OpKind::kWeight && kind != OpKind::kState) continue;
      has_named = true;
      named = std::max(named, layer);
    }
    return has_named ? named : last;
  }

  const Graph& graph_;
  std::vector<int64_t> layers_;  // by ValueId
};

// A step on the scalar reference is named by its op.
std::string KernelOf(const Graph& graph, const PlannedStep& step) {
  if (!step.on_reference) return step.kernel;
  return absl::StrCat(graph.node(step.node).op->name, " (reference)");
}

void Identify(const Graph& graph, const PlannedStep& step, ProfileRow& row) {
  const Node& node = graph.node(step.node);
  row.number = graph.number(node);
  row.op = std::string(node.op->name);
  row.kernel = step.on_reference ? "" : step.kernel;
}

void Add(const StepProfile& time, const Work& work, ProfileRow& row) {
  ++row.steps;
  row.time.elapsed += time.elapsed;
  row.time.slowest += time.slowest;
  row.time.mean += time.mean;
  row.time.split += time.split;
  row.work += work;
}

}  // namespace

std::vector<int64_t> LayersOf(const Graph& graph, const BackendPlan& plan) {
  const LayerFinder finder(graph);
  std::vector<int64_t> layers;
  for (const PlannedStep& step : plan.steps)
    layers.push_back(finder.Of(graph.node(step.node)));
  return layers;
}

std::vector<int64_t> LayersOfValues(const Graph& graph) {
  return LayerFinder(graph).all();
}

ProfileSummary Summarize(const Profile& profile, const Graph& graph,
                         const BackendPlan& plan,
                         absl::Span<const StepSize> runs, int64_t repetitions) {
  ProfileSummary out = {profile.threads,
                        profile.runs,
                        profile.elapsed,
                        profile.elapsed,
                        {},
                        {},
                        {}};
  const std::vector<int64_t> layer_of = LayersOf(graph, plan);
  std::map<std::string, ProfileRow> kernels;
  std::map<int64_t, ProfileRow> layers;
  for (size_t i = 0; i < profile.steps.size(); ++i) {
    Work work;
    for (const StepSize& size : runs)
      work += WorkOf(graph, graph.node(plan.steps[i].node), size);
    work *= repetitions;
    Add(profile.steps[i], work, kernels[KernelOf(graph, plan.steps[i])]);
    Add(profile.steps[i], work, layers[layer_of[i]]);
    ProfileRow& node = out.nodes.emplace_back();
    node.name = graph.Describe(graph.node(plan.steps[i].node));
    Add(profile.steps[i], work, node);
    Identify(graph, plan.steps[i], node);
    const size_t threads = static_cast<size_t>(profile.threads);
    if (profile.busy.size() == profile.steps.size() * threads)
      node.busy.assign(
          profile.busy.begin() + static_cast<long>(i * threads),
          profile.busy.begin() + static_cast<long>((i + 1) * threads));
  }
  for (auto& [name, row] : kernels) {
    row.name = name;
    out.kernels.push_back(std::move(row));
  }
  std::sort(out.kernels.begin(), out.kernels.end(),
            [](const ProfileRow& a, const ProfileRow& b) {
              return a.time.elapsed > b.time.elapsed;
            });
  for (auto& [layer, row] : layers) {
    row.name = layer == kNoLayer ? "rest" : absl::StrCat(layer);
    out.layers.push_back(std::move(row));
  }
  std::rotate(out.layers.begin(),
              out.layers.begin() + layers.contains(kNoLayer), out.layers.end());
  return out;
}

}  // namespace weft::inline v0
