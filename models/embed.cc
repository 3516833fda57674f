// Texts as vectors: hidden states pooled over tokens.
#include <algorithm>
#include <cmath>

#include "graph/status_macros.h"
#include "models/engine.h"
#include "models/no_throw.h"

namespace weft::inline v0 {
namespace {

void Normalize(std::vector<float>& v) {
  double squares = 0;
  for (const float x : v) squares += static_cast<double>(x) * x;
  if (squares == 0) return;
  const double length = std::sqrt(squares);
  for (float& x : v) x = static_cast<float>(x / length);
}

}  // namespace

absl::StatusOr<std::vector<float>> Session::Embed(
    absl::Span<const Token> tokens, const EmbedOptions& options) {
  return NoThrow([&] { return RunEmbed(tokens, options); });
}

absl::StatusOr<std::vector<float>> Session::RunEmbed(
    absl::Span<const Token> tokens, const EmbedOptions& options) {
  if (!hidden_)
    return absl::FailedPreconditionError(
        "this session gives logits; set SessionOptions::embeddings");
  const Pooling pooling =
      options.pooling == Pooling::kModel ? model_->pooling() : options.pooling;
  const auto last = static_cast<int64_t>(tokens.size()) - 1;
  Truncate(0, 0);  // empty after an error as well
  std::vector<double> sum(static_cast<size_t>(row_size_), 0.0);
  std::vector<float> out(sum.size());
  PrefillOptions prefill;
  prefill.cancel = options.cancel;
  prefill.on_logits = [&](int64_t i, absl::Span<const float> row) {
    if (pooling == Pooling::kFirst ? i != 0
                                   : pooling == Pooling::kLast && i != last)
      return;
    for (size_t j = 0; j < row.size(); ++j) sum[j] += row[j];
  };
  if (const auto rows = Prefill(0, tokens, prefill); !rows.ok()) {
    Truncate(0, 0);
    return rows.status();
  }
  const double n =
      pooling == Pooling::kMean ? static_cast<double>(tokens.size()) : 1.0;
  std::transform(sum.begin(), sum.end(), out.begin(),
                 [n](double x) { return static_cast<float>(x / n); });
  if (options.normalize) Normalize(out);
  return out;
}

}  // namespace weft::inline v0
