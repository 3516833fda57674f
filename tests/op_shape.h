// The fixture of tests of shape rules.
#ifndef WEFT_TESTS_OP_SHAPE_H_
#define WEFT_TESTS_OP_SHAPE_H_

#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "ops/gradient.h"
#include "ops/gradient_ops.h"
#include "ops/ops.h"
#include "ops/optimizer.h"

namespace weft::inline v0 {

// Line 42 of a model.
inline Where Line42() {
  Where at;
  at.file = "model.cc";
  at.line = 42;
  return at;
}
inline const Where kAt = Line42();
inline const Dim T = Dim::Symbol("T", 8);
// Not `{}` at each use: g++ 12 warns of the storage of an empty temporary.
inline const Shape kScalar;

class OpShape : public ::testing::Test {
 protected:
  Value In(absl::string_view name, DType dtype, Shape shape) {
    return graph_.Input(name, dtype, std::move(shape));
  }
  Value F32(absl::string_view name, Shape shape) {
    return In(name, DType::kF32, std::move(shape));
  }
  Value I32(absl::string_view name, Shape shape) {
    return In(name, DType::kI32, std::move(shape));
  }
  std::string TypeOf(Value v) {
    EXPECT_TRUE(graph_.status().ok()) << graph_.status();
    return v.type().ToString();
  }
  // That the graph's error is `text` at line 42, and that the op named there
  // documents the constraint.
  void ExpectError(absl::string_view text) {
    EXPECT_EQ(graph_.status().message(), absl::StrCat("model.cc:42: ", text));
    EXPECT_TRUE(absl::IsInvalidArgument(graph_.status()));
    const OpDef* op = FindOp(text.substr(0, text.find('(')));
    if (op == nullptr) return;  // a composite
    const size_t id = text.find("): C");
    ASSERT_NE(id, absl::string_view::npos);
    EXPECT_TRUE(
        absl::StrContains(op->doc, absl::StrCat("\n", text.substr(id + 3, 4))))
        << op->doc;
  }

  Graph graph_;
};

// "rms_norm" -> "RmsNorm", as in the names of tests; ops that share a shape
// rule share its tests.
inline std::string TestName(const OpDef& op) {
  if (&op == &kAdd || &op == &kSub || &op == &kMul || &op == &kDiv)
    return "Binary";
  if (&op == &kRmsNorm || &op == &kLayerNorm) return "Norm";
  if (&op == &kExp || &op == &kSqrt || FindActivation(op.name) != nullptr)
    return "Unary";
  if (&op == &kMatMul) return "MatMul";
  std::string name;
  for (const absl::string_view word : absl::StrSplit(op.name, '_'))
    absl::StrAppend(&name, std::string(1, absl::ascii_toupper(word[0])),
                    word.substr(1));
  return name;
}

// That this program has a test Op_Cn_... of each constraint in the op's doc.
inline void ExpectCovered(const OpDef& op) {
  std::set<std::string> covered;  // "MatMul_C2"
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(s);
    for (int i = 0; i < suite.total_test_count(); ++i) {
      const std::string name = suite.GetTestInfo(i)->name();
      covered.insert(name.substr(0, name.find('_', name.find('_') + 1)));
    }
  }
  for (const absl::string_view line : absl::StrSplit(op.doc, '\n')) {
    if (line.size() < 3 || line[0] != 'C' || line[2] != ':') continue;
    const std::string name = absl::StrCat(TestName(op), "_", line.substr(0, 2));
    EXPECT_TRUE(covered.count(name)) << op.name << ": no test of " << line;
  }
}

// The ops of training, tested in op_shape_gradient_test.cc.
inline bool IsOfTraining(const OpDef& op) {
  return &op == &kActivationGradient || &op == &kNormGradient ||
         &op == &kSoftmaxGradient || &op == &kScatterRows || &op == &kPad ||
         &op == &kSumTo || &op == &kCrossEntropy ||
         &op == &kCrossEntropyGradient || &op == &kAssign ||
         &op == &kCheckpoint || &op == &kAfter || &op == &kRouteGradient ||
         &op == &kOuterById || &op == &kAdamW ||
         &op == &kCausalConvGradient || &op == &kSelectiveScanGradient;
}

// The ops that move data, tested in move_shape_test.cc; the rest are in
// op_shape_test.cc.
inline bool MovesData(const OpDef& op) {
  if (IsOfTraining(op)) return false;
  return op.view != ViewKind::kNone || op.writes_state || &op == &kConcat ||
         &op == &kRepeat || &op == &kGatherRows;
}

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_OP_SHAPE_H_
