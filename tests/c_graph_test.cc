// weft_graph.h: graphs from C compute what they say, and what is wrong in them
// comes out as an error.
#include "models/c_api/weft_graph.h"

#include <cmath>
#include <initializer_list>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {
namespace {

weft_dim D(int64_t size, const char* symbol = nullptr) {
  return {size, symbol};
}

class CGraphTest : public testing::Test {
 protected:
  CGraphTest() {
    weft_graph_new(&g_, &error_);
    o_.size = sizeof o_;
  }
  ~CGraphTest() override {
    weft_runner_free(runner_);
    weft_graph_free(g_);
  }
  weft_value Input(const char* name, std::vector<weft_dim> dims,
                   const char* dtype = "f32") {
    return weft_graph_input(g_, name, dtype, dims.data(),
                            static_cast<int32_t>(dims.size()));
  }
  weft_value Weight(const char* name, std::vector<weft_dim> dims) {
    return weft_graph_weight(g_, name, "f32", dims.data(),
                             static_cast<int32_t>(dims.size()));
  }
  weft_value Op(const char* name, std::vector<weft_value> values) {
    return weft_graph_op(g_, name, values.data(), values.size());
  }
  weft_code Compile() { return weft_runner_new(g_, &o_, &runner_, &error_); }
  // The error of building, which has to be one.
  std::string BuildError() {
    EXPECT_EQ(Compile(), WEFT_INVALID_ARGUMENT);
    return error_.message;
  }

  weft_graph* g_ = nullptr;
  weft_runner* runner_ = nullptr;
  weft_runner_options o_ = {};
  weft_error error_ = {};
};

TEST_F(CGraphTest, ComputesForAnyNumberOfRows) {
  const weft_value x = Input("x", {D(4, "N"), D(2)});
  const weft_value y =
      Op("relu", {Op("linear", {x, Weight("w", {D(3), D(2)})})});
  weft_graph_output(g_, "y", Op("add", {y, Weight("b", {D(3)})}));
  const float w[] = {1, 0, 0, 1, -1, -1}, b[] = {10, 20, 30};
  const weft_named_weight weights[] = {{"w", w, sizeof w}, {"b", b, sizeof b}};
  o_.weights = weights;
  o_.weight_count = 2;
  ASSERT_EQ(Compile(), WEFT_OK) << error_.message;

  const float in[] = {1, 2, -3, 4};
  float out[12] = {};
  weft_tensor tensor = {in, sizeof in, "f32", 2, {2, 2}};
  weft_buffer buffer = {out, sizeof out};
  ASSERT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_), WEFT_OK)
      << error_.message;
  EXPECT_EQ(std::vector<float>(out, out + 7),
            (std::vector<float>{11, 22, 30, 10, 24, 30, 0}));

  size_t size = 0;
  ASSERT_EQ(weft_runner_graph(runner_, nullptr, 0, &size, &error_), WEFT_OK);
  EXPECT_GT(size, 20u);
  ASSERT_EQ(weft_runner_fusion_report(runner_, nullptr, 0, &size, &error_),
            WEFT_OK);

  // Errors of a step change nothing.
  buffer.bytes = 4;
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_TRUE(Says(error_.message, "output y"));
  buffer.bytes = sizeof out;
  tensor.dims[0] = 5;
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_),
            WEFT_OUT_OF_RANGE);
  tensor.dims[0] = 2;
  tensor.dtype = "i32";
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 2, &buffer, 1, &error_),
            WEFT_INVALID_ARGUMENT);
  EXPECT_EQ(weft_runner_run(runner_, nullptr, 1, &buffer, 1, &error_),
            WEFT_INVALID_ARGUMENT);
  tensor.dtype = nullptr;
  weft_runner_cancel(runner_);
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_),
            WEFT_CANCELLED);
  buffer.data = nullptr;  // not wanted
  EXPECT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_), WEFT_OK);
}

TEST_F(CGraphTest, StatesAreKeptUntilReset) {
  const weft_dim three[] = {D(3)};
  const weft_value sum = weft_graph_state(g_, "sum", "f32", three, 1);
  const weft_value x = Input("x", {D(3)});
  weft_graph_output(g_, "all", Op("assign", {sum, Op("add", {sum, x})}));
  ASSERT_EQ(Compile(), WEFT_OK) << error_.message;
  const float in[] = {1, 2, 3};
  float out[3];
  const weft_tensor tensor = {in, sizeof in, nullptr, 1, {3}};
  const weft_buffer buffer = {out, sizeof out};
  for (const float times : {1.0f, 2.0f, 1.0f}) {
    ASSERT_EQ(weft_runner_run(runner_, &tensor, 1, &buffer, 1, &error_),
              WEFT_OK);
    EXPECT_EQ(out[2], 3 * times);
    if (times == 2) weft_runner_reset(runner_);
  }
}

// One query over two keys, and the ops with numbers of their own.
TEST_F(CGraphTest, AttendsAndMovesData) {
  const weft_value q = Input("q", {D(1), D(1), D(2)});
  const float keys[] = {1, 0, 0, 1}, values[] = {2, 4, 6, 8};
  const int64_t dims[] = {2, 1, 2};
  const weft_value attended =
      weft_graph_attend(g_, q, weft_graph_constant(g_, keys, dims, 3),
                        weft_graph_constant(g_, values, dims, 3), 1, nullptr);
  const weft_dim row[] = {D(1), D(2)};
  const weft_value flat = weft_graph_reshape(g_, attended, row, 2);
  const weft_value parts[] = {weft_graph_slice(g_, flat, 1, 1, 2),
                              weft_graph_scale(g_, flat, 2)};
  const weft_value joined = weft_graph_concat(g_, parts, 2, 1);
  const int64_t order[] = {1, 0};
  weft_graph_output(g_, "y", weft_graph_permute(g_, joined, order, 2));
  weft_graph_output(g_, "norm", weft_graph_rms_norm(g_, flat, 0));
  weft_graph_output(g_, "centred", weft_graph_layer_norm(g_, flat, 0));
  ASSERT_EQ(Compile(), WEFT_OK) << error_.message;
  const float in[] = {1, 0};
  float y[3], norm[2], centred[2];
  const weft_tensor tensor = {in, sizeof in, "f32", 3, {1, 1, 2}};
  const weft_buffer out[] = {
      {y, sizeof y}, {norm, sizeof norm}, {centred, sizeof centred}};
  ASSERT_EQ(weft_runner_run(runner_, &tensor, 1, out, 3, &error_), WEFT_OK)
      << error_.message;
  const float p = 1 / (1 + std::exp(1.0f));  // of the second key
  const float first = 2 + 4 * p, second = first + 2;
  // 1e-5: the kernels' exponentials are good to that.
  EXPECT_NEAR(y[0], second, 1e-5f * second);
  EXPECT_NEAR(y[1], 2 * first, 1e-5f * first);
  EXPECT_NEAR(norm[1],
              second / std::sqrt((first * first + second * second) / 2), 1e-5f);
  EXPECT_NEAR(centred[0], -1, 1e-5f);
}

TEST_F(CGraphTest, TheFirstErrorSticks) {
  const weft_value x = Input("x", {D(2), D(3)});
  const weft_value wrong = Op("matmul", {x, x});
  EXPECT_LT(wrong, 0);
  EXPECT_LT(Op("relu", {wrong}), 0);
  weft_graph_output(g_, "y", wrong);
  const std::string error = BuildError();
  EXPECT_TRUE(Says(error, "matmul")) << error;
  EXPECT_FALSE(Says(error, ".cc")) << error;
  // The runner took the graph.
  EXPECT_EQ(Compile(), WEFT_FAILED_PRECONDITION);
  EXPECT_LT(Op("relu", {x}), 0);
}

TEST_F(CGraphTest, NamesWhatThereIs) {
  Op("convolve", {});
  const std::string error = BuildError();
  EXPECT_TRUE(Says(error, "\"convolve\"")) << error;
  EXPECT_TRUE(Says(error, "gather_rows")) << error;
}

TEST_F(CGraphTest, RefusesValuesOfOtherGraphs) {
  Op("relu", {77});
  EXPECT_TRUE(Says(BuildError(), "value 77"));
}

TEST_F(CGraphTest, RefusesWhatIsNoTensor) {
  const weft_dim dims[] = {D(2)};
  const std::vector<float> values(4);
  const int64_t huge[] = {1 << 20, 1 << 20};
  using Make = weft_value (*)(weft_graph*, const weft_dim*, const float*,
                              const int64_t*);
  const Make makers[] = {
      [](weft_graph* g, auto d, auto, auto) {
        return weft_graph_input(g, "x", "f99", d, 1);
      },
      [](weft_graph* g, auto d, auto, auto) {
        return weft_graph_input(g, nullptr, "f32", d, 1);
      },
      [](weft_graph* g, auto, auto, auto) {
        return weft_graph_input(g, "x", "f32", nullptr, 1);
      },
      [](weft_graph* g, auto d, auto, auto) {
        return weft_graph_reshape(g, weft_graph_input(g, "x", "f32", d, 1), d,
                                  -3);
      },
      [](weft_graph* g, auto, auto v, auto n) {
        return weft_graph_constant(g, v, n, 2);
      },
      [](weft_graph* g, auto, auto, auto) {
        return weft_graph_concat(g, nullptr, 3, 0);
      },
  };
  for (const Make make : makers) {
    weft_graph* g = nullptr;
    ASSERT_EQ(weft_graph_new(&g, &error_), WEFT_OK);
    EXPECT_LT(make(g, dims, values.data(), huge), 0);
    EXPECT_EQ(weft_runner_new(g, nullptr, &runner_, &error_),
              WEFT_INVALID_ARGUMENT);
    EXPECT_GT(std::string(error_.message).size(), 10u);
    weft_graph_free(g);
  }
  EXPECT_LT(weft_graph_op(nullptr, "relu", nullptr, 0), 0);
  EXPECT_EQ(weft_runner_new(nullptr, nullptr, &runner_, &error_),
            WEFT_INVALID_ARGUMENT);
}

TEST_F(CGraphTest, WeightsThatAreMissing) {
  weft_graph_output(g_, "y",
                    Op("add", {Input("x", {D(3)}), Weight("w", {D(3)})}));
  EXPECT_EQ(Compile(), WEFT_NOT_FOUND);
  EXPECT_TRUE(Says(error_.message, "w"));
}

}  // namespace
}  // namespace weft::inline v0
