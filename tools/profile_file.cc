#include "tools/profile_file.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/escape.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "nlohmann/json.hpp"
#include "tools/read_file.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::ordered_json;

Json NodeJson(const ProfileRow& row, const Limits& limits) {
  const Shares shares =
      SharesOf(row.work.bytes(), row.work, row.time.elapsed, limits);
  // Names come from files and may be no UTF-8; Printable() makes them that.
  return {{"number", row.number},
          {"op", row.op},
          {"node", Printable(row.name)},
          {"kernel", row.kernel},
          {"seconds", row.time.elapsed},
          {"slowest", row.time.slowest},
          {"mean", row.time.mean},
          {"busy", row.busy},
          {"bytes", row.work.bytes()},
          {"operations", row.work.total_operations()},
          {"limit", shares.limit()}};
}

absl::Status Wrong(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": ", what,
      "; expected what weft-bench --profile=FILE writes, of this model with "
      "the same --numerics and --target"));
}

std::string Text(const nlohmann::json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

double Number(const nlohmann::json& json, const char* key) {
  const auto it = json.find(key);
  return it != json.end() && it->is_number() ? it->get<double>() : 0;
}

absl::Status ReadOne(const std::string& path, const nlohmann::json& json,
                     Dump& dump) {
  const double runs = std::max(1.0, Number(json, "runs"));
  DumpProfile out;
  out.name = Text(json, "name");
  out.seconds = Number(json, "seconds") / runs;
  absl::flat_hash_map<int, int> step_of;  // by number of the node
  for (size_t i = 0; i < dump.plan.steps.size(); ++i)
    step_of[dump.nodes[static_cast<size_t>(dump.plan.steps[i].node)].number()] =
        static_cast<int>(i);
  const auto nodes = json.find("nodes");
  if (nodes == json.end() || !nodes->is_array())
    return Wrong(path, "a profile has no nodes");
  for (const nlohmann::json& node : *nodes) {
    if (!node.is_object()) return Wrong(path, "a node is no object");
    const auto step = step_of.find(static_cast<int>(Number(node, "number")));
    if (step == step_of.end() ||
        dump.nodes[static_cast<size_t>(
                       dump.plan.steps[static_cast<size_t>(step->second)].node)]
                .op != Text(node, "op"))
      return Wrong(path, absl::StrCat("it is of another graph: %",
                                      Number(node, "number"), " is no ",
                                      Text(node, "op")));
    DumpTime& time = out.times.emplace_back();
    time.step = step->second;
    const double all = Number(node, "seconds"), mean = Number(node, "mean");
    time.seconds = all / runs;
    if (mean > 0) time.imbalance = Number(node, "slowest") / mean - 1;
    if (all > 0) time.waiting = 1 - Number(node, "slowest") / all;
    time.limit = Number(node, "limit");
  }
  dump.profiles.push_back(std::move(out));
  return absl::OkStatus();
}

}  // namespace

std::string ProfileJson(absl::string_view model, absl::string_view target,
                        absl::Span<const NamedProfile> profiles) {
  Json out = {{"format", "weft-profile"},
              {"version", 1},
              {"model", Printable(model)},
              {"target", std::string(target)},
              {"profiles", Json::array()}};
  for (const NamedProfile& profile : profiles) {
    Json nodes = Json::array();
    for (const ProfileRow& row : profile.summary->nodes)
      nodes.push_back(NodeJson(row, profile.limits));
    out["profiles"].push_back({{"name", profile.name},
                               {"threads", profile.summary->threads},
                               {"runs", profile.summary->runs},
                               {"seconds", profile.summary->elapsed},
                               {"nodes", std::move(nodes)}});
  }
  return out.dump(1) + "\n";
}

absl::Status ReadProfile(const std::string& path, Dump& dump) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() ||
      Text(json, "format") != "weft-profile")
    return Wrong(path, "this is no profile");
  const auto profiles = json.find("profiles");
  if (profiles == json.end() || !profiles->is_array())
    return Wrong(path, "it has no profiles");
  for (const nlohmann::json& profile : *profiles) {
    if (!profile.is_object()) return Wrong(path, "a profile is no object");
    WEFT_RETURN_IF_ERROR(ReadOne(path, profile, dump));
  }
  return absl::OkStatus();
}

std::string TraceJson(const Graph& graph, const BackendPlan& plan,
                      absl::Span<const TraceEvent> events) {
  double start = events.empty() ? 0 : events[0].begin;
  int threads = 0;
  for (const TraceEvent& e : events) {
    start = std::min(start, e.begin);
    threads = std::max(threads, e.thread + 1);
  }
  std::string out = "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n";
  for (int i = 0; i < threads; ++i)
    absl::StrAppend(&out,
                    "{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, "
                    "\"tid\": ",
                    i, ", \"args\": {\"name\": \"thread ", i, "\"}},\n");
  for (const TraceEvent& e : events) {
    const PlannedStep& step = plan.steps[static_cast<size_t>(e.step)];
    const Node& node = graph.node(step.node);
    absl::StrAppendFormat(
        &out,
        "{\"name\": %s, \"cat\": \"step\", \"ph\": \"X\", \"pid\": 1, \"tid\": "
        "%d, \"ts\": %.3f, \"dur\": %.3f, \"args\": {\"step\": %d, \"node\": "
        "%s}},\n",
        Quoted(step.on_reference ? absl::StrCat(node.op->name, " (reference)")
                                 : step.kernel),
        e.thread, 1e6 * (e.begin - start), 1e6 * (e.end - e.begin), e.step,
        Quoted(graph.Describe(node)));
  }
  absl::StrAppend(&out,
                  "{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, "
                  "\"args\": {\"name\": \"weft\"}}\n]}\n");
  return out;
}

absl::Status WriteWhole(const std::string& path, absl::string_view text) {
  WEFT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  WEFT_RETURN_IF_ERROR(file.Write(text));
  return file.Commit();
}

}  // namespace weft::inline v0
