#include "tools/diff_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// The step that evaluates `tokens` at those positions of slot 0.
DiffStep StepOf(absl::Span<const Token> tokens, int64_t position) {
  const auto n = static_cast<int64_t>(tokens.size());
  DiffStep step;
  step.symbols = {{"T", n}, {"R", 1}};
  std::vector<int32_t> ids, pos, slot(tokens.size(), 0);
  for (const Token token : tokens) {
    ids.push_back(token);
    pos.push_back(static_cast<int32_t>(position++));
  }
  const std::vector<int32_t> rows = {static_cast<int32_t>(n - 1)};
  step.inputs[kTokensInput] = HostTensor::FromInts({n}, ids);
  step.inputs[kPosInput] = HostTensor::FromInts({n}, pos);
  step.inputs[kSlotInput] = HostTensor::FromInts({n}, slot);
  step.inputs[kRowsInput] = HostTensor::FromInts({1}, rows);
  return step;
}

}  // namespace

absl::StatusOr<DiffSubject> SubjectOf(std::shared_ptr<const Model> model,
                                      absl::Span<const Token> tokens,
                                      BuildOptions build) {
  if (tokens.empty())
    return absl::InvalidArgumentError("there are no tokens to evaluate");
  for (const Token token : tokens)
    if (token < 0 || token >= model->vocab_size())
      return absl::InvalidArgumentError(
          absl::StrCat("token ", token, " lies outside the vocabulary of ",
                       model->vocab_size()));
  const auto n = static_cast<int64_t>(tokens.size());
  const bool whole = !model->architecture().causal || n == 1;
  build.max_tokens = whole ? n : n - 1;
  build.max_rows = build.slots = 1;
  build.context = n;
  DiffSubject subject;
  subject.build = [model, build] {
    return BuildModel(model->file(), model->architecture(), build);
  };
  subject.weights =
      [model](const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
    const GgufTensor* tensor = model->file().FindTensor(node.name);
    if (tensor == nullptr)
      return absl::NotFoundError(
          absl::StrCat(model->file().source(), ": no tensor ", node.name));
    return tensor->data;
  };
  const size_t first = static_cast<size_t>(build.max_tokens);
  subject.steps.push_back(StepOf(tokens.first(first), 0));
  if (!whole)
    subject.steps.push_back(StepOf(tokens.subspan(first), build.max_tokens));
  return subject;
}

}  // namespace weft::inline v0
