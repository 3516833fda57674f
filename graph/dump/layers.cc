#include "graph/dump/layers.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "graph/hash.h"

namespace weft::inline v0 {
namespace {

constexpr int kNone = -1;

// Splits "blk.3.attn_q.weight" into {"blk", 3} and "attn_q.weight".
bool SplitName(absl::string_view name, DumpLayer& layer,
               absl::string_view& rest) {
  for (size_t dot = name.find('.'); dot != absl::string_view::npos;) {
    const size_t end = std::min(name.find('.', dot + 1), name.size());
    const absl::string_view part = name.substr(dot + 1, end - dot - 1);
    if (!part.empty() && part.size() < 8 &&
        part.find_first_not_of("0123456789") == absl::string_view::npos &&
        absl::SimpleAtoi(part, &layer.index)) {
      layer.prefix = std::string(name.substr(0, dot));
      rest = name.substr(std::min(end + 1, name.size()));
      return true;
    }
    dot = end == name.size() ? absl::string_view::npos : end;
  }
  return false;
}

// An input that is no index: positions and rows to pick say nothing.
bool IsData(const DumpNode& node, const DumpValue& value) {
  return node.kind == OpKind::kInput && value.type.dtype != DType::kI32;
}

class LayerFinder {
 public:
  explicit LayerFinder(Dump& dump) : dump_(dump) {
    ReadNames();
    for (const DumpNode& node : dump.nodes)
      for (const DumpValue& v : node.outputs) {
        numbers_ = std::max(numbers_, Index(v.number) + 1);
        if (node.kind == OpKind::kCompute || IsData(node, v))
          data_.insert(v.number);
        if (node.kind == OpKind::kWeight || node.kind == OpKind::kState)
          source_.insert(v.number);
      }
  }

  void Assign(DumpStage& stage) {
    std::vector<int> layer_of(numbers_, kNone);
    for (DumpUse& use : stage.nodes) {
      use.layer = FromOperands(use, layer_of);
      for (const DumpValue& v : dump_.node(use).outputs)
        layer_of[Index(v.number)] = use.layer;
    }
    PullForward(stage, layer_of);
  }

 private:
  static size_t Index(int i) { return static_cast<size_t>(i); }

  // Layers in the order in which prefixes appear, then by their index.
  void ReadNames() {
    std::vector<std::string> prefixes;
    std::map<std::pair<size_t, int64_t>, std::vector<size_t>> found;
    for (size_t i = 0; i < dump_.nodes.size(); ++i) {
      const DumpNode& node = dump_.nodes[i];
      if (node.kind != OpKind::kWeight && node.kind != OpKind::kState) continue;
      DumpLayer layer;
      absl::string_view rest;
      if (!SplitName(node.name, layer, rest)) continue;
      const auto it = std::find(prefixes.begin(), prefixes.end(), layer.prefix);
      const auto prefix = static_cast<size_t>(it - prefixes.begin());
      if (it == prefixes.end()) prefixes.push_back(layer.prefix);
      found[{prefix, layer.index}].push_back(i);
    }
    named_.assign(dump_.nodes.size(), kNone);
    for (const auto& [key, nodes] : found) {
      for (const size_t i : nodes)
        named_[i] = static_cast<int>(dump_.layers.size());
      dump_.layers.push_back({prefixes[key.first], key.second});
    }
  }

  // A weight or state.
  bool HasName(int number) const { return source_.contains(number); }

  int FromOperands(const DumpUse& use, const std::vector<int>& layer_of) {
    const DumpNode& node = dump_.node(use);
    if (node.kind != OpKind::kCompute) return named_[Index(use.node)];
    int named = kNone, last = kNone;
    for (const int v : use.inputs) {
      last = std::max(last, layer_of[Index(v)]);
      if (HasName(v)) named = std::max(named, layer_of[Index(v)]);
    }
    return ReadsNamed(use) ? named : last;
  }

  bool ReadsNamed(const DumpUse& use) const {
    return std::any_of(use.inputs.begin(), use.inputs.end(),
                       [&](int v) { return HasName(v); });
  }

  // One at most that data flows through, and no weight that says where it
  // belongs.
  bool HasNoPlace(const DumpUse& use) const {
    if (dump_.node(use).kind != OpKind::kCompute || ReadsNamed(use))
      return false;
    return std::count_if(use.inputs.begin(), use.inputs.end(),
                         [&](int v) { return data_.contains(v); }) <= 1;
  }

  // A norm without weights of its own belongs to the product that follows it;
  // what picks rows of the last layer's result to none.
  void PullForward(DumpStage& stage, std::vector<int>& layer_of) {
    std::vector<int> readers(numbers_, 0), reader_layer(numbers_, kNone);
    for (const DumpOutput& output : stage.outputs)
      readers[Index(output.value)] += 2;
    for (const DumpUse& use : stage.nodes)
      for (const int v : use.inputs) ++readers[Index(v)];
    for (auto use = stage.nodes.rbegin(); use != stage.nodes.rend(); ++use) {
      const DumpNode& node = dump_.node(*use);
      const size_t out = Index(node.number());
      if (node.outputs.size() == 1 && readers[out] == 1 && HasNoPlace(*use) &&
          (reader_layer[out] > use->layer || reader_layer[out] == kNone)) {
        use->layer = reader_layer[out];
        layer_of[out] = use->layer;
      }
      for (const int v : use->inputs) reader_layer[Index(v)] = use->layer;
    }
  }

  Dump& dump_;
  std::vector<int> named_;      // by node: the layer that its name tells
  HashSet<int> source_, data_;  // numbers of values
  size_t numbers_ = 0;
};

// What is compared between layers: how nodes are wired, and what else they are.
struct LayerShape {
  std::string wiring;
  std::vector<std::pair<std::string, std::string>> details;  // name, value
};

class Folder {
 public:
  Folder(const Dump& dump, const DumpStage& stage) : dump_(dump) {
    std::vector<std::vector<const DumpUse*>> uses(dump.layers.size());
    for (const DumpUse& use : stage.nodes)
      if (use.layer != kNone)
        uses[static_cast<size_t>(use.layer)].push_back(&use);
    for (const auto& layer : uses) shapes_.push_back(ShapeOf(layer));
  }

  std::vector<DumpFold> Fold() const {
    std::vector<DumpFold> folds;
    for (size_t i = 0; i < shapes_.size();) {
      size_t end = i + 1;
      while (end < shapes_.size() && Alike(end - 1, end)) ++end;
      if (!shapes_[i].wiring.empty())
        folds.push_back({static_cast<int>(i), static_cast<int>(end - i),
                         Differences(i, end)});
      i = end;
    }
    return folds;
  }

 private:
  // "attn_q.weight" of a layer's tensor, the op of another node.
  std::string NameOf(const DumpNode& node) const {
    DumpLayer layer;
    absl::string_view rest;
    if (node.name.empty()) return node.op;
    return SplitName(node.name, layer, rest) ? std::string(rest) : node.name;
  }

  LayerShape ShapeOf(const std::vector<const DumpUse*>& uses) const {
    LayerShape shape;
    HashMap<int, int> local;  // by number, place in the layer
    HashMap<int, int> outer;  // in order of appearance
    int next = 0;
    for (const DumpUse* use : uses) {
      const DumpNode& node = dump_.node(*use);
      absl::StrAppend(&shape.wiring, node.op, " ",
                      node.name.empty() ? "" : NameOf(node), "(");
      for (const int v : use->inputs) {
        if (const auto it = local.find(v); it != local.end())
          absl::StrAppend(&shape.wiring, it->second, ",");
        else
          absl::StrAppend(&shape.wiring, "x",
                          outer.try_emplace(v, static_cast<int>(outer.size()))
                              .first->second,
                          ",");
      }
      shape.wiring += ")\n";
      for (const DumpValue& v : node.outputs) local[v.number] = next++;
      AddDetails(node, shape);
    }
    return shape;
  }

  void AddDetails(const DumpNode& node, LayerShape& shape) const {
    const std::string name = NameOf(node);
    for (const DumpValue& v : node.outputs) {
      shape.details.emplace_back(absl::StrCat(name, " dtype"),
                                 std::string(Name(v.type.dtype)));
      shape.details.emplace_back(absl::StrCat(name, " shape"),
                                 v.type.shape.ToString());
    }
    for (const auto& [attr, value] : node.attrs)
      shape.details.emplace_back(absl::StrCat(name, " ", attr), value);
  }

  bool Alike(size_t a, size_t b) const {
    const auto layer = [this](size_t i) { return dump_.layers[i]; };
    return shapes_[a].wiring == shapes_[b].wiring &&
           shapes_[a].details.size() == shapes_[b].details.size() &&
           layer(a).prefix == layer(b).prefix &&
           layer(a).index + 1 == layer(b).index;
  }

  std::vector<std::string> Differences(size_t begin, size_t end) const {
    std::vector<std::string> out;
    for (size_t i = begin + 1; i < end; ++i)
      for (size_t k = 0; k < shapes_[i].details.size(); ++k) {
        const auto& [name, value] = shapes_[i].details[k];
        if (value != shapes_[begin].details[k].second &&
            std::find(out.begin(), out.end(), name) == out.end())
          out.push_back(name);
      }
    return out;
  }

  const Dump& dump_;
  std::vector<LayerShape> shapes_;  // by layer
};

}  // namespace

void FindLayers(Dump& dump) {
  dump.layers.clear();
  LayerFinder finder(dump);
  for (DumpStage& stage : dump.stages) {
    finder.Assign(stage);
    stage.folds = Folder(dump, stage).Fold();
  }
}

}  // namespace weft::inline v0
