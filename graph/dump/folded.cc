#include "graph/dump/folded.h"

#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "graph/escape.h"
#include "graph/hash.h"

namespace weft::inline v0 {
namespace {

class StageFolder {
 public:
  StageFolder(const Dump& dump, const DumpStage& stage)
      : dump_(dump), stage_(stage), index_(dump, stage) {}

  FoldedStage Run() {
    CollectLayers();
    for (const DumpUse& use : stage_.nodes) {
      if (!IsDrawn(dump_.node(use))) continue;
      Place(use);
      for (const int v : use.inputs) AddEdge(use, v);
    }
    for (const DumpOutput& output : stage_.outputs)
      out_.last.push_back(&Shown(*index_.Find(output.value).use));
    return std::move(out_);
  }

 private:
  using Key = std::pair<int, int>;  // layer, place in it

  void CollectLayers() {
    std::vector<int> next(dump_.layers.size(), 0);
    for (const DumpUse& use : stage_.nodes) {
      if (use.layer < 0) continue;
      const int place = next[static_cast<size_t>(use.layer)]++;
      place_[use.node] = place;
      at_[{use.layer, place}] = &use;
    }
    fold_of_.assign(dump_.layers.size(), -1);
    for (size_t i = 0; i < stage_.folds.size(); ++i) {
      const DumpFold& fold = stage_.folds[i];
      for (int k = 0; k < fold.count; ++k)
        fold_of_[static_cast<size_t>(fold.first + k)] = static_cast<int>(i);
      out_.layers.push_back({&fold, TitleOf(fold), {}});
    }
  }

  std::string TitleOf(const DumpFold& fold) const {
    const auto layer = [&](int i) {
      return Printable(dump_.layers[static_cast<size_t>(i)].name());
    };
    if (fold.count == 1) return layer(fold.first);
    return absl::StrCat(layer(fold.first), " to ",
                        layer(fold.first + fold.count - 1), " (x ", fold.count,
                        ")");
  }

  const DumpFold* FoldOf(const DumpUse& use) const {
    if (use.layer < 0) return nullptr;
    const int i = fold_of_[static_cast<size_t>(use.layer)];
    return i < 0 ? nullptr : &stage_.folds[static_cast<size_t>(i)];
  }

  // The node of the fold's first layer that stands for this one.
  const DumpUse& Shown(const DumpUse& use) const {
    const DumpFold* fold = FoldOf(use);
    return fold == nullptr ? use : *at_.at({fold->first, place_.at(use.node)});
  }

  void Place(const DumpUse& use) {
    if (use.layer < 0) return out_.rest.push_back(&use);
    if (&Shown(use) != &use) return;
    out_.layers[static_cast<size_t>(fold_of_[static_cast<size_t>(use.layer)])]
        .nodes.push_back(&use);
  }

  void AddEdge(const DumpUse& to, int value) {
    const DumpUse& from = *index_.Find(value).use;
    if (!IsDrawn(dump_.node(from))) return;
    const DumpUse& a = Shown(from);
    const DumpUse& b = Shown(to);
    const bool repeats = FoldOf(from) != nullptr &&
                         FoldOf(from) == FoldOf(to) && from.layer != to.layer;
    if (!seen_.insert({a.node, b.node, repeats}).second) return;
    out_.edges.push_back({a.node, b.node, value, repeats});
  }

  const Dump& dump_;
  const DumpStage& stage_;
  const StageIndex index_;
  std::vector<int> fold_of_;  // by layer
  HashMap<int, int> place_;   // by node, in its layer
  HashMap<Key, const DumpUse*> at_;
  std::set<std::tuple<int, int, bool>> seen_;
  FoldedStage out_;
};

}  // namespace

bool IsDrawn(const DumpNode& node) { return node.kind == OpKind::kCompute; }

std::vector<std::string> SourcesOf(const Dump& dump, const StageIndex& index,
                                   const DumpUse& use) {
  std::vector<std::string> out;
  for (const int v : use.inputs) {
    const StageIndex::Found& found = index.Find(v);
    const DumpNode& node = dump.node(*found.use);
    if (!IsSource(node)) continue;
    absl::string_view name = node.name.empty() ? node.op : node.name;
    if (found.use->layer >= 0)
      absl::ConsumePrefix(
          &name,
          absl::StrCat(
              dump.layers[static_cast<size_t>(found.use->layer)].name(), "."));
    out.push_back(
        absl::StrCat(Printable(name), " ", found.value->type.ToString()));
  }
  return out;
}

FoldedStage FoldStage(const Dump& dump, const DumpStage& stage) {
  return StageFolder(dump, stage).Run();
}

}  // namespace weft::inline v0
