#include "models/experts.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kMaxExperts = 1 << 16;

void ReadGroups(ModelBuilder& b, int64_t count, RouteOptions& route) {
  // Files write 0 for "no groups".
  route.groups =
      std::max<int64_t>(1, b.Int("expert_group_count", 0, kMaxExperts, 1));
  route.groups_used =
      std::max<int64_t>(1, b.Int("expert_group_used_count", 0, kMaxExperts, 1));
  b.Require(count % route.groups == 0, "BIND-A12", "expert_group_count",
            absl::StrCat(route.groups),
            absl::StrCat("a divisor of the ", count, " experts"));
  if (count % route.groups != 0) return;
  b.Require(route.groups_used <= route.groups &&
                count / route.groups * route.groups_used >= route.used,
            "BIND-A12", "expert_group_used_count",
            absl::StrCat(route.groups_used),
            absl::StrCat("at most the ", route.groups,
                         " groups, and so many that they hold ", route.used,
                         " experts"));
}

void ReadScores(ModelBuilder& b, RouteOptions& route) {
  constexpr RouterScores kScores[] = {
      RouterScores::kSoftmaxOfAll, RouterScores::kSoftmaxOfAll,
      RouterScores::kLogistic, RouterScores::kSoftmaxOfPicked};
  route.scores = kScores[b.Int("expert_gating_func", 0, 3, 0)];
  route.normalize = b.Bool("expert_weights_norm", false);
  const double scale = b.Float("expert_weights_scale", 0);
  b.Require(std::isfinite(scale), "BIND-A12", "expert_weights_scale",
            absl::StrCat(scale), "a finite number");
  route.scale = scale == 0 ? 1 : scale;  // files write 0 for "none"
}

}  // namespace

ExpertSizes ReadExpertSizes(ModelBuilder& b, int64_t hidden, bool optional) {
  ExpertSizes s;
  s.count = optional ? b.Int("expert_count", 0, kMaxExperts, 0)
                     : b.Int("expert_count", 0, kMaxExperts);
  if (s.count == 0 && optional) return s;
  b.Require(s.count > 0, "BIND-A12", "expert_count", "0",
            "at least one expert");
  const int64_t count = std::max<int64_t>(1, s.count);
  s.route.used = b.Int("expert_used_count", 0, kMaxExperts);
  b.Require(s.route.used > 0 && s.route.used <= count, "BIND-A12",
            "expert_used_count", absl::StrCat(s.route.used),
            absl::StrCat("a number from 1 to the ", count, " experts"));
  // 0 where all layers share feed_forward_length.
  const int64_t own = b.Int("expert_feed_forward_length", 0, kMaxWidth, 0);
  s.hidden = own == 0 ? hidden : own;
  ReadScores(b, s.route);
  ReadGroups(b, count, s.route);
  return s;
}

ExpertWeights ReadExperts(ModelBuilder& b, const ExpertSizes& s, int64_t width,
                          int64_t layer, Where at) {
  const auto matrix = [&](const char* name, int64_t rows, int64_t columns) {
    return b.Weight(LayerTensor(layer, absl::StrCat(name, ".weight")),
                    {s.count, rows, columns}, at);
  };
  const auto bias = [&](const char* name, int64_t rows) {
    const std::string tensor = LayerTensor(layer, absl::StrCat(name, ".bias"));
    if (!b.HasTensor(tensor)) return Value();
    return Dequant(b.Weight(tensor, {s.count, rows}, at), at);
  };
  ExpertWeights w;
  w.router =
      ReadProjection(b, LayerTensor(layer, "ffn_gate_inp"), s.count, width, at);
  // Early converters left the suffix out.
  for (const char* name : {"exp_probs_b", "exp_probs_b.bias"})
    if (b.HasTensor(LayerTensor(layer, name)))
      w.selection_bias = b.Vector(LayerTensor(layer, name), s.count, at);
  w.gate = matrix("ffn_gate_exps", s.hidden, width);
  w.up = matrix("ffn_up_exps", s.hidden, width);
  w.down = matrix("ffn_down_exps", width, s.hidden);
  w.gate_bias = bias("ffn_gate_exps", s.hidden);
  w.up_bias = bias("ffn_up_exps", s.hidden);
  w.down_bias = bias("ffn_down_exps", width);
  return w;
}

Value ExpertMlp(Value x, const ExpertWeights& w, const RouteOptions& route,
                Where at) {
  const Routing r =
      Route(Project(x, w.router, at), route, w.selection_bias, at);
  const Value gate = LinearById(x, w.gate, r.ids, w.gate_bias, at);
  const Value up = LinearById(x, w.up, r.ids, w.up_bias, at);
  const Value h = SwiGlu(gate, up, at);
  const Value y = LinearById(h, w.down, r.ids, w.down_bias, at);
  return WeightedSum(y, r.weights, at);
}

}  // namespace weft::inline v0
