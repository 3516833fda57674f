// JSON, as schema.json beside this file says.
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/dump/formats.h"
#include "graph/dump/json_text.h"
#include "graph/escape.h"

namespace weft::inline v0 {
namespace {

absl::string_view KindName(OpKind kind) {
  switch (kind) {
    case OpKind::kCompute:
      return "compute";
    case OpKind::kInput:
      return "input";
    case OpKind::kWeight:
      return "weight";
    case OpKind::kState:
      return "state";
    case OpKind::kConstant:
      return "constant";
    case OpKind::kAny:
      break;
  }
  return "any";
}

std::string ValueJson(const DumpValue& value) {
  return absl::StrCat(
      "{\"number\": ", value.number,
      ", \"dtype\": ", Quoted(Name(value.type.dtype)), ", \"shape\": ",
      JsonList(value.type.shape,
               [](const Dim& d) {
                 return d.is_symbol() ? Quoted(d.name()) : d.ToString();
               }),
      "}");
}

std::string NodeJson(const DumpNode& node) {
  return absl::StrCat("{\"number\": ", node.number(),
                      ", \"op\": ", Quoted(node.op),
                      ", \"kind\": ", Quoted(KindName(node.kind)),
                      ", \"name\": ", Quoted(node.name),
                      ", \"outputs\": ", JsonList(node.outputs, ValueJson),
                      ", \"attrs\": ", JsonObject(node.attrs),
                      ", \"made_by\": ", Quoted(node.made_by),
                      ", \"where\": ", Quoted(node.where), "}");
}

std::string StageJson(const Dump& dump, const DumpStage& stage) {
  const auto use = [&dump](const DumpUse& u) {
    return absl::StrCat("{\"number\": ", dump.node(u).number(),
                        ", \"layer\": ", u.layer, ", \"inputs\": [",
                        absl::StrJoin(u.inputs, ", "), "]}");
  };
  const auto output = [](const DumpOutput& o) {
    return absl::StrCat("{\"name\": ", Quoted(o.name), ", \"value\": ", o.value,
                        "}");
  };
  const auto fold = [](const DumpFold& f) {
    return absl::StrCat("{\"first\": ", f.first, ", \"count\": ", f.count,
                        ", \"differs\": ", JsonList(f.differs, Quoted), "}");
  };
  const auto name = [](const std::pair<int, std::string>& n) {
    return absl::StrCat("{\"value\": ", n.first,
                        ", \"name\": ", Quoted(n.second), "}");
  };
  return absl::StrCat("{\"name\": ", Quoted(stage.name),
                      ", \"nodes\": ", JsonLines(stage.nodes, use),
                      ",\n\"outputs\": ", JsonList(stage.outputs, output),
                      ", \"names\": ", JsonList(stage.names, name),
                      ",\n\"folds\": ", JsonList(stage.folds, fold), "}");
}

std::string RuleJson(const DumpRule& rule) {
  const auto anchor = [](const DumpAnchor& a) {
    return absl::StrCat("{\"value\": ", a.value, ", \"node\": ", Quoted(a.node),
                        ", \"where\": ", Quoted(a.where),
                        ", \"matched\": ", a.matched ? "true" : "false",
                        ", \"reason\": ", Quoted(a.reason),
                        ", \"hint\": ", Quoted(a.hint), "}");
  };
  return absl::StrCat("{\"name\": ", Quoted(rule.name),
                      ", \"matched\": ", rule.matched, ", \"expected\": ",
                      rule.expected < 0 ? "null" : absl::StrCat(rule.expected),
                      ", \"anchors\": ", JsonLines(rule.anchors, anchor), "}");
}

std::string WorkJson(const DumpWork& w) {
  return absl::StrCat("{\"weight_bytes\": ", w.weight_bytes,
                      ", \"state_bytes\": ", w.state_bytes,
                      ", \"activation_bytes\": ", w.activation_bytes,
                      ", \"operations\": ", w.operations,
                      ", \"arithmetic\": ", Quoted(w.arithmetic), "}");
}

std::string PlanJson(const Dump& dump) {
  const DumpPlan& plan = dump.plan;
  const auto step = [&dump](const DumpStep& s) {
    const DumpNode& node = dump.nodes[static_cast<size_t>(s.node)];
    return absl::StrCat("{\"number\": ", node.number(),
                        ", \"kernels\": ", JsonList(s.kernels, Quoted),
                        ", \"work\": ", JsonList(s.work, WorkJson), "}");
  };
  const auto buffer = [](const DumpBuffer& b) {
    return absl::StrCat("{\"value\": ", b.value, ", \"offset\": ", b.offset,
                        ", \"bytes\": ", b.bytes, ", \"first\": ", b.first,
                        ", \"last\": ", b.last, "}");
  };
  const auto alias = [](const DumpAlias& a) {
    return absl::StrCat("{\"value\": ", a.value, ", \"of\": ", a.of,
                        ", \"is_view\": ", a.is_view ? "true" : "false", "}");
  };
  return absl::StrCat("{\"targets\": ", JsonList(plan.targets, Quoted),
                      ", \"work_sizes\": ", JsonList(plan.work_sizes, Quoted),
                      ", \"arena_bytes\": ", plan.arena_bytes,
                      ", \"peak_bytes\": ", plan.peak_bytes,
                      ", \"peak_step\": ", plan.peak_step,
                      ", \"weight_bytes\": ", plan.weight_bytes,
                      ", \"state_bytes\": ", plan.state_bytes,
                      ", \"scratch_bytes\": ", plan.scratch_bytes,
                      ",\n\"steps\": ", JsonLines(plan.steps, step),
                      ",\n\"buffers\": ", JsonLines(plan.buffers, buffer),
                      ",\n\"aliases\": ", JsonLines(plan.aliases, alias), "}");
}

std::string ProfileJson(const DumpProfile& profile) {
  const auto time = [](const DumpTime& t) {
    return absl::StrCat("{\"step\": ", t.step, ", \"seconds\": ", t.seconds,
                        ", \"imbalance\": ", t.imbalance,
                        ", \"waiting\": ", t.waiting, ", \"limit\": ", t.limit,
                        "}");
  };
  return absl::StrCat("{\"name\": ", Quoted(profile.name),
                      ", \"seconds\": ", profile.seconds,
                      ", \"times\": ", JsonLines(profile.times, time), "}");
}

}  // namespace

std::string WriteJson(const Dump& dump) {
  const auto symbol = [](const Dim& d) {
    return absl::StrCat("{\"name\": ", Quoted(d.name()),
                        ", \"bound\": ", d.bound(), "}");
  };
  const auto layer = [](const DumpLayer& l) { return Quoted(l.name()); };
  const auto stage = [&dump](const DumpStage& s) { return StageJson(dump, s); };
  return absl::StrCat(
      "{\"format\": \"weft-dump\", \"version\": 1,\n\"title\": ",
      Quoted(dump.title), ", \"facts\": ", JsonObject(dump.facts),
      ",\n\"symbols\": ", JsonList(dump.symbols, symbol),
      ",\n\"layers\": ", JsonList(dump.layers, layer),
      ",\n\"nodes\": ", JsonLines(dump.nodes, NodeJson),
      ",\n\"stages\": ", JsonLines(dump.stages, stage),
      ",\n\"rules\": ", JsonLines(dump.rules, RuleJson),
      ",\n\"plan\": ", dump.plan.steps.empty() ? "null" : PlanJson(dump),
      ",\n\"profiles\": ", JsonLines(dump.profiles, ProfileJson), "}\n");
}

}  // namespace weft::inline v0
