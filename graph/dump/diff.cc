#include "graph/dump/diff.h"

#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "graph/dump/names.h"
#include "graph/escape.h"
#include "graph/hash.h"

namespace weft::inline v0 {
namespace {

// A node of one side, as it is compared.
struct Side {
  std::string layer, label;
  std::vector<std::pair<std::string, std::string>> facts;
};
using Sides = std::map<std::string, Side>;  // by key

class SideReader {
 public:
  SideReader(const Dump& dump, const DumpStage& stage, bool by_number)
      : dump_(dump),
        stage_(stage),
        index_(dump, stage),
        by_number_(by_number) {}

  Sides Read() {
    for (const DumpUse& use : stage_.nodes) Add(use);
    for (const DumpOutput& output : stage_.outputs)
      sides_[absl::StrCat("output ", output.name)] = {
          "",
          absl::StrCat("output ", Printable(output.name)),
          {{"value", key_[output.value]}}};
    return std::move(sides_);
  }

 private:
  std::string LayerOf(const DumpUse& use) const {
    return use.layer < 0 ? ""
                         : dump_.layers[static_cast<size_t>(use.layer)].name();
  }

  // The name without the layer's: "attn_q.weight".
  std::string ShortName(const DumpNode& node, absl::string_view layer) const {
    absl::string_view name = node.name;
    if (!layer.empty()) absl::ConsumePrefix(&name, absl::StrCat(layer, "."));
    return Printable(name);
  }

  std::string LabelOf(const DumpUse& use, const std::string& layer) const {
    const DumpNode& node = dump_.node(use);
    if (!node.name.empty())
      return absl::StrCat(node.op, " ", ShortName(node, layer));
    std::vector<std::string> weights;
    for (const int v : use.inputs) {
      const DumpNode& from = index_.Producer(v);
      if (from.kind == OpKind::kWeight || from.kind == OpKind::kState)
        weights.push_back(ShortName(from, layer));
    }
    return absl::StrCat(node.op, weights.empty() ? "" : " of ",
                        absl::StrJoin(weights, ", "),
                        node.where.empty() ? "" : " at ", node.where);
  }

  void Add(const DumpUse& use) {
    const DumpNode& node = dump_.node(use);
    Side side;
    side.layer = LayerOf(use);
    side.label = LabelOf(use, side.layer);
    // So that layer 10 comes after layer 9.
    const std::string place = absl::StrCat(
        use.layer < 0
            ? ""
            : absl::StrCat(
                  dump_.layers[static_cast<size_t>(use.layer)].prefix,
                  absl::Dec(dump_.layers[static_cast<size_t>(use.layer)].index,
                            absl::kZeroPad8)),
        "|", side.label);
    const std::string key =
        by_number_ ? absl::StrCat("%", node.number())
                   : absl::StrCat(place, "|",
                                  absl::Dec(count_[place]++, absl::kZeroPad8));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      key_[node.outputs[i].number] = absl::StrCat(key, ".", i);
      side.facts.emplace_back(i == 0 ? "type" : absl::StrCat("type ", i),
                              node.outputs[i].type.ToString());
    }
    for (const auto& [name, value] : node.attrs)
      side.facts.emplace_back(name, value);
    side.facts.emplace_back("made by", node.made_by);
    side.facts.emplace_back("operands", Operands(use));
    sides_[key] = std::move(side);
  }

  // Layers and turns are in the keys of operands; ops and types tell enough.
  std::string Operands(const DumpUse& use) const {
    return absl::StrJoin(use.inputs, ", ", [&](std::string* s, int v) {
      const DumpNode& from = index_.Producer(v);
      absl::StrAppend(s, by_number_ ? absl::StrCat("%", v, " ") : "",
                      from.name.empty()
                          ? from.op
                          : ShortName(from, LayerOf(*index_.Find(v).use)));
    });
  }

  const Dump& dump_;
  const DumpStage& stage_;
  const StageIndex index_;
  const bool by_number_;
  Sides sides_;
  HashMap<std::string, int> count_;  // by layer and label
  HashMap<int, std::string> key_;    // by value's number
};

// What differs between two nodes, "" when nothing does.
std::string Changes(const Side& a, const Side& b) {
  std::vector<std::string> out;
  std::map<std::string, std::string> before(a.facts.begin(), a.facts.end());
  for (const auto& [name, value] : b.facts) {
    const auto it = before.find(name);
    const std::string old = it == before.end() ? "(none)" : it->second;
    if (old != value)
      out.push_back(absl::StrCat(name, " ", old.empty() ? "(none)" : old,
                                 " -> ", value.empty() ? "(none)" : value));
    if (it != before.end()) before.erase(it);
  }
  return absl::StrJoin(out, "; ");
}

class Collector {
 public:
  void Add(DumpDifference::Kind kind, const Side& side, std::string what) {
    const auto [it, fresh] = index_.try_emplace(
        std::make_tuple(kind, side.label, what), out_.size());
    if (fresh) out_.push_back({kind, side.label, std::move(what), {}});
    if (!side.layer.empty()) out_[it->second].layers.push_back(side.layer);
  }
  std::vector<DumpDifference> Take() { return std::move(out_); }

 private:
  std::map<std::tuple<DumpDifference::Kind, std::string, std::string>, size_t>
      index_;
  std::vector<DumpDifference> out_;
};

}  // namespace

std::vector<DumpDifference> Diff(const Dump& before, const DumpStage& a,
                                 const Dump& after, const DumpStage& b,
                                 bool same_numbers) {
  using Kind = DumpDifference::Kind;
  const Sides left = SideReader(before, a, same_numbers).Read();
  const Sides right = SideReader(after, b, same_numbers).Read();
  Collector out;
  for (const auto& [key, side] : left)
    if (!right.contains(key)) out.Add(Kind::kRemoved, side, "");
  for (const auto& [key, side] : right)
    if (!left.contains(key)) out.Add(Kind::kAdded, side, "");
  for (const auto& [key, side] : right) {
    const auto it = left.find(key);
    if (it == left.end()) continue;
    std::string changes = Changes(it->second, side);
    if (!changes.empty()) out.Add(Kind::kChanged, side, std::move(changes));
  }
  return out.Take();
}

std::string DiffText(const std::vector<DumpDifference>& differences) {
  std::string out;
  for (const DumpDifference& d : differences) {
    const char* sign = d.kind == DumpDifference::Kind::kAdded     ? "+ "
                       : d.kind == DumpDifference::Kind::kRemoved ? "- "
                                                                  : "~ ";
    absl::StrAppend(&out, sign, d.node, d.what.empty() ? "" : ": ", d.what);
    if (d.layers.size() == 1)
      absl::StrAppend(&out, "  in ", d.layers[0]);
    else if (!d.layers.empty())
      absl::StrAppend(&out, "  in ", d.layers.size(), " layers, ",
                      d.layers.front(), " the first");
    out += "\n";
  }
  return out;
}

}  // namespace weft::inline v0
