// weft-diff names faults that are planted in kernels, rules and plans.
#include "tools/diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "backends/cpu/cpu_backend.h"
#include "gmock/gmock.h"
#include "graph/interpret.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/ops.h"
#include "ops/rules/rules.h"
#include "tests/llama_graph.h"
#include "tests/sample_data.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"
#include "tools/stored_product.h"

namespace weft::inline v0 {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kSeed = 20260131;

DiffStep StepAt(std::vector<int32_t> tokens, int32_t position) {
  const auto n = static_cast<int64_t>(tokens.size());
  std::vector<int32_t> pos;
  for (int64_t i = 0; i < n; ++i)
    pos.push_back(position + static_cast<int32_t>(i));
  const std::vector<int32_t> slot(tokens.size(), 1);
  const std::vector<int32_t> rows = {static_cast<int32_t>(n - 1)};
  DiffStep step;
  step.symbols = {{"T", n}, {"R", 1}};
  step.inputs["tokens"] = HostTensor::FromInts({n}, tokens);
  step.inputs["pos"] = HostTensor::FromInts({n}, pos);
  step.inputs["slot"] = HostTensor::FromInts({n}, slot);
  step.inputs["out_rows"] = HostTensor::FromInts({1}, rows);
  return step;
}

// The llama of the tests, with random weights: a prompt, then a token.
DiffSubject Llama() {
  using Weights = std::map<std::string, HostTensor>;
  const auto weights = std::make_shared<Weights>();
  DiffSubject subject;
  subject.build = [weights]() -> absl::StatusOr<std::unique_ptr<Graph>> {
    auto graph = std::make_unique<Graph>();
    BuildLlamaGraph(*graph, {.context = 8, .tokens = 5});
    for (const NodeId id : graph->order()) {
      const Node& node = graph->node(id);
      if (node.op->kind != OpKind::kWeight || weights->contains(node.name))
        continue;
      const TensorType& type = graph->value(node.outputs[0]).type;
      HostTensor tensor(type.dtype, type.shape.Bind({}));
      FillRandom(tensor, kSeed + weights->size());
      weights->emplace(node.name, std::move(tensor));
    }
    return graph;
  };
  subject.weights = [weights](const Node& node) {
    return absl::StatusOr<absl::Span<const std::byte>>(
        weights->at(node.name).bytes);
  };
  subject.steps = {StepAt({3, 14, 15, 92, 65}, 0), StepAt({35}, 5)};
  return subject;
}

// A kernel that runs another one with something changed in the call.
using Run = void (*)(const cpu::KernelArgs&, int64_t, int64_t);
template <int kFault>
struct Fault {
  static inline Run original = nullptr;
  static inline std::function<void(cpu::KernelParams&)> change;
  static void Changed(const cpu::KernelArgs& args, int64_t begin, int64_t end) {
    cpu::KernelParams params = *args.params;
    change(params);
    cpu::KernelArgs other = args;
    other.params = &params;
    original(other, begin, end);
  }
  // Leaves the last task out.
  static void Short(const cpu::KernelArgs& args, int64_t begin, int64_t end) {
    if (end - begin > 1) original(args, begin, end - 1);
  }
};

// Of `op` where others have kernels of the same name.
template <int kFault>
CpuHooks Kernel(absl::string_view name,
                std::function<void(cpu::KernelParams&)> change,
                absl::string_view op = "") {
  CpuHooks hooks;
  hooks.kernels = [=](cpu::KernelList& list) {
    for (cpu::Kernel& kernel : list) {
      if (kernel.name != name || (!op.empty() && kernel.op->name != op))
        continue;
      using F = Fault<kFault>;
      F::change = change;
      F::original = std::exchange(kernel.run, change ? F::Changed : F::Short);
      return;
    }
  };
  return hooks;
}

// What is found in the llama with these; `only`: hooks of one target.
DiffReport Found(const CpuHooks& hooks, const std::string& only = "",
                 std::optional<std::vector<Rule>> rules = {},
                 Numerics numerics = Numerics::kExact) {
  DiffOptions options;
  options.numerics = numerics;
  options.fusion_rules = std::move(rules);
  options.make_cpu = [&](const BackendOptions& where) {
    return MakeHookedCpuBackend(
        where, only.empty() || where.target == only ? hooks : CpuHooks());
  };
  // Two are enough to tell one from the other.
  options.targets = MakeBackend("cpu").value()->Targets();
  if (options.targets.size() > 2)
    options.targets = {options.targets.front(), options.targets.back()};
  const auto report = FindDivergences(Llama(), options);
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : DiffReport();
}

// With the faulty rule before the library's.
std::vector<Rule> With(Rule rule) {
  std::vector<Rule> rules = FusionRules();
  rules.insert(rules.begin(), std::move(rule));
  return rules;
}

// That one fault is found, in every run that it must show in, and named.
void ExpectKernel(const DiffReport& report, absl::string_view op,
                  absl::string_view rule, absl::string_view kernel = "") {
  SCOPED_TRACE(DiffReportText(report));
  ASSERT_THAT(report.divergences, Not(IsEmpty()));
  for (const Divergence& d : report.divergences) {
    EXPECT_EQ(d.kind, Divergence::Kind::kKernel);
    EXPECT_THAT(d.node, HasSubstr(absl::StrCat(": ", op, "(")));
    EXPECT_THAT(d.kernel, HasSubstr(kernel.empty() ? op : kernel));
    if (rule.empty()) {
      EXPECT_EQ(d.culprit, "");
    } else {
      EXPECT_THAT(d.culprit, HasSubstr(absl::StrCat("rule ", rule, " at %")));
      // The kernel runs other nodes too, after the first one.
      EXPECT_THAT(d.without, Not(IsEmpty()));
    }
  }
}

void ExpectRule(const DiffReport& report, absl::string_view rule,
                absl::string_view pass) {
  SCOPED_TRACE(DiffReportText(report));
  ASSERT_EQ(report.divergences.size(), 1u);
  const Divergence& d = report.divergences[0];
  EXPECT_EQ(d.kind, Divergence::Kind::kPass);
  EXPECT_THAT(d.cause, HasSubstr(pass));
  EXPECT_THAT(d.culprit, HasSubstr(absl::StrCat("rule ", rule, " at %")));
  EXPECT_THAT(d.culprit, HasSubstr("llama_graph.cc:"));
  EXPECT_THAT(d.without, Not(IsEmpty()));
}

TEST(WeftDiff, AgreesWhereNothingIsWrong) {
  for (const Numerics numerics : {Numerics::kExact, Numerics::kFast}) {
    const DiffReport report = Found({}, "", {}, numerics);
    EXPECT_THAT(report.divergences, IsEmpty()) << DiffReportText(report);
    // As built, cse, fuse, and what kernels ran.
    EXPECT_GT(report.runs.size(), 6u);
    for (const DiffRun& run : report.runs)
      EXPECT_TRUE(run.against.empty() || run.values > 30) << run.name;
  }
}

TEST(WeftDiff, WrongEpsilonOnOneTarget) {
  const std::string target = MakeBackend("cpu").value()->Targets().front();
  const DiffReport report =
      Found(Kernel<1>("rms_norm_mul", [](auto& p) { p.eps = 0.01f; }), target);
  ExpectKernel(report, "rms_norm_mul", "rms_norm_mul");
  // Fused, and packed: the unfused graph has no such op.
  ASSERT_EQ(report.divergences.size(), 2u);
  EXPECT_EQ(report.divergences[0].run, absl::StrCat("fused, ", target));
}

TEST(WeftDiff, WrongScaleOfAttention) {
  ExpectKernel(Found(Kernel<2>("attention", [](auto& p) { p.scale *= 1.1f; })),
               "attention", "attention");
}

TEST(WeftDiff, WrongRopePairing) {
  const DiffReport report =
      Found(Kernel<3>("rotate", [](auto& p) { p.adjacent = !p.adjacent; }));
  ExpectKernel(report, "rotate", "");
  // All but those on the references: as built, merged, fused, packed.
  EXPECT_EQ(report.divergences.size(), report.runs.size() - 4);
}

TEST(WeftDiff, WrongActivation) {
  const auto Change = [](auto& p) { p.activation = cpu::Activation::kGelu; };
  ExpectKernel(Found(Kernel<4>("qmatmul.q8_0", Change, "gated_qmatmul")),
               "gated_qmatmul", "gated_matmul", "qmatmul.q8_0");
}

TEST(WeftDiff, RowsLeftOutByAProduct) {
  const DiffReport report =
      Found(Kernel<5>("qmatmul.q8_a32.q8_0", nullptr), "", {}, Numerics::kFast);
  ExpectKernel(report, "qmatmul", "quantize_activations");
  EXPECT_THAT(report.divergences[0].run, HasSubstr("fast, "));
}

TEST(WeftDiff, RowsLeftOutOfTheCache) {
  const DiffReport report = Found(Kernel<6>("append.f16", nullptr));
  ExpectKernel(report, "append", "");
}

// silu(gate) * up with the two exchanged.
TEST(WeftDiff, SwappedOperandInARule) {
  ExpectRule(Found({}, "",
                   With(Rule("swapped")
                            .Match([](Any a, Any b) { return Silu(a) * b; })
                            .Anchor(kSilu)
                            .Emit([](Value a, Value b) {
                              return Gated(b, a, "silu");
                            }))),
             "swapped", "fuse");
}

// One of four, so that halving has something to do.
TEST(WeftDiff, MissingMaskInARule) {
  ExpectRule(
      Found({}, "",
            With(Rule("unmasked")
                     .Classify(kMask,
                               [](Value mask, Classification& c) {
                                 const Node& node =
                                     mask.graph()->producer(mask.id());
                                 const Value scores(mask.graph(),
                                                    node.inputs[0]);
                                 c.root = mask;
                                 c.emit = [scores] { return Scale(scores, 1); };
                                 return node.id > mask.graph()->num_nodes() / 2;
                               }))),
      "unmasked", "fuse");
}

// Both results are f32[T, 64].
TEST(WeftDiff, ResultsInTheWrongOrder) {
  std::vector<Rule> rules = FusionRules();
  std::replace_if(
      rules.begin(), rules.end(),
      [](const Rule& rule) { return rule.name() == "add_rms_norm"; },
      Rule("add_rms_norm")
          .Match([](Any a, Any b, Any w, AnyFloat eps) {
            const Value sum = a + b;
            return Values{RmsNormMul(sum, w, eps), sum};
          })
          .Emit([](Value a, Value b, Value w, double eps) {
            return AddRmsNorm(a, b, w, eps);
          }));
  ExpectRule(Found({}, "", std::move(rules)), "add_rms_norm", "fuse");
}

TEST(WeftDiff, WrongNumberInARule) {
  ExpectRule(Found({}, "",
                   With(Rule("rounded")
                            .Match([](Any x, Any w, AnyFloat eps) {
                              return RmsNorm(x, eps) * w;
                            })
                            .Anchor(kRmsNorm)
                            .Emit([](Value x, Value w, double eps) {
                              return RmsNormMul(x, w, eps * 1000);
                            }))),
             "rounded", "fuse");
}

// A buffer that is written while another's content is still to be read there.
TEST(WeftDiff, OverlappingBuffers) {
  CpuHooks hooks;
  hooks.plan = [](const Graph&, Plan& plan) {
    // The first that lives on beyond the step after its own.
    for (Placement& kept : plan.values)
      for (Placement& other : plan.values)
        if (kept.storage == Storage::kArena && kept.first >= 0 &&
            other.storage == Storage::kArena && other.first > kept.first &&
            other.first < kept.last && other.bytes <= kept.bytes) {
          other.offset = kept.offset;
          return;
        }
  };
  const DiffReport report = Found(hooks);
  SCOPED_TRACE(DiffReportText(report));
  ASSERT_THAT(report.divergences, Not(IsEmpty()));
  for (const Divergence& d : report.divergences) {
    EXPECT_EQ(d.kind, Divergence::Kind::kPlan);
    EXPECT_THAT(d.cause, AllOf(HasSubstr("the memory of %"),
                               HasSubstr("the plan gives bytes ")));
  }
}

// Rows of a weight at a time, on two threads, as the whole at once.
TEST(StoredProduct, InPartsIsTheWhole) {
  constexpr int64_t kRows = 1100, kColumns = 512;  // the last part is shorter
  Graph graph;
  const Value x = graph.Input("x", DType::kF32, {3, kColumns});
  const Value w = graph.Weight("w", DType::kQ8_0, {kRows, kColumns});
  const Value bias = graph.Weight("bias", DType::kF32, {kRows});
  const Value fused = QMatMul(x, w, bias, "gelu_tanh");
  const Value product = MatMul(x, Transpose(Dequant(w)));
  const Value up = graph.Weight("up", DType::kQ8_0, {kRows, kColumns});
  const Value gated = GatedQMatMul(x, w, up, "silu");
  const Value blocks = GatedQMatMul(x, w, up, "silu", 32);
  graph.Output("fused", fused);
  graph.Output("product", product);
  graph.Output("gated", gated);
  graph.Output("blocks", Dequant(blocks));
  ASSERT_TRUE(graph.Finish().ok()) << graph.status();
  uint64_t seed = kSeed;
  const auto run =
      Interpret(graph, {},
                [&](const Graph&, const Node& n) -> absl::StatusOr<HostTensor> {
                  const TensorType& type = graph.value(n.outputs[0]).type;
                  HostTensor tensor(type.dtype, type.shape.Bind({}));
                  FillRandom(tensor, ++seed);
                  return tensor;
                });
  ASSERT_TRUE(run.ok()) << run.status();
  const auto value = [&](Value v) -> const HostTensor& {
    return run->values[static_cast<size_t>(v.id())];
  };
  for (const Value y : {fused, product, gated, blocks}) {
    const auto found = FindStoredProduct(graph, graph.producer(y.id()));
    ASSERT_TRUE(found.has_value());
    const auto got = RunStoredProduct(
        graph, *found, value(x), y.id() == fused.id() ? &value(bias) : nullptr,
        {value(w).bytes, value(up).bytes}, {}, 2);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->bytes, value(y).bytes);
  }
}

TEST(WeftDiff, RunsAModelFile) {
  // Scalar references of a whole model take minutes there.
  if (sizeof(WEFT_EMULATOR) > 1) GTEST_SKIP() << "under an emulator";
  const ToolResult result =
      RunTool("weft-diff", {"--model=" + TinyLlamaPath(), "--random=4"});
  ExpectSuccess(result);
  for (const char* part : {"after fuse, reference", "unfused, ", "fused, ",
                           "fast, ", "worst NMSE", "agrees"})
    EXPECT_THAT(result.out, HasSubstr(part));
  EXPECT_THAT(result.out, Not(HasSubstr("DIVERGES")));
  ExpectFailure(
      RunTool("weft-diff", {"--model=" + TinyLlamaPath(), "--targets=MMX"}),
      "weft-diff", "MMX");
  ExpectFailure(RunTool("weft-diff", {"--model=/nowhere/m.gguf"}), "weft-diff",
                "/nowhere/m.gguf");
}

}  // namespace
}  // namespace weft::inline v0
