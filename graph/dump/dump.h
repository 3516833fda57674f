// What there is to show of a graph: a plain record that every output format is
// written from, so that all of them tell the same.
//
//   DumpRecorder recorder;
//   auto report = Optimize(graph, {.observer = recorder.observer()});
//   Dump dump = recorder.Take();
//   AddRules(*report, dump);                // why fusions matched or did not
//   AddPlan(graph, plans, sizes, dump);     // backends/dump_plan.h
//   std::string page = WriteHtml(dump);     // graph/dump/formats.h
//
// Nothing here points into the graph. Not thread-safe; const use is.
#ifndef WEFT_GRAPH_DUMP_DUMP_H_
#define WEFT_GRAPH_DUMP_DUMP_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "graph/op.h"
#include "graph/shape.h"

namespace weft::inline v0 {

// Values and nodes are numbered by Graph::number(); a node's number is that of
// its first output.
struct DumpValue {
  int number = 0;
  TensorType type;
};

struct DumpNode {  // A node at one stage.
  std::string op;
  OpKind kind = OpKind::kCompute;
  bool is_view = false;
  std::string name;  // of inputs, weights and states
  std::vector<DumpValue> outputs;
  std::vector<std::pair<std::string, std::string>> attrs;
  std::string attrs_text;  // "{eps=1e-05}", as PrintText shows them
  std::string where;       // "llama.cc:31"
  std::string made_by;     // rule or pass; "" as built

  int number() const { return outputs[0].number; }
};

// A group of nodes that the model repeats: the weights of layer 3 are named
// "blk.3.attn_q.weight".
struct DumpLayer {
  std::string prefix;  // "blk"
  int64_t index = 0;   // 3
  std::string name() const { return prefix + "." + std::to_string(index); }
};

// A node as it stands after some pass.
struct DumpUse {
  int node = 0;             // index into Dump::nodes
  int layer = -1;           // index into Dump::layers; -1: of none
  std::vector<int> inputs;  // numbers of values
};

// Layers that follow each other and are wired alike.
struct DumpFold {
  int first = 0;  // index into Dump::layers
  int count = 0;
  // What else they differ in: "window", "blk.*.ffn_down.weight dtype".
  std::vector<std::string> differs;
};

struct DumpOutput {  // An output of the graph.
  std::string name;
  int value = 0;  // number
};

// The graph after one pass.
struct DumpStage {
  std::string name;            // "as built", or the pass that has just run
  std::vector<DumpUse> nodes;  // in topological order
  std::vector<DumpOutput> outputs;
  std::vector<DumpFold> folds;
  std::vector<std::pair<int, std::string>> names;  // of values, by number
};

// One place where a rule might have matched.
struct DumpAnchor {
  int value = 0;      // number
  std::string node;   // "softmax(%7 f32[T,8,1,C])"
  std::string where;  // "llama.cc:42"
  bool matched = false;
  std::string reason;  // why not
  std::string hint;    // what would make it match
};

struct DumpRule {  // What a rule did.
  std::string name;
  int matched = 0;
  int expected = -1;  // as the model says; -1: it does not
  std::vector<DumpAnchor> anchors;
};

// ---- The plan: filled by AddPlan() of backends/dump_plan.h ----

struct DumpWork {  // What a node costs.
  int64_t weight_bytes = 0, state_bytes = 0, activation_bytes = 0;
  int64_t operations = 0;
  std::string arithmetic;  // what most of them are done in: "int8"
  // Seconds that the machine's limits allow at best; 0: limits not known.
  double least_seconds = 0;
  int64_t bytes() const {
    return weight_bytes + state_bytes + activation_bytes;
  }
};

struct DumpStep {  // A step of the plan.
  int node = 0;                      // index into Dump::nodes
  std::vector<std::string> kernels;  // by Dump::targets; "" = the reference
  std::vector<DumpWork> work;        // by Dump::work_sizes
};

struct DumpBuffer {  // A value's place in the arena.
  int value = 0;       // number
  int64_t offset = 0;  // bytes into the arena
  int64_t bytes = 0;
  int first = 0, last = 0;  // steps from the first write to the last read
};

// A value that has no memory of its own.
struct DumpAlias {
  int value = 0, of = 0;  // numbers; `of` has memory: arena, state or weight
  bool is_view = false;   // else in place, or the state that was written
};

struct DumpPlan {  // Where values lie, and when.
  std::vector<std::string> targets;     // the one that runs first
  std::vector<std::string> work_sizes;  // "prefill of 512", "decode"
  std::vector<DumpStep> steps;
  std::vector<DumpBuffer> buffers;
  std::vector<DumpAlias> aliases;
  int64_t arena_bytes = 0, peak_bytes = 0;
  int peak_step = 0;
  int64_t weight_bytes = 0, state_bytes = 0, scratch_bytes = 0;
};

// ---- Measured times: filled by AddProfile() of backends/dump_plan.h ----

struct DumpTime {  // What a kernel took.
  int step = 0;          // index into DumpPlan::steps
  double seconds = 0;    // of one run
  double imbalance = 0;  // 0.1: the slowest thread took 10 % longer
  double waiting = 0;    // share of the time in no kernel
  double limit = 0;      // share of the machine's limit; 0: not known
};

struct DumpProfile {  // Measured times.
  std::string name;  // "decode 16, 2 threads"
  double seconds = 0;
  std::vector<DumpTime> times;
};

struct Dump {  // All that the printers show.
  std::string title;                                       // a model's name
  std::vector<std::pair<std::string, std::string>> facts;  // as it is shown
  std::vector<Dim> symbols;
  std::vector<DumpNode> nodes;  // of all stages, by number
  std::vector<DumpLayer> layers;
  std::vector<DumpStage> stages;  // never empty; the last is what runs
  std::vector<DumpRule> rules;
  DumpPlan plan;  // no steps: not known
  std::vector<DumpProfile> profiles;

  const DumpNode& node(const DumpUse& use) const {
    return nodes[static_cast<size_t>(use.node)];
  }
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_DUMP_H_
