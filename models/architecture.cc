#include "models/architecture.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {

// The list: architectures/x.cc defines BuildX.
using Build = void(ModelBuilder&);
Build BuildBert, BuildDeepseek2, BuildFalcon, BuildGemma2, BuildGemma3,
    BuildGptOss, BuildGpt2, BuildGranite, BuildLlama, BuildMamba, BuildMpt,
    BuildOlmo2, BuildPhi3, BuildQwen2, BuildQwen3, BuildQwen3moe,
    BuildStarcoder2;

namespace {

constexpr Architecture kArchitectures[] = {
    {.name = "bert", .build = BuildBert, .causal = false},
    {"deepseek2", BuildDeepseek2},
    {"falcon", BuildFalcon},
    {"gemma2", BuildGemma2},
    {"gemma3", BuildGemma3},
    {"gpt-oss", BuildGptOss},
    {"gpt2", BuildGpt2},
    {"granite", BuildGranite},
    {"llama", BuildLlama},
    {.name = "mamba", .build = BuildMamba, .rewinds = false},
    {"mpt", BuildMpt},
    {"olmo2", BuildOlmo2},
    {"phi3", BuildPhi3},
    {"qwen2", BuildQwen2},
    {"qwen3", BuildQwen3},
    {"qwen3moe", BuildQwen3moe},
    {"starcoder2", BuildStarcoder2},
};

}  // namespace

absl::Span<const Architecture> Architectures() { return kArchitectures; }

absl::StatusOr<const Architecture*> FindArchitecture(
    const GgufFile& file, absl::Span<const Architecture* const> extra) {
  constexpr char kKey[] = "general.architecture";
  WEFT_ASSIGN_OR_RETURN(const absl::string_view name, file.GetString(kKey));
  std::vector<absl::string_view> known;
  for (const Architecture* architecture : extra) {
    if (architecture == nullptr || architecture->build == nullptr)
      return absl::InvalidArgumentError(
          "LoadOptions::architectures has one that is null or has no build "
          "function");
    if (architecture->name == name) return architecture;
    known.push_back(architecture->name);
  }
  for (const Architecture& architecture : Architectures()) {
    if (architecture.name == name) return &architecture;
    known.push_back(architecture.name);
  }
  return MakeInputError(
      absl::StatusCode::kUnimplemented, file.source(),
      {.id = "BIND-ARCH",
       .at = file.OffsetOf(kKey),
       .field = kKey,
       .value = QuoteInput(name),
       .expected = absl::StrCat("one of ", absl::StrJoin(known, ", "))});
}

absl::StatusOr<std::unique_ptr<Graph>> BuildModel(
    const GgufFile& file, const Architecture& architecture,
    const BuildOptions& options) {
  auto graph = std::make_unique<Graph>();
  ModelBuilder builder(file, std::string(architecture.name), options, *graph);
  architecture.build(builder);
  WEFT_RETURN_IF_ERROR(builder.status());
  WEFT_RETURN_IF_ERROR(graph->Finish());
  WEFT_RETURN_IF_ERROR(ApplyLora(*graph, options.adapters));
  return graph;
}

}  // namespace weft::inline v0
