// One product on a weight, some steps of it on one thread: what
// tests/count_instructions.sh and tests/arm_cycles.py run under an emulator
// that tells which instructions it executes.
//
//   block_product_main FORMAT exact|fast TARGET TOKENS STEPS
//
// with FORMAT as q4_k, for rows as files have them, or q4_k_r16, packed;
// prints the number of blocks in the weight: 32 rows of 2048 values.
#include <iostream>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "ops/fused.h"
#include "ops/quantize.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kRows = 32, kColumns = 2048;

std::optional<DType> FindFormat(absl::string_view name) {
  const bool packed = absl::ConsumeSuffix(&name, "_r16");
  for (const DTypeInfo& info : AllDTypes())
    if (info.name == name &&
        (packed ? CanPack(info.type) : IsDecodable(info.type)))
      return packed ? PackedType(info.type) : info.type;
  return std::nullopt;
}

absl::Status RunSteps(DType type, bool fast, const std::string& target,
                      int64_t tokens, int64_t steps) {
  auto graph = std::make_shared<Graph>();
  Value x = graph->Input("x", DType::kF32, {tokens, kColumns});
  const DType rows = IsPacked(type) ? RowsType(type) : type;
  if (fast) x = Quantize(x, PerScaleFor(rows));
  graph->Output("y", QMatMul(x, graph->Weight("w", type, {kRows, kColumns})));
  HostTensor w(rows, {kRows, kColumns});
  FillRandom(w, 1);
  if (IsPacked(type)) {
    const HostTensor from = w;
    PackRows(rows, from.bytes.data(), kRows,
             static_cast<int64_t>(from.bytes.size()) / kRows, w.bytes.data());
  }
  WEFT_RETURN_IF_ERROR(graph->Finish());
  WEFT_ASSIGN_OR_RETURN(const auto backend,
                        MakeBackend("cpu", {.threads = 1, .target = target}));
  WEFT_ASSIGN_OR_RETURN(const auto executable,
                        backend->Compile(graph, [&w](const Node&) {
                          return absl::MakeConstSpan(w.bytes);
                        }));
  WEFT_ASSIGN_OR_RETURN(const auto to, executable->Input("x"));
  auto* values = reinterpret_cast<float*>(to.data());
  for (int64_t i = 0; i < tokens * kColumns; ++i)
    values[i] = static_cast<float>(i % 17 - 8);
  for (int64_t i = 0; i < steps; ++i) WEFT_RETURN_IF_ERROR(executable->Run({}));
  return absl::OkStatus();
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  int64_t tokens = 0, steps = 0;
  const auto type =
      argc == 6 ? weft::FindFormat(argv[1]) : std::optional<weft::DType>();
  if (!type || !absl::SimpleAtoi(argv[4], &tokens) ||
      !absl::SimpleAtoi(argv[5], &steps)) {
    std::cerr << "usage: block_product_main FORMAT exact|fast TARGET TOKENS "
                 "STEPS\n";
    return 2;
  }
  const bool fast = std::string(argv[2]) == "fast";
  const absl::Status status =
      weft::RunSteps(*type, fast, argv[3], tokens, steps);
  if (!status.ok()) std::cerr << "block_product_main: " << status << "\n";
  std::cout << weft::kRows * weft::kColumns / weft::Info(*type).block_values
            << "\n";
  return status.ok() ? 0 : 1;
}
