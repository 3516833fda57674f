// A product with one stored weight, for tests.
#ifndef WEFT_TESTS_WEIGHT_PRODUCT_H_
#define WEFT_TESTS_WEIGHT_PRODUCT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/host_tensor.h"

namespace weft::inline v0 {

struct ProductOptions {
  std::string target;
  int per_scale = 0;  // of activations, as Quantize() takes it; 0: f32
  int64_t most_tokens = 1;
  int threads = 2;
};

// x f32[T, k] times w [n, k], in an executable whose weight and tokens can be
// set. Fails the test where it cannot be made or has no kernel.
class WeightProduct {
 public:
  WeightProduct(HostTensor w, const ProductOptions& options);

  HostTensor& w() { return *w_; }

  // y [x.size() / k][n].
  std::vector<float> Run(absl::Span<const float> x);

  // Decode, then multiply in f64.
  std::vector<double> Truth(absl::Span<const float> x) const;

 private:
  int64_t rows_, k_;
  std::unique_ptr<HostTensor> w_;  // where the executable finds it
  std::unique_ptr<Executable> executable_;
};

std::vector<float> NormalValues(int64_t n, uint64_t seed);

// Expects that each token of x [most][k] has the bits that it has alone in
// products of so many tokens, those that are more than `most` left out; of 70
// and more tokens some are looked at.
void ExpectEachTokenAsIfAlone(WeightProduct& product, absl::Span<const float> x,
                              int64_t k, absl::Span<const int64_t> tokens);

// Mean square of errors over that of what is right.
double Nmse(absl::Span<const float> got, absl::Span<const double> want);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_WEIGHT_PRODUCT_H_
