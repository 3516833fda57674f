// Running graphs by the scalar references of their ops.
#include "graph/interpret.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/fused.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

using ::testing::ElementsAre;
using ::testing::Pointwise;
using ::testing::StartsWith;

const Dim T = Dim::Symbol("T", 4);

Where Line9() {
  Where at;
  at.file = "m.cc";
  at.line = 9;
  return at;
}

class InterpretTest : public ::testing::Test {
 protected:
  absl::StatusOr<Interpretation> Run(int64_t t) {
    return Interpret(
        graph_, {{"T", t}},
        [&](const Graph& graph,
            const Node& node) -> absl::StatusOr<HostTensor> {
          asked_.push_back(node.name);
          if (node.name == "missing") return absl::NotFoundError("no data");
          if (node.name == "ids")
            return HostTensor::FromInts({t}, std::vector<int32_t>(4, id_));
          const TensorType& type = graph.value(node.outputs[0]).type;
          HostTensor tensor(type.dtype, type.shape.Bind({{"T", t}}));
          for (int64_t i = 0; i < tensor.elements(); ++i)
            tensor.f32()[i] = static_cast<float>(i);
          return tensor;
        });
  }
  std::vector<float> Floats(const Interpretation& run, Value v) {
    return run.values[static_cast<size_t>(v.id())].ToFloats();
  }

  Graph graph_;
  Value x_ = graph_.Input("x", DType::kF32, {T, 2});
  int32_t id_ = 1;
  std::vector<std::string> asked_;
};

TEST_F(InterpretTest, SymbolsTakeTheStepsValues) {
  const Value y = Scale(x_, 10);
  for (const int64_t t : {1, 4}) {
    const auto run = Run(t);
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(Floats(*run, y).size(), static_cast<size_t>(2 * t));
    EXPECT_EQ(Floats(*run, y)[1], 10);
  }
}

TEST_F(InterpretTest, EachSourceIsAskedOnce) {
  const Value w = graph_.Weight("w", DType::kF32, {2});
  const Value twice = x_ * w + x_ * w;
  graph_.Output("y", twice);
  ASSERT_TRUE(Run(1).ok());
  EXPECT_THAT(asked_, ElementsAre("x", "w"));
}

TEST_F(InterpretTest, ConstantsNeedNoSource) {
  const Value c = graph_.Constant(HostTensor::FromFloats({2}, {5, 6}));
  const Value y = x_ + c;
  const auto run = Run(1);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(Floats(*run, y), ElementsAre(5, 7));
}

TEST_F(InterpretTest, ErrorsOfSourcesComeOut) {
  graph_.Input("missing", DType::kF32, {T});
  EXPECT_TRUE(absl::IsNotFound(Run(1).status()));
}

TEST_F(InterpretTest, ErrorsOfOpsNameTheNode) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  const Value table = graph_.Weight("table", DType::kF32, {3, 2});
  GatherRows(table, ids, Line9());
  EXPECT_TRUE(Run(2).ok());
  id_ = 3;
  const absl::Status status = Run(2).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  EXPECT_THAT(std::string(status.message()),
              StartsWith("m.cc:9: gather_rows(table f32[3,2], ids i32[T]): "));
}

TEST_F(InterpretTest, ErrorsInsideAFusedOpNameIt) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  QGather(graph_.Weight("w", DType::kF32, {3, 2}), ids, Line9());
  id_ = -1;
  const absl::Status status = Run(1).status();
  EXPECT_TRUE(absl::IsOutOfRange(status));
  EXPECT_THAT(std::string(status.message()), StartsWith("m.cc:9: qgather(w "));
}

TEST_F(InterpretTest, WritersKeepWhatTheyDoNotWrite) {
  const Value ids = graph_.Input("ids", DType::kI32, {T});
  const Value state = graph_.State("s", DType::kF32, {2, 3, 2});
  const Value written = Append(state, x_, {ids, ids});
  const auto run = Run(1);
  ASSERT_TRUE(run.ok()) << run.status();
  // Slot 1, position 1 now holds 0, 1.
  EXPECT_THAT(Floats(*run, written),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11));
}

TEST_F(InterpretTest, FusedOpsOfSeveralResultsGiveAll) {
  const Value w = graph_.Weight("w", DType::kF32, {2});
  const Values both = AddRmsNorm(x_, x_, w, 1e-5);
  const Value sum = x_ + x_;
  const Value normed = RmsNorm(sum, 1e-5) * w;
  const auto run = Run(3);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(Floats(*run, both[0]), Floats(*run, sum));
  EXPECT_THAT(Floats(*run, both[1]),
              Pointwise(::testing::FloatEq(), Floats(*run, normed)));
}

TEST_F(InterpretTest, OpsWithoutAReferenceSaySo) {
  static const OpDef kSilent = {
      .name = "silent",
      .doc = "Has a shape and nothing else.",
      .infer = [](const Call& call) -> absl::StatusOr<TensorTypes> {
        return TensorTypes{call.in[0]};
      }};
  graph_.Emit(kSilent, {x_}, {}, Line9());
  const absl::Status status = Run(1).status();
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_EQ(status.message(),
            "m.cc:9: silent(x f32[T,2]): silent has neither a reference nor an "
            "expansion");
}

}  // namespace
}  // namespace weft::inline v0
