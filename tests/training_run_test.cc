// Training on the CPU backend: the same bits for any number of threads and
// after a resume.
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/optimize.h"
#include "ops/optimizer.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kPixels = 64, kHidden = 24, kDigits = 10, kBatch = 50;

struct Batch {
  std::vector<float> pixels;
  std::vector<int32_t> digits;
};

// What is drawn does not matter here; tests/examples/train_digits.cc learns.
Batch Draw(std::mt19937_64& random) {
  Batch b;
  for (int64_t i = 0; i < kBatch * kPixels; ++i)
    b.pixels.push_back(static_cast<float>(random() % 2));
  for (int64_t i = 0; i < kBatch; ++i)
    b.digits.push_back(static_cast<int32_t>(random() % kDigits));
  return b;
}

std::shared_ptr<Graph> Network() {
  auto g = std::make_shared<Graph>();
  const Value x = g->Input("pixels", DType::kF32, {kBatch, kPixels});
  const Value digits = g->Input("digits", DType::kI32, {kBatch});
  const Parameter w1 = MakeParameter(*g, "hidden.weight", {kHidden, kPixels});
  const Parameter b1 = MakeParameter(*g, "hidden.bias", {kHidden});
  const Parameter w2 = MakeParameter(*g, "output.weight", {kDigits, kHidden});
  const Parameter b2 = MakeParameter(*g, "output.bias", {kDigits});
  const Value h = Relu(Linear(x, w1.value) + b1.value);
  const Value scores = Linear(h, w2.value) + b2.value;
  const Value loss = CrossEntropy(scores, digits);
  g->Output("loss", loss);
  AdamWOptions two_runs;
  two_runs.accumulate = 2;
  const absl::Status added = AddAdamW(loss, {w1, b1, w2, b2}, two_runs);
  EXPECT_TRUE(added.ok()) << added;
  const absl::StatusOr<FusionReport> report = Optimize(*g);
  EXPECT_TRUE(report.ok()) << report.status();
  return g;
}

class Trained {
 public:
  explicit Trained(int threads) {
    BackendOptions options;
    options.threads = threads;
    const auto backend = MakeBackend("cpu", options);
    auto made = (*backend)->Compile(
        Network(),
        [](const Node&) -> absl::StatusOr<absl::Span<const std::byte>> {
          return absl::NotFoundError("no weights");
        });
    EXPECT_TRUE(made.ok()) << made.status();
    if (made.ok()) executable_ = *std::move(made);
    for (const PlannedStep& step : executable_->plan().steps)
      EXPECT_FALSE(step.on_reference) << step.kernel;
  }

  // Small random weights; the optimiser's states are zero.
  void Begin(uint64_t seed) {
    std::vector<std::byte> states = Save();
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal(0, 0.2f);
    size_t at = 0;
    // In the order of the graph; see Executable::SlotBytes.
    for (const auto& [name, bytes] : States()) {
      if (name == "hidden.weight" || name == "output.weight")
        for (size_t i = 0; i < bytes; i += sizeof(float)) {
          const float value = normal(random);
          std::memcpy(states.data() + at + i, &value, sizeof(value));
        }
      at += bytes;
    }
    Load(states);
  }

  float Step(const Batch& batch, float rate, bool apply) {
    Fill("pixels", batch.pixels);
    Fill("digits", batch.digits);
    Fill("learning_rate", std::vector<float>{rate});
    Fill("apply", std::vector<float>{apply ? 1.0f : 0.0f});
    const absl::Status ran = executable_->Run({});
    EXPECT_TRUE(ran.ok()) << ran;
    return Read("loss")[0];
  }

  std::vector<std::byte> Save() {
    std::vector<std::byte> out(static_cast<size_t>(executable_->SlotBytes(0)));
    executable_->SaveSlot(0, 0, absl::MakeSpan(out));
    return out;
  }
  void Load(const std::vector<std::byte>& in) {
    executable_->LoadSlot(0, 0, in);
  }

 private:
  std::vector<std::pair<std::string, size_t>> States() const {
    std::vector<std::pair<std::string, size_t>> states;
    const auto g = Network();
    for (const NodeId id : g->order())
      if (g->node(id).op->kind == OpKind::kState)
        states.emplace_back(g->node(id).name,
                            g->value(g->node(id).outputs[0]).type.BoundBytes());
    return states;
  }
  template <class T>
  void Fill(absl::string_view name, const std::vector<T>& values) {
    const auto bytes = executable_->Input(name);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    ASSERT_EQ(bytes->size(), values.size() * sizeof(T));
    std::memcpy(bytes->data(), values.data(), bytes->size());
  }
  absl::Span<const float> Read(absl::string_view name) {
    const auto bytes = executable_->Output(name);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return {reinterpret_cast<const float*>(bytes->data()),
            bytes->size() / sizeof(float)};
  }

  std::unique_ptr<Executable> executable_;
};

constexpr RateSchedule kSchedule = {
    .peak = 0.02, .low = 0.001, .warm_up = 10, .steps = 300};

// Steps of two runs each; the resume is between the two.
TEST(TrainingRun, ThreadsAndResumesDoNotChangeABit) {
  Trained one(1), three(3), resumed(1);
  for (Trained* t : {&one, &three}) t->Begin(1);
  std::mt19937_64 random(2);
  for (int64_t i = 0; i < 20; ++i) {
    const Batch batch = Draw(random);
    const float rate = static_cast<float>(RateAt(kSchedule, i));
    if (i == 11) resumed.Load(one.Save());
    const float loss = one.Step(batch, rate, i % 2 == 1);
    EXPECT_EQ(three.Step(batch, rate, i % 2 == 1), loss) << i;
    if (i >= 11) {
      EXPECT_EQ(resumed.Step(batch, rate, i % 2 == 1), loss) << i;
    }
  }
  EXPECT_EQ(one.Save(), three.Save());
  EXPECT_EQ(one.Save(), resumed.Save());
}

}  // namespace
}  // namespace weft::inline v0
