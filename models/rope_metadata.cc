#include "models/rope_metadata.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

double Factor(ModelBuilder& b) {
  // rope.scale_linear is what early converters wrote.
  const char* key = b.Has("rope.scaling.factor") ? "rope.scaling.factor"
                                                 : "rope.scale_linear";
  const double factor = b.Float(key, 1);
  b.Require(factor >= 0 && std::isfinite(factor), "BIND-A7", key,
            absl::StrCat(factor), "a number above 0");
  return factor == 0 ? 1 : factor;  // some files write 0 for "none"
}

double Finite(ModelBuilder& b, absl::string_view key, double otherwise) {
  const double value = b.Float(key, otherwise);
  b.Require(std::isfinite(value), "BIND-A7", key, absl::StrCat(value),
            "a finite number");
  return value;
}

int64_t OriginalContext(ModelBuilder& b) {
  const int64_t trained = b.Int("context_length", 1, kMaxContext, 2048);
  return b.Int("rope.scaling.original_context_length", 1, kMaxContext, trained);
}

void ReadScaling(ModelBuilder& b, RopeOptions& rope) {
  const double factor = Factor(b);
  rope.magnitude = ReadMagnitude(b);
  // Without a type, a factor means linear scaling.
  const std::string type = b.String("rope.scaling.type", "linear");
  if (type == "none") return;
  rope.freq_scale = 1 / factor;
  // The divisors of longrope are tensors: ReadRopeFactors.
  if (type == "linear" || type == "longrope") return;
  if (type != "yarn") {
    b.Refuse(absl::StatusCode::kUnimplemented, "BIND-A7", "rope.scaling.type",
             QuoteInput(type), "none, linear, longrope or yarn");
    return;
  }
  // Negative stands for "not set".
  rope.ext_factor = Finite(b, "rope.scaling.yarn_ext_factor", 1);
  if (rope.ext_factor < 0) rope.ext_factor = 1;
  if (rope.ext_factor == 0) return;
  rope.beta_fast = Finite(b, "rope.scaling.yarn_beta_fast", 32);
  rope.beta_slow = Finite(b, "rope.scaling.yarn_beta_slow", 1);
  rope.original_context = OriginalContext(b);
  // Peng et al. 2023, section 3.4: the temperature of the softmax, moved into
  // the rotated queries and keys.
  rope.magnitude *= 1 + 0.1 * std::log(factor);
}

}  // namespace

RopeOptions ReadRope(ModelBuilder& b, int64_t head_size) {
  RopeOptions rope;
  rope.n_dims = b.Int("rope.dimension_count", 0, kMaxWidth, head_size);
  b.Require(rope.n_dims > 0 && rope.n_dims <= head_size && rope.n_dims % 2 == 0,
            "BIND-A7", "rope.dimension_count", absl::StrCat(rope.n_dims),
            absl::StrCat("an even number up to the head size ", head_size));
  rope.freq_base = b.Float("rope.freq_base", 10000);
  b.Require(rope.freq_base > 0 && std::isfinite(rope.freq_base), "BIND-A7",
            "rope.freq_base", absl::StrCat(rope.freq_base), "a number above 0");
  ReadScaling(b, rope);
  return rope;
}

double ReadMagnitude(ModelBuilder& b) {
  constexpr char kKey[] = "rope.scaling.attn_factor";
  const double value = b.Float(kKey, 1);
  b.Require(value > 0 && std::isfinite(value), "BIND-A7", kKey,
            absl::StrCat(value), "a number above 0");
  return value;
}

double ReadWindowFreqBase(ModelBuilder& b, double base) {
  const double value = b.Float("rope.freq_base_swa", base);
  b.Require(value > 0 && std::isfinite(value), "BIND-A7", "rope.freq_base_swa",
            absl::StrCat(value), "a number above 0");
  return value;
}

Value ReadRopeFactors(ModelBuilder& b, const RopeOptions& rope) {
  const int64_t pairs = rope.n_dims / 2;
  const Value all = b.OptionalVector("rope_freqs.weight", pairs);
  const Value longer = b.OptionalVector("rope_factors_long.weight", pairs);
  const Value shorter = b.OptionalVector("rope_factors_short.weight", pairs);
  const bool long_session = b.options().context > OriginalContext(b);
  const Value by_length = long_session ? longer : shorter;
  return by_length.graph() == nullptr ? all : by_length;
}

}  // namespace weft::inline v0
