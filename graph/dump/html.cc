// One page: style, data in columns (they take a fifth of what JSON with names
// takes), and the scripts of page/.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/dump/formats.h"
#include "graph/dump/json_text.h"
#include "graph/dump/page.h"
#include "graph/escape.h"
#include "graph/hash.h"

namespace weft::inline v0 {
namespace {

// Numbers texts in the order in which they come.
class Interned {
 public:
  int operator()(const std::string& text) {
    const auto [it, fresh] =
        index_.try_emplace(text, static_cast<int>(texts_.size()));
    if (fresh) texts_.push_back(text);
    return it->second;
  }
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  HashMap<std::string, int> index_;
  std::vector<std::string> texts_;
};

using Column = std::vector<int64_t>;

// A column as text, half as long as a list of numbers: each number n is 2n, or
// -2n - 1 below 0, in digits of five bits, lowest first; all but the last have
// a sixth bit. data.js reads it.
std::string Json(const Column& column) {
  constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out = "\"";
  for (const int64_t n : column) {
    auto rest = static_cast<uint64_t>(n < 0 ? ~n : n) << 1 | (n < 0 ? 1 : 0);
    for (; rest > 31; rest >>= 5) out += kDigits[rest % 32 + 32];
    out += kDigits[rest];
  }
  return out + "\"";
}

class PageData {
 public:
  explicit PageData(const Dump& dump) : dump_(dump) {}

  std::string Write() {
    // The parts fill the tables, which come last for that.
    std::vector<std::string> parts = {Member("title", Quoted(dump_.title)),
                                      Member("facts", Facts()),
                                      Member("symbols", Symbols()),
                                      Member("nodes", Nodes()),
                                      Member("layers", Layers()),
                                      Member("stages", Stages()),
                                      Member("rules", Rules())};
    if (!dump_.plan.steps.empty()) parts.push_back(Member("plan", Plan()));
    parts.push_back(Member("profiles", Profiles()));
    const auto raw = [](const std::string& s) { return s; };
    parts.push_back(Member("types", JsonList(types_.texts(), raw, ",")));
    parts.push_back(Member("works", JsonList(works_.texts(), raw, ",")));
    parts.push_back(Member("strings", JsonList(strings_.texts(), Quoted, ",")));
    return absl::StrCat("{", absl::StrJoin(parts, ",\n"), "}");
  }

 private:
  static std::string Member(absl::string_view name, absl::string_view value) {
    return absl::StrCat("\"", name, "\":", value);
  }

  // Index into "strings"; 0 for "".
  int String(const std::string& text) { return strings_(text); }

  std::string Facts() {
    String("");  // number 0
    const auto fact = [](const std::pair<std::string, std::string>& f) {
      return absl::StrCat("[", Quoted(f.first), ",", Quoted(f.second), "]");
    };
    return JsonList(dump_.facts, fact, ",");
  }

  std::string Symbols() const {
    const auto symbol = [](const Dim& d) {
      return absl::StrCat("[", Quoted(d.name()), ",", d.bound(), "]");
    };
    return JsonList(dump_.symbols, symbol, ",");
  }

  // [text, dtype, bytes]
  int Type(const TensorType& type) {
    return types_(absl::StrCat("[", Quoted(type.ToString()), ",",
                               Quoted(Name(type.dtype)), ",", type.BoundBytes(),
                               "]"));
  }

  std::string Nodes() {
    Column op, kind, name, attrs, where, made_by, count, number, type;
    int last = 0;
    for (const DumpNode& node : dump_.nodes) {
      op.push_back(String(node.op));
      kind.push_back(static_cast<int>(node.kind) + (node.is_view ? 8 : 0));
      name.push_back(String(node.name));
      std::string pairs;
      for (const auto& [key, value] : node.attrs)
        absl::StrAppend(&pairs, pairs.empty() ? "" : "\n", key, "\t", value);
      attrs.push_back(String(pairs));
      where.push_back(String(node.where));
      made_by.push_back(String(node.made_by));
      count.push_back(static_cast<int64_t>(node.outputs.size()));
      for (const DumpValue& v : node.outputs) {
        number.push_back(v.number - std::exchange(last, v.number));
        type.push_back(Type(v.type));
      }
    }
    return absl::StrCat(
        "{", Member("op", Json(op)), ",", Member("kind", Json(kind)), ",",
        Member("names", Json(name)), ",", Member("attrs", Json(attrs)), ",",
        Member("where", Json(where)), ",", Member("by", Json(made_by)), ",",
        Member("count", Json(count)), ",", Member("number", Json(number)), ",",
        Member("type", Json(type)), "}");
  }

  std::string Layers() {
    Column out;
    for (const DumpLayer& layer : dump_.layers) {
      out.push_back(String(layer.prefix));
      out.push_back(layer.index);
    }
    return Json(out);
  }

  std::string Stage(const DumpStage& stage) {
    Column nodes, layers, inputs, folds, names, outputs;
    int last = 0, last_layer = 0;
    for (const DumpUse& use : stage.nodes) {
      nodes.push_back(use.node - std::exchange(last, use.node));
      layers.push_back(use.layer - std::exchange(last_layer, use.layer));
      inputs.push_back(static_cast<int64_t>(use.inputs.size()));
      for (const int v : use.inputs)
        inputs.push_back(dump_.node(use).number() - v);
    }
    for (const DumpFold& fold : stage.folds)
      folds.insert(folds.end(), {fold.first, fold.count,
                                 String(absl::StrJoin(fold.differs, ", "))});
    for (const auto& [value, name] : stage.names)
      names.insert(names.end(), {value, String(name)});
    for (const DumpOutput& output : stage.outputs)
      outputs.insert(outputs.end(), {output.value, String(output.name)});
    return absl::StrCat(
        Member("nodes", Json(nodes)), ",", Member("layers", Json(layers)), ",",
        Member("inputs", Json(inputs)), ",", Member("folds", Json(folds)), ",",
        Member("names", Json(names)), ",", Member("outputs", Json(outputs)));
  }

  // A stage that equals the one before has a name only.
  std::string Stages() {
    std::vector<std::string> out;
    std::string before;
    for (const DumpStage& stage : dump_.stages) {
      std::string members = Stage(stage);
      out.push_back(absl::StrCat("{\"name\":", Quoted(stage.name),
                                 members == before ? "" : ",",
                                 members == before ? "" : members, "}"));
      before = std::move(members);
    }
    return absl::StrCat("[", absl::StrJoin(out, ",\n"), "]");
  }

  std::string Rules() {
    const auto rule = [this](const DumpRule& r) {
      Column matched, missed;
      for (const DumpAnchor& a : r.anchors) {
        if (a.matched)
          matched.push_back(a.value);
        else
          missed.insert(missed.end(), {a.value, String(a.reason)});
      }
      return absl::StrCat("{\"name\":", Quoted(r.name),
                          ",\"expected\":", r.expected, ",",
                          Member("matched", Json(matched)), ",",
                          Member("missed", Json(missed)), "}");
    };
    return JsonList(dump_.rules, rule, ",\n");
  }

  int Works(const std::vector<DumpWork>& works) {
    const auto one = [](const DumpWork& w) {
      return absl::StrCat("[", w.weight_bytes, ",", w.state_bytes, ",",
                          w.activation_bytes, ",", w.operations, ",",
                          Quoted(w.arithmetic), ",", w.least_seconds, "]");
    };
    return works_(JsonList(works, one, ","));
  }

  std::string Plan() {
    const DumpPlan& plan = dump_.plan;
    Column nodes, kernels, works, buffers, aliases;
    for (const DumpStep& step : plan.steps) {
      nodes.push_back(step.node);
      kernels.push_back(String(absl::StrJoin(step.kernels, "\t")));
      works.push_back(Works(step.work));
    }
    for (const DumpBuffer& b : plan.buffers)
      buffers.insert(buffers.end(),
                     {b.value, b.offset, b.bytes, b.first, b.last});
    for (const DumpAlias& a : plan.aliases)
      aliases.insert(aliases.end(), {a.value, a.of, a.is_view});
    return absl::StrCat(
        "{", Member("targets", JsonList(plan.targets, Quoted, ",")), ",",
        Member("sizes", JsonList(plan.work_sizes, Quoted, ",")), ",",
        Member("nodes", Json(nodes)), ",", Member("kernels", Json(kernels)),
        ",", Member("works", Json(works)), ",",
        Member("buffers", Json(buffers)), ",", Member("aliases", Json(aliases)),
        ",\"arena\":", plan.arena_bytes, ",\"peak\":", plan.peak_bytes,
        ",\"peak_step\":", plan.peak_step, ",\"weights\":", plan.weight_bytes,
        ",\"states\":", plan.state_bytes, ",\"scratch\":", plan.scratch_bytes,
        "}");
  }

  std::string Profiles() const {
    const auto profile = [](const DumpProfile& p) {
      const auto time = [](const DumpTime& t) {
        return absl::StrCat(t.step, ",", t.seconds, ",", t.imbalance, ",",
                            t.waiting, ",", t.limit);
      };
      return absl::StrCat("{\"name\":", Quoted(p.name),
                          ",\"seconds\":", p.seconds, ",",
                          Member("times", JsonList(p.times, time, ",")), "}");
    };
    return JsonList(dump_.profiles, profile, ",");
  }

  const Dump& dump_;
  Interned strings_, types_, works_;
};

}  // namespace

std::string WriteHtml(const Dump& dump) {
  std::string out(PageHead());
  absl::StrAppend(&out, "<script id=\"data\" type=\"application/json\">",
                  PageData(dump).Write(), "</script>\n");
  for (const absl::string_view script : PageScripts())
    absl::StrAppend(&out, "<script>\n", script, "</script>\n");
  return out + "</body>\n</html>\n";
}

}  // namespace weft::inline v0
