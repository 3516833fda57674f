// Every op x sample x instruction set against the scalar reference: through
// the backend as models run them, and kernel by kernel with guarded memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "backends/backend.h"
#include "backends/cpu/target_names.h"
#include "ops/ops.h"
#include "tests/kernel_harness.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

struct Case {
  const OpDef* op;
  Sample sample;
  std::string target;
};

// What a failure is listed with.
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.op->name << " " << c.sample.name << " on " << c.target;
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const OpDef* op : AllOps())
    if (op->samples != nullptr)
      for (const Sample& sample : op->samples())
        for (const std::string& target : cpu::RunnableTargets())
          cases.push_back({op, sample, target});
  return cases;
}

// "qmatmul_q8_0_33_AVX2".
std::string NameOf(const ::testing::TestParamInfo<Case>& info) {
  std::string name = absl::StrCat(
      info.param.op->name, "_", info.param.sample.name, "_", info.param.target);
  for (char& c : name)
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

// Another seed: --gtest_random_seed=N.
uint64_t Seed() {
  return 1 + static_cast<uint64_t>(GTEST_FLAG_GET(random_seed));
}

// A sample's graph with outputs "y0", "y1", ... States lie in memory as the
// backend likes, so they are read through an op.
struct Built {
  SampleGraph sample;
  std::vector<DType> types;  // of the outputs, before they are made floats

  explicit Built(const Sample& s) {
    for (Value y : s.build(sample)) {
      const bool state = sample.graph().producer(y.id()).op->writes_state;
      const std::string name = absl::StrCat("y", types.size());
      types.push_back(y.dtype());
      if (y.dtype() != DType::kF32 && y.dtype() != DType::kI32)
        y = Dequant(y);
      else if (state)
        y = Scale(y, 1);
      sample.graph().Output(name, y);
    }
  }
  const Graph& graph() { return sample.graph(); }
};

std::shared_ptr<Built> Build(const Sample& sample) {
  auto built = std::make_shared<Built>(sample);
  const absl::Status status = built->sample.graph().Finish();
  EXPECT_TRUE(status.ok()) << status;
  return status.ok() ? built : nullptr;
}

// Every symbol at `n`, or at its bound where that is less.
SymbolValues AllSymbols(const Graph& graph, int64_t n) {
  SymbolValues values;
  for (const Dim& dim : graph.Symbols())
    values.Set(dim.name(), std::min(n, dim.bound()));
  return values;
}

constexpr int64_t kBound = INT64_MAX;

std::unique_ptr<Executable> Compile(absl::string_view backend,
                                    const BackendOptions& options,
                                    const std::shared_ptr<Built>& built,
                                    const SampleData& data) {
  auto made = MakeBackend(backend, options);
  EXPECT_TRUE(made.ok()) << made.status();
  if (!made.ok()) return nullptr;
  auto executable = (*made)->Compile(
      std::shared_ptr<const Graph>(built, &built->graph()), data.weights());
  EXPECT_TRUE(executable.ok()) << executable.status();
  return executable.ok() ? *std::move(executable) : nullptr;
}

// One step; the outputs with their dims.
std::vector<HostTensor> RunStep(Executable& executable, Built& built,
                                const SampleData& data,
                                const SymbolValues& symbols) {
  EXPECT_TRUE(data.SetInputs(executable).ok());
  const absl::Status status = executable.Run(symbols);
  EXPECT_TRUE(status.ok()) << status;
  std::vector<HostTensor> outputs;
  for (const Graph::NamedValue& out : built.graph().outputs()) {
    const TensorType& type = built.graph().value(out.value).type;
    HostTensor tensor(type.dtype, type.shape.Bind(symbols));
    const auto bytes = executable.Output(out.name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    if (bytes.ok())
      std::copy_n(bytes->data(), tensor.bytes.size(), tensor.bytes.data());
    outputs.push_back(std::move(tensor));
  }
  return outputs;
}

class SampleTest : public ::testing::TestWithParam<Case> {};

// No step may fall back on the reference.
void ExpectKernels(const Graph& graph, const BackendPlan& plan) {
  for (const PlannedStep& step : plan.steps)
    EXPECT_FALSE(step.on_reference) << graph.Describe(graph.node(step.node));
}

// Steps of these sizes follow each other; the first one gives states their
// content.
constexpr int64_t kSizes[] = {kBound, kBound - 1, 1, 2};

// A sample's graph and data, and what the reference gives at each of kSizes.
// Kept for the other instruction sets, whose cases follow: random numbers and
// the reference take longer than the kernels.
struct Prepared {
  std::string key;
  std::shared_ptr<Built> built;
  std::unique_ptr<SampleData> first, others;
  std::vector<std::vector<HostTensor>> wanted;

  const SampleData& DataFor(int64_t size) const {
    return size == kBound ? *first : *others;
  }
};

// Null where it cannot be made; the test has failed then.
const Prepared* Prepare(const Case& c, uint64_t seed) {
  static auto& kept = *new Prepared();
  std::string key = absl::StrCat(c.op->name, " ", c.sample.name, " ", seed);
  if (kept.key == key) return &kept;
  kept = {};
  kept.built = Build(c.sample);
  if (kept.built == nullptr) return nullptr;
  kept.first = std::make_unique<SampleData>(kept.built->sample, seed + 1,
                                            /*from_zero=*/true);
  kept.others = std::make_unique<SampleData>(kept.built->sample, seed);
  const auto reference = Compile("reference", {}, kept.built, *kept.others);
  if (reference == nullptr) return nullptr;
  for (const int64_t n : kSizes)
    kept.wanted.push_back(RunStep(*reference, *kept.built, kept.DataFor(n),
                                  AllSymbols(kept.built->graph(), n)));
  kept.key = std::move(key);
  return &kept;
}

TEST_P(SampleTest, BackendMatchesReference) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  const Prepared* const p = Prepare(GetParam(), seed);
  ASSERT_NE(p, nullptr);
  const auto one = Compile("cpu", {.threads = 1, .target = GetParam().target},
                           p->built, *p->others);
  const auto three = Compile("cpu", {.threads = 3, .target = GetParam().target},
                             p->built, *p->others);
  ASSERT_TRUE(one && three);
  EXPECT_EQ(one->plan().target, GetParam().target);
  ExpectKernels(p->built->graph(), one->plan());
  for (size_t step = 0; step < std::size(kSizes); ++step) {
    const int64_t n = kSizes[step];
    const auto& want = p->wanted[step];
    const SymbolValues symbols = AllSymbols(p->built->graph(), n);
    const auto got = RunStep(*one, *p->built, p->DataFor(n), symbols);
    const auto same = RunStep(*three, *p->built, p->DataFor(n), symbols);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(Difference(got[i], want[i], GetParam().op->tolerance,
                           p->built->types[i]),
                "")
          << "output " << i << " with symbols at " << n;
      EXPECT_EQ(got[i].bytes, same[i].bytes)
          << "output " << i << " with 1 and 3 threads, symbols at " << n;
    }
  }
}

// ---- Tokens ----

// Whether symbols lead in all inputs and outputs: then tokens stand for
// themselves, and their results may not depend on how many others there are.
bool TokensLead(const Graph& graph) {
  bool any = false;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind == OpKind::kState) return false;
    const bool output =
        std::any_of(node.outputs.begin(), node.outputs.end(),
                    [&](ValueId v) { return graph.IsOutput(v); });
    if (node.op->kind != OpKind::kInput && !output) continue;
    const Shape& shape = graph.value(node.outputs[0]).type.shape;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (axis > 0 && shape.dim(axis).is_symbol()) return false;
      any = any || shape.dim(axis).is_symbol();
    }
  }
  return any;
}

std::vector<Case> CasesOfTokens() {
  std::vector<Case> cases;
  for (const Case& c : AllCases())
    if (TokensLead(Built(c.sample).graph())) cases.push_back(c);
  return cases;
}

class TokensTest : public ::testing::TestWithParam<Case> {};

TEST_P(TokensTest, ResultsDoNotDependOnOtherTokens) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  const auto built = Build(GetParam().sample);
  ASSERT_NE(built, nullptr);
  const SampleData data(built->sample, seed);
  const auto executable =
      Compile("cpu", {.threads = 1, .target = GetParam().target}, built, data);
  ASSERT_TRUE(executable);
  const auto all =
      RunStep(*executable, *built, data, AllSymbols(built->graph(), kBound));
  for (const int64_t n : {1, 2, 3}) {
    const auto some =
        RunStep(*executable, *built, data, AllSymbols(built->graph(), n));
    for (size_t i = 0; i < some.size(); ++i) {
      const auto& bytes = some[i].bytes;
      EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), all[i].bytes.begin()))
          << "output " << i << " for " << n << " tokens";
    }
  }
}

TEST_P(SampleTest, KernelsMatchReference) {
  CheckKernels(GetParam().sample, {GetParam().target}, Seed());
}

INSTANTIATE_TEST_SUITE_P(Kernels, SampleTest, ::testing::ValuesIn(AllCases()),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Kernels, TokensTest,
                         ::testing::ValuesIn(CasesOfTokens()), NameOf);

}  // namespace
}  // namespace weft::inline v0
