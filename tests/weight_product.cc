#include "tests/weight_product.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <utility>

#include "ops/fused.h"
#include "ops/quantize.h"

namespace weft::inline v0 {

WeightProduct::WeightProduct(HostTensor w, const ProductOptions& options)
    : rows_(w.dim(0)),
      k_(w.dim(1)),
      w_(std::make_unique<HostTensor>(std::move(w))) {
  auto graph = std::make_shared<Graph>();
  Value x = graph->Input("x", DType::kF32,
                         {Dim::Symbol("T", options.most_tokens), k_});
  if (options.per_scale > 0) x = Quantize(x, options.per_scale);
  graph->Output("y", QMatMul(x, graph->Weight("w", w_->dtype, {rows_, k_})));
  EXPECT_TRUE(graph->Finish().ok()) << graph->status();
  const auto backend = MakeBackend(
      "cpu", {.threads = options.threads, .target = options.target});
  EXPECT_TRUE(backend.ok()) << backend.status();
  auto made = (*backend)->Compile(graph, [w = w_.get()](const Node&) {
    return absl::MakeConstSpan(w->bytes);
  });
  EXPECT_TRUE(made.ok()) << made.status();
  executable_ = *std::move(made);
  for (const PlannedStep& step : executable_->plan().steps)
    EXPECT_FALSE(step.on_reference) << step.kernel;
}

std::vector<float> WeightProduct::Run(absl::Span<const float> x) {
  const auto tokens = static_cast<int64_t>(x.size()) / k_;
  std::memcpy(executable_->Input("x")->data(), x.data(),
              x.size() * sizeof(float));
  const absl::Status status = executable_->Run({{"T", tokens}});
  EXPECT_TRUE(status.ok()) << status;
  std::vector<float> y(static_cast<size_t>(tokens * rows_));
  std::memcpy(y.data(), executable_->Output("y")->data(),
              y.size() * sizeof(float));
  return y;
}

std::vector<double> WeightProduct::Truth(absl::Span<const float> x) const {
  const std::vector<float> w = w_->ToFloats();
  std::vector<double> y;
  for (size_t t = 0; t < x.size(); t += static_cast<size_t>(k_))
    for (size_t r = 0; r < w.size(); r += static_cast<size_t>(k_)) {
      double sum = 0;
      for (size_t i = 0; i < static_cast<size_t>(k_); ++i)
        sum += double{w[r + i]} * x[t + i];
      y.push_back(sum);
    }
  return y;
}

std::vector<float> NormalValues(int64_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

void ExpectEachTokenAsIfAlone(WeightProduct& product, absl::Span<const float> x,
                              int64_t k, absl::Span<const int64_t> tokens) {
  const int64_t most = static_cast<int64_t>(x.size()) / k;
  std::map<int64_t, std::vector<float>> alone;
  for (const int64_t some : tokens) {
    if (some > most) continue;
    const std::vector<float> y =
        product.Run(x.first(static_cast<size_t>(some * k)));
    for (int64_t t = 0; t < some; t += t < 70 ? 1 : 95) {
      std::vector<float>& one = alone[t];
      if (one.empty())
        one = product.Run(
            x.subspan(static_cast<size_t>(t * k), static_cast<size_t>(k)));
      ASSERT_EQ(0,
                std::memcmp(one.data(), &y[static_cast<size_t>(t) * one.size()],
                            one.size() * sizeof(float)))
          << "token " << t << " of " << some << ", " << one.size()
          << " rows of " << k;
    }
  }
}

double Nmse(absl::Span<const float> got, absl::Span<const double> want) {
  double error = 0, power = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    error += (got[i] - want[i]) * (got[i] - want[i]);
    power += want[i] * want[i];
  }
  return error / power;
}

}  // namespace weft::inline v0
