#include "tools/step_check.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/interpret.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

size_t HashOfBytes(absl::Span<const std::byte> bytes) {
  return absl::HashOf(absl::string_view(
      reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// Of the value's bytes: decoded weights are large, so that a copy takes longer.
size_t HashOf(const ObservedValues& values, ValueId v) {
  const auto memory = values.memory(v);
  return memory.empty() ? HashOfBytes(values.read(v).bytes)
                        : HashOfBytes(memory);
}

// What a kernel may be off by. Results in 8-bit blocks of a kernel that rounds
// its own f32 result may be one code off where that lies between two codes; a
// code is 1/127 of the largest. Few are, so their NMSE is small all the same.
constexpr double kOneCode = 1.01 / 127;
constexpr double kCodesNmse = 1e-5;

bool IsRounded(const Node& node, const HostTensor& result) {
  return Info(result.dtype).block_values > 1 && node.op->tolerance > 0;
}

bool IsWithin(const Difference& d, const Node& node, const HostTensor& result) {
  if (IsRounded(node, result))
    return d.error <= kOneCode && d.nmse <= kCodesNmse;
  return d.error <= node.op->tolerance;
}

}  // namespace

void StepCheck::Begin(size_t step, const SymbolValues& symbols) {
  step_ = step;
  symbols_ = symbols;
  hashes_.clear();
  writers_.clear();
}

void StepCheck::See(size_t index, bool done, const ObservedValues& values) {
  if (run_.diverges || !status_.ok()) return;
  if (!done) return CheckOperands(index, values);
  const Node& node = NodeOf(index);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    // What weights give is the same at every step.
    if (step_ > 0 && FromWeights(v)) continue;
    CheckResult(index, i, values);
    if (node.op->writes_state) continue;
    const auto memory = values.memory(v);
    const std::vector<std::byte>& want = Wanted(v).bytes;
    if (!want.empty() && want.size() == memory.size())
      std::memcpy(memory.data(), want.data(), want.size());
    hashes_[v] = HashOf(values, v);
    writers_[v] = index;
  }
}

ValueId StepCheck::Written(ValueId id) const {
  const std::vector<Placement>& places = plan_.plan.values;
  while (places[static_cast<size_t>(id)].is_view)
    id = places[static_cast<size_t>(id)].alias_of;
  return id;
}

void StepCheck::CheckOperands(size_t index, const ObservedValues& values) {
  const Node& node = NodeOf(index);
  operands_.assign(node.inputs.size(), HostTensor());
  largest_ = 0;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    const OpKind kind = graph_.producer(v).op->kind;
    if (kind == OpKind::kWeight || kind == OpKind::kConstant) continue;
    if (step_ > 0 && FromWeights(v)) continue;
    const ValueId root = plan_.plan.Root(v);
    if (!FromWeights(v) || root == plan_.plan.Root(node.outputs[0])) {
      operands_[i] = values.read(v);
      largest_ = std::max(largest_, LargestMagnitude(operands_[i]));
    }
    if (plan_.plan.values[static_cast<size_t>(root)].storage != Storage::kArena)
      continue;
    const ValueId written = Written(v);
    const size_t hash = HashOf(values, written);
    const auto [known, fresh] = hashes_.try_emplace(written, hash);
    if (fresh || known->second == hash) continue;
    return Report(Divergence::Kind::kPlan, index,
                  Compare(values.read(written), Wanted(written)), 0,
                  Overwriters(written, index));
  }
}

void StepCheck::CheckResult(size_t index, size_t output,
                            const ObservedValues& values) {
  if (run_.diverges) return;
  const Node& node = NodeOf(index);
  const ValueId v = node.outputs[output];
  const bool from_weights = FromWeights(v);
  const size_t hash = from_weights ? HashOf(values, v) : 0;
  if (from_weights) {  // and the same on every target
    const auto right = stage_.weight_hashes.find(v);
    if (right != stage_.weight_hashes.end() && right->second == hash) return;
  }
  const HostTensor got = values.read(v);
  if (!from_weights) {
    // A record's tolerance is for operands of order one.
    const Difference difference = Compare(got, Wanted(v), largest_);
    Count(graph_, node, step_, difference, run_);
    if (IsWithin(difference, node, got)) return;
  }
  // The operands may not be the reference's own: states, and what weights give.
  const absl::StatusOr<HostTensor> expected = Expected(node, output, values);
  if (!expected.ok()) {
    status_ = expected.status();
    return;
  }
  const Difference own = Compare(got, *expected, largest_);
  if (!IsWithin(own, node, got))
    return Report(
        Divergence::Kind::kKernel, index, own,
        IsRounded(node, got) ? kOneCode : node.op->tolerance,
        absl::StrCat("the kernel gives something else than the reference of ",
                     node.op->name, " for the same operands"));
  if (from_weights && expected->bytes == got.bytes)
    stage_.weight_hashes[v] = hash;
}

absl::StatusOr<HostTensor> StepCheck::Expected(
    const Node& node, size_t output, const ObservedValues& values) const {
  std::vector<HostTensor> weights, results;
  weights.reserve(node.inputs.size());
  std::vector<const HostTensor*> in;
  for (size_t i = 0; i < node.inputs.size(); ++i)
    in.push_back(operands_[i].bytes.empty()
                     ? &weights.emplace_back(values.read(node.inputs[i]))
                     : &operands_[i]);
  for (const ValueId v : node.outputs) {
    const TensorType& type = graph_.value(v).type;
    results.emplace_back(type.dtype, type.shape.Bind(symbols_));
  }
  if (node.op->writes_state) results[0] = *in[0];
  std::vector<HostTensor*> out;
  for (HostTensor& t : results) out.push_back(&t);
  WEFT_RETURN_IF_ERROR(RunReference(
      *node.op, node.attrs, graph_.InputTypes(node), in, out, symbols_));
  return std::move(results[output]);
}

void StepCheck::Report(Divergence::Kind kind, size_t index,
                       const Difference& difference, double tolerance,
                       std::string cause) {
  const Node& node = NodeOf(index);
  run_.diverges = true;
  node_ = node.id;
  found_.kind = kind;
  found_.step = step_;
  found_.node = NodeText(graph_, node);
  found_.made_by = std::string(node.made_by);
  found_.kernel = plan_.steps[index].kernel;
  found_.difference = difference;
  found_.tolerance = tolerance;
  found_.cause = std::move(cause);
}

std::string StepCheck::Overwriters(ValueId id, size_t until) const {
  const auto range = [&](ValueId v) {
    const Placement& p =
        plan_.plan.values[static_cast<size_t>(plan_.plan.Root(v))];
    return std::pair(p.offset, p.offset + p.bytes);
  };
  const auto [begin, end] = range(id);
  std::string out = absl::StrCat(
      "the memory of ", graph_.Describe(id), " (bytes ", begin, " to ", end,
      " of the arena) was written to before this step reads it: ");
  const auto writer = writers_.find(id);
  for (size_t i = writer == writers_.end() ? 0 : writer->second + 1; i < until;
       ++i)
    for (const ValueId v : NodeOf(i).outputs) {
      const Placement& p =
          plan_.plan.values[static_cast<size_t>(plan_.plan.Root(v))];
      const auto [from, to] = range(v);
      if (p.storage != Storage::kArena || from >= end || to <= begin) continue;
      return absl::StrCat(out, "the plan gives bytes ", from, " to ", to,
                          " to ", NodeText(graph_, NodeOf(i)));
    }
  return absl::StrCat(out,
                      "the plan gives it to nobody else, so that a kernel "
                      "writes outside its result");
}

}  // namespace weft::inline v0
