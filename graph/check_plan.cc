// The independent overlap checker: walks the steps as a machine would, keeping
// for every byte range the value that was last written there.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/plan.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

class Checker {
 public:
  Checker(const Graph& graph, const Plan& plan) : graph_(graph), plan_(plan) {}

  absl::Status Run() {
    for (const NodeId id : graph_.order())
      if (graph_.node(id).op->kind == OpKind::kInput)
        WEFT_RETURN_IF_ERROR(Write(graph_.node(id).outputs[0]));
    for (const NodeId id : plan_.steps) {
      const Node& node = graph_.node(id);
      for (const ValueId in : node.inputs) WEFT_RETURN_IF_ERROR(Read(in));
      // Written while the inputs are read: only a declared in-place operand
      // may share bytes with output 0.
      WEFT_RETURN_IF_ERROR(CheckOperands(node));
      for (const ValueId out : node.outputs) WEFT_RETURN_IF_ERROR(Write(out));
    }
    for (const Graph::NamedValue& out : graph_.outputs())
      WEFT_RETURN_IF_ERROR(Read(out.value));
    // Inputs keep their content, so that a step can be repeated.
    for (const NodeId id : graph_.order())
      if (graph_.node(id).op->kind == OpKind::kInput)
        WEFT_RETURN_IF_ERROR(Read(graph_.node(id).outputs[0]));
    return absl::OkStatus();
  }

 private:
  struct Range {
    int64_t begin, end;
    ValueId value;
  };

  const Placement& At(ValueId id) const {
    return plan_.values[static_cast<size_t>(id)];
  }

  // The arena bytes of a value; empty for values outside the arena.
  Range Bytes(ValueId id) const {
    const Placement& root = At(plan_.Root(id));
    if (root.storage != Storage::kArena) return {0, 0, id};
    return {root.offset, root.offset + root.bytes, id};
  }

  static bool Meet(const Range& a, const Range& b) {
    return a.begin < b.end && b.begin < a.end;
  }

  // The value whose computation filled the bytes that `id` shows: views go
  // back to what they view, in-place results are writers of their own.
  ValueId Writer(ValueId id) const {
    while (At(id).storage == Storage::kAlias && At(id).is_view)
      id = At(id).alias_of;
    return id;
  }

  absl::Status Read(ValueId id) {
    const Range bytes = Bytes(id);
    if (bytes.begin == bytes.end) return absl::OkStatus();
    const ValueId writer = Writer(id);
    for (const Range& w : written_)
      if (Meet(bytes, w) && w.value != writer)
        return absl::InternalError(absl::StrCat(
            "plan: ", graph_.Describe(id), " is read after ",
            graph_.Describe(w.value), " overwrote its bytes"));
    if (std::none_of(written_.begin(), written_.end(), [&](const Range& w) {
          return w.value == writer;
        }))
      return absl::InternalError(absl::StrCat(
          "plan: ", graph_.Describe(id), " is read before it is written"));
    return absl::OkStatus();
  }

  absl::Status Write(ValueId id) {
    const Range bytes = Bytes(id);
    if (bytes.begin == bytes.end) return absl::OkStatus();
    if (bytes.begin < 0 || bytes.end > plan_.arena_bytes ||
        bytes.begin % kArenaAlignment != 0)
      return absl::InternalError(absl::StrCat(
          "plan: ", graph_.Describe(id), " lies outside the arena"));
    std::erase_if(written_, [&](const Range& w) { return Meet(w, bytes); });
    written_.push_back(bytes);
    return absl::OkStatus();
  }

  // Whether the plan says that `out` is computed in the memory of `in`, all of
  // it: an operand of that memory which is read otherwise is no such one.
  bool TakesOver(ValueId out, ValueId in) const {
    return At(out).storage == Storage::kAlias && At(out).alias_of == in &&
           At(out).bytes == At(plan_.Root(in)).bytes;
  }

  absl::Status CheckOperands(const Node& node) const {
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      const Range out = Bytes(node.outputs[o]);
      for (size_t other = 0; other < o; ++other)
        if (Meet(out, Bytes(node.outputs[other])))
          return Shared(node, node.outputs[o], node.outputs[other]);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const bool allowed = o == 0 && (node.op->in_place >> i & 1) != 0 &&
                             TakesOver(node.outputs[0], node.inputs[i]);
        if (Meet(out, Bytes(node.inputs[i])) && !allowed)
          return Shared(node, node.outputs[o], node.inputs[i]);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Shared(const Node& node, ValueId a, ValueId b) const {
    return absl::InternalError(
        absl::StrCat("plan: in ", graph_.Describe(node), " the result ",
                     graph_.Describe(a), " shares bytes with ",
                     graph_.Describe(b)));
  }

  const Graph& graph_;
  const Plan& plan_;
  std::vector<Range> written_;
};

}  // namespace

absl::Status CheckPlan(const Graph& graph, const Plan& plan) {
  return Checker(graph, plan).Run();
}

}  // namespace weft::inline v0
