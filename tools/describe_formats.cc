// The table of block formats, for graph-dump --formats.
#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/quantize.h"
#include "tools/describe.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

// Kernels that read weights of the format, "qmatmul.q4_0" and the like, with
// the targets that have them where that is not all.
std::string KernelsOfFormat(
    DType type, absl::Span<const std::unique_ptr<Backend>> targets) {
  std::vector<std::string> names;
  std::vector<size_t> counts;
  for (const auto& backend : targets)
    for (const OpDef* op : {&kQMatMul, &kQGather, &kDequant})
      for (const std::string& kernel : backend->KernelsOf(*op)) {
        if (!absl::EndsWith(kernel, absl::StrCat(".", Name(type)))) continue;
        const auto it = std::find(names.begin(), names.end(), kernel);
        if (it == names.end()) {
          names.push_back(kernel);
          counts.push_back(1);
        } else {
          ++counts[static_cast<size_t>(it - names.begin())];
        }
      }
  for (size_t i = 0; i < names.size(); ++i)
    if (counts[i] != targets.size())
      absl::StrAppend(&names[i], " (", counts[i], " of ", targets.size(),
                      " targets)");
  return names.empty() ? "none" : absl::StrJoin(names, " ");
}

// What kernels multiply the format with.
std::string Activations(DType type) {
  if (!WantsQuantized(type)) return "f32";
  return absl::StrCat("f32 ", Name(QuantizedType(PerScaleFor(type))));
}

TableRow FormatRow(const DTypeInfo& info,
                   absl::Span<const std::unique_ptr<Backend>> targets) {
  const std::string kernels = KernelsOfFormat(info.type, targets);
  return {std::string(info.name),
          absl::StrCat(info.block_values),
          absl::StrCat(info.block_bytes),
          absl::StrFormat("%.4g", 8.0 * info.block_bytes / info.block_values),
          Activations(info.type),
          std::string(info.layout.empty() ? "(sizes only)" : info.layout),
          kernels};
}

}  // namespace

absl::StatusOr<std::string> DescribeFormats() {
  WEFT_ASSIGN_OR_RETURN(const auto best, MakeBackend("cpu"));
  std::vector<std::unique_ptr<Backend>> targets;
  for (const std::string& target : best->Targets()) {
    WEFT_ASSIGN_OR_RETURN(targets.emplace_back(),
                          MakeBackend("cpu", {.target = target}));
  }
  std::vector<TableRow> rows = {
      {"format", "values", "bytes", "bits", "activations",
       "layout of a block and its values", "kernels"}};
  for (const DTypeInfo& info : AllDTypes())
    if (IsDecodable(info.type)) rows.push_back(FormatRow(info, targets));
  std::string out = TextTable(rows);
  rows = {{"format", "values", "bytes", "bits",
           "layout of a block and its values"}};
  for (const DTypeInfo& info : ActivationDTypes()) {
    TableRow row = FormatRow(info, targets);
    row.erase(row.begin() + 4);
    row.pop_back();
    rows.push_back(std::move(row));
  }
  absl::StrAppend(&out, "\nActivations (made by weft, never in a file):\n",
                  TextTable(rows));
  absl::StrAppend(&out, "\nThis machine's targets, best first: ",
                  absl::StrJoin(best->Targets(), ", "),
                  ". A kernel without a remark exists on each of them.\n");
  std::vector<absl::string_view> others;
  for (const DTypeInfo& info : AllDTypes())
    if (!IsDecodable(info.type) && info.block_values > 1)
      others.push_back(info.name);
  absl::StrAppend(&out, "Known by size only: ", absl::StrJoin(others, ", "),
                  ".\n");
  return out;
}

}  // namespace weft::inline v0
