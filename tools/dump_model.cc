#include "tools/dump_model.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "backends/dump_plan.h"
#include "graph/dump/recorder.h"
#include "graph/escape.h"
#include "graph/status_macros.h"
#include "models/architecture.h"
#include "models/model_file.h"
#include "tools/backend_flags.h"
#include "tools/bench.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/machine.h"
#include "tools/model_flags.h"
#include "tools/predict.h"
#include "tools/profile_text.h"
#include "tools/terminal.h"
#include "tools/text_table.h"
#include "tools/what_if.h"

ABSL_FLAG(int64_t, context, 0,
          "positions of each sequence; 0: as the model says, at most 4096");
ABSL_FLAG(int64_t, batch, 512, "tokens of the largest step");
ABSL_FLAG(int64_t, slots, 1, "sequences side by side");
ABSL_FLAG(std::string, kv, "f16",
          "type of the KV cache, or K,V for different ones: f32, f16, bf16, "
          "q8_0 or q4_0");

namespace weft::inline v0 {
namespace {

// The size of context that a session would take.
int64_t DefaultContext(const GgufFile& file, absl::string_view architecture) {
  constexpr int64_t kMost = 4096;
  const auto trained =
      file.GetInt64(absl::StrCat(architecture, ".context_length"));
  return trained.ok() && *trained > 0 ? std::min(*trained, kMost) : kMost;
}

absl::StatusOr<BuildOptions> BuildOptionsFromFlags(
    const GgufFile& file, absl::string_view architecture) {
  BuildOptions options;
  options.context = absl::GetFlag(FLAGS_context);
  WEFT_RETURN_IF_ERROR(CheckFlag("context", options.context, 0, kMaxContext));
  if (options.context == 0)
    options.context = DefaultContext(file, architecture);
  options.slots = absl::GetFlag(FLAGS_slots);
  WEFT_RETURN_IF_ERROR(CheckFlag("slots", options.slots, 1, 4096));
  options.max_tokens = absl::GetFlag(FLAGS_batch);
  WEFT_RETURN_IF_ERROR(CheckFlag("batch", options.max_tokens, 1, 1 << 16));
  options.max_tokens =
      std::min(options.max_tokens, options.context * options.slots);
  WEFT_ASSIGN_OR_RETURN(const KvTypes kv, ParseKv(absl::GetFlag(FLAGS_kv)));
  options.kv_k = kv.k;
  options.kv_v = kv.v;
  return options;
}

// "1.1 B", "15 M", "7055".
std::string CountText(int64_t n) {
  const auto x = static_cast<double>(n);
  if (x >= 1e9) return absl::StrFormat("%.4g B", x / 1e9);
  if (x >= 1e6) return absl::StrFormat("%.4g M", x / 1e6);
  return absl::StrCat(n);
}

// Of which the graph takes shapes and names alone.
absl::StatusOr<std::vector<LoraAdapter>> OpenAdapters(
    const std::vector<AdapterOptions>& lora, const GgufFile& file) {
  std::vector<LoraAdapter> adapters;
  for (const AdapterOptions& adapter : lora) {
    WEFT_ASSIGN_OR_RETURN(
        LoraAdapter opened,
        LoraAdapter::Open(adapter.path, file, {.header_only = true}));
    adapters.push_back(std::move(opened));
  }
  return adapters;
}

std::string BaseName(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

int64_t Parameters(const Graph& graph) {
  int64_t total = 0;
  for (const NodeId id : graph.order())
    if (graph.node(id).op->kind == OpKind::kWeight)
      total +=
          graph.value(graph.node(id).outputs[0]).type.shape.BoundElements();
  return total;
}

void AddFacts(const GgufFile& file, const Architecture& architecture,
              const BuildOptions& build, DumpedModel& model) {
  const auto name = file.GetString("general.name");
  model.dump.title =
      name.ok() && !name->empty() ? std::string(*name) : BaseName(model.path);
  model.dump.facts = {
      {"file", BaseName(model.path)},
      {"architecture", std::string(architecture.name)},
      {"parameters", CountText(Parameters(*model.graph))},
      {"numerics", model.numerics == Numerics::kFast ? "fast" : "exact"},
      {"context", absl::StrCat(build.context, " x ", build.slots,
                               build.slots == 1 ? " slot" : " slots")},
      {"KV cache",
       build.kv_k == build.kv_v
           ? std::string(Name(build.kv_k))
           : absl::StrCat(Name(build.kv_k), ", ", Name(build.kv_v))}};
}

// The graph before any pass.
absl::StatusOr<std::unique_ptr<Graph>> Build(const GgufFile& file,
                                             const BuildOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const Architecture* architecture,
                        FindArchitecture(file));
  return BuildModel(file, *architecture, options);
}

// Bytes of all that the model takes with another context.
absl::StatusOr<int64_t> BytesWith(const GgufFile& file, BuildOptions options,
                                  Numerics numerics, int64_t context) {
  options.context = context;
  options.max_tokens =
      std::min(absl::GetFlag(FLAGS_batch), context * options.slots);
  WEFT_ASSIGN_OR_RETURN(const auto graph, Build(file, options));
  WEFT_RETURN_IF_ERROR(
      Optimize(*graph, {.check_expectations = false, .numerics = numerics})
          .status());
  WEFT_ASSIGN_OR_RETURN(const auto backend,
                        MakeBackend("cpu", BackendFromFlags()));
  WEFT_ASSIGN_OR_RETURN(const BackendPlan plan, backend->Plan(*graph));
  return TotalBytes(plan);
}

absl::StatusOr<std::string> FitText(const DumpedModel& model,
                                    const std::string& memory) {
  WEFT_ASSIGN_OR_RETURN(const int64_t bytes, ParseBytes("memory", memory));
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        OpenModelFile(model.path, {.header_only = true}));
  WEFT_ASSIGN_OR_RETURN(const Architecture* architecture,
                        FindArchitecture(file));
  WEFT_ASSIGN_OR_RETURN(const BuildOptions build,
                        BuildOptionsFromFlags(file, architecture->name));
  constexpr int64_t kMost = 1 << 20;
  WEFT_ASSIGN_OR_RETURN(const int64_t context,
                        LargestContext(bytes, kMost, [&](int64_t n) {
                          return BytesWith(file, build, model.numerics, n);
                        }));
  if (context == 0)
    return absl::StrCat(memory, " is too little for any context\n");
  return absl::StrCat("largest context that fits ", memory, ": ",
                      context == kMost ? "at least " : "", context,
                      " positions in each of ", build.slots,
                      build.slots == 1 ? " slot\n" : " slots\n");
}

absl::StatusOr<Limits> MeasureLimits(const BackendOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const auto backend, MakeBackend("cpu", options));
  WEFT_ASSIGN_OR_RETURN(const auto probe,
                        backend->MakeProbe(ProbeBytes(1 << 30)));
  Limits limits;
  limits.bytes_per_second = probe->Read().bytes_per_second;
  SetPeaks(probe->Peaks(), limits);
  return limits;
}

// Weights that are run for a prediction: several times the last cache of any
// machine that we know, so that they come from memory as in a whole model.
constexpr int64_t kPredictBytes = int64_t{512} << 20;

// LoadDump(), which warns.
absl::StatusOr<DumpedModel> Load(const std::string& path, Numerics numerics,
                                 bool pack_weights,
                                 const std::vector<AdapterOptions>& lora,
                                 bool warns) {
  DumpedModel model;
  model.path = path;
  model.numerics = numerics;
  model.pack_weights = pack_weights;
  WEFT_ASSIGN_OR_RETURN(const GgufFile file,
                        OpenModelFile(path, {.header_only = true}));
  if (warns) ShowWarnings(file.warnings());
  WEFT_ASSIGN_OR_RETURN(const Architecture* architecture,
                        FindArchitecture(file));
  WEFT_ASSIGN_OR_RETURN(BuildOptions build,
                        BuildOptionsFromFlags(file, architecture->name));
  WEFT_ASSIGN_OR_RETURN(const std::vector<LoraAdapter> adapters,
                        OpenAdapters(lora, file));
  for (size_t i = 0; i < lora.size(); ++i)
    build.adapters.push_back({&adapters[i], lora[i].scale});
  WEFT_ASSIGN_OR_RETURN(model.graph, BuildModel(file, *architecture, build));
  DumpRecorder recorder;
  OptimizeOptions options;
  options.check_expectations = false;  // when all is shown
  options.numerics = numerics;
  options.pack_weights = pack_weights;
  if (pack_weights) {
    WEFT_ASSIGN_OR_RETURN(const auto backend,
                          MakeBackend("cpu", BackendFromFlags()));
    options.pack_halves = backend->PacksHalves();
  }
  options.observer = recorder.observer();
  WEFT_ASSIGN_OR_RETURN(model.report, Optimize(*model.graph, options));
  model.dump = recorder.Take();
  AddRules(*model.graph, model.report, model.dump);
  AddFacts(file, *architecture, build, model);
  return model;
}

// What weft-run would run, which packs weights where there is room.
absl::StatusOr<std::optional<DumpedModel>> PackedAsItRuns(
    const DumpedModel& model) {
  WEFT_ASSIGN_OR_RETURN(const PackWhen when, PackFromFlags());
  if (when != PackWhen::kIfThereIsRoom ||
      !HasRoomFor(TotalBytes(model.plans[0])))
    return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(DumpedModel packed,
                        Load(model.path, model.numerics, /*pack_weights=*/true,
                             AdaptersFromFlags(), /*warns=*/false));
  WEFT_RETURN_IF_ERROR(PlanDump(packed));
  return packed;
}

absl::StatusOr<std::string> SpeedText(const DumpedModel& as_dumped) {
  WEFT_ASSIGN_OR_RETURN(const std::optional<DumpedModel> packed,
                        PackedAsItRuns(as_dumped));
  const DumpedModel& model = packed.has_value() ? *packed : as_dumped;
  const BackendOptions options = BackendFromFlags();
  const std::vector<DumpSize> sizes = UsualSizes(*model.graph);
  WEFT_ASSIGN_OR_RETURN(
      const Prediction prediction,
      PredictSpeed(*model.graph, sizes, options, kPredictBytes));
  WEFT_ASSIGN_OR_RETURN(const Limits limits, MeasureLimits(options));
  std::string out = absl::StrFormat(
      "speed here, by %d of %d layers run with made-up weights, %s; at best: "
      "where\nmemory gives %.1f GB/s and arithmetic is at its peak\n",
      prediction.layers_run, prediction.layers,
      model.pack_weights ? "packed" : "not packed",
      limits.bytes_per_second / 1e9);
  std::vector<TableRow> rows = {
      {"tokens/s", "predicted", "at best", "of limit"}};
  for (size_t i = 0; i < sizes.size(); ++i) {
    const auto tokens =
        static_cast<double>(sizes[i].size.symbols.Of(Dim::Symbol("T", 1)));
    const double best =
        PredictSeconds(*model.graph, model.plans[0], sizes[i].size, limits);
    const int64_t position = sizes[i].size.first_position;
    rows.push_back({position == 0
                        ? sizes[i].name
                        : absl::StrCat(sizes[i].name, " at ", position),
                    absl::StrFormat("%.1f", tokens / prediction.seconds[i]),
                    absl::StrFormat("%.1f", tokens / best),
                    Percent(best / prediction.seconds[i])});
  }
  return out + TextTable(rows, 1);
}

}  // namespace

absl::StatusOr<DumpedModel> LoadDump(const std::string& path, Numerics numerics,
                                     bool pack_weights,
                                     const std::vector<AdapterOptions>& lora) {
  return Load(path, numerics, pack_weights, lora, /*warns=*/true);
}

absl::Status PlanDump(DumpedModel& model) {
  WEFT_ASSIGN_OR_RETURN(
      model.plans, PlanForTargets(*model.graph, "cpu", BackendFromFlags()));
  AddPlan(*model.graph, model.plans, UsualSizes(*model.graph), {}, model.dump);
  return absl::OkStatus();
}

absl::StatusOr<std::string> PlanText(DumpedModel& model,
                                     const std::string& memory, bool probe) {
  if (model.plans.empty()) WEFT_RETURN_IF_ERROR(PlanDump(model));
  std::vector<std::string> parts = {
      DescribePlan(*model.graph, model.plans[0]),
      absl::StrCat("kernels by target (", model.plans.size(), " here)\n",
                   KernelsByTarget(*model.graph, model.plans))};
  const std::string slow = SlowTensors(*model.graph, model.plans[0]);
  parts.push_back(slow.empty() ? "no tensor is slow here\n"
                               : absl::StrCat("slow here:\n", slow));
  if (!memory.empty()) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), FitText(model, memory));
  }
  if (probe) {
    WEFT_ASSIGN_OR_RETURN(parts.emplace_back(), SpeedText(model));
  }
  return absl::StrJoin(parts, "\n");
}

absl::StatusOr<std::string> ProfileModel(Numerics numerics, bool probe) {
  WEFT_ASSIGN_OR_RETURN(const auto model, LoadModel());
  WEFT_ASSIGN_OR_RETURN(
      const BuildOptions build,
      BuildOptionsFromFlags(model->file(), model->architecture().name));
  BenchOptions options;
  options.prompt = std::min(build.max_tokens, build.context);
  options.generate = std::min<int64_t>(16, build.context);
  options.reps = 3;
  options.profile = true;
  if (probe) options.probe_bytes = ProbeBytes(1 << 30);
  options.session.numerics = numerics;
  options.session.context = build.context;
  options.session.slots = static_cast<int>(build.slots);
  options.session.batch = build.max_tokens;
  options.session.kv_k = build.kv_k;
  options.session.kv_v = build.kv_v;
  const BackendOptions backend = BackendFromFlags();
  options.session.backend_options.target = backend.target;
  Progress progress("measuring");
  options.progress = [&progress](double share) { progress.Update(share); };
  WEFT_ASSIGN_OR_RETURN(const BenchRun run,
                        Measure(*model, backend.threads, options));
  progress.Clear();
  std::vector<std::string> parts;
  for (const BenchTest& test : run.tests)
    parts.push_back(absl::StrCat(
        ProfileTitle(absl::StrCat(test.name, " ", test.tokens), *test.profile),
        "\n\n", NodeTable(*test.profile, test.limits), "\n",
        KernelTable(*test.profile, test.limits), "\n",
        LayerTable(*test.profile, test.limits)));
  return absl::StrJoin(parts, "\n");
}

}  // namespace weft::inline v0
