// The experts of each token.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/sample.h"
#include "graph/small_vector.h"
#include "graph/status_macros.h"
#include "ops/elementwise.h"
#include "ops/experts.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
// Sums of weights below the smallest normal f16 count as that, so that nothing
// is divided by 0.
constexpr double kSmallestSum = 0x1p-14;

absl::StatusOr<TensorTypes> InferRoute(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireF32(call, "C1"));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C1", 0, 2));
  const Dim tokens = call.in[0].shape.dim(0), experts = call.in[0].shape.dim(1);
  const int64_t used = call.attrs.Int("used");
  WEFT_RETURN_IF_ERROR(call.Require(
      experts.is_constant() && used >= 1 && used <= experts.bound(),
      absl::StrCat("C2: ", used, " of ", experts.ToString(), " experts")));
  if (call.in.size() > 1)
    WEFT_RETURN_IF_ERROR(call.Require(
        call.in[1].shape == Shape({experts}),
        absl::StrCat("C3: the bias has shape ", call.in[1].shape.ToString(),
                     ", not [", experts.ToString(), "]")));
  const int64_t groups = call.attrs.Int("groups", 1);
  const int64_t groups_used = call.attrs.Int("groups_used", 1);
  WEFT_RETURN_IF_ERROR(call.Require(
      groups >= 1 && experts.bound() % groups == 0 && groups_used >= 1 &&
          groups_used <= groups &&
          used <= experts.bound() / groups * groups_used,
      absl::StrCat("C4: ", used, " experts from ", groups_used, " of ", groups,
                   " groups of ", experts.ToString())));
  return TensorTypes{{DType::kI32, {tokens, Dim(used)}},
                     {DType::kF32, {tokens, Dim(used)}}};
}

std::vector<double> Softmaxed(std::vector<double> x) {
  const double most = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v - most);
  for (double& v : x) v /= sum;
  return x;
}

// The indices of the `count` largest values, the lower one of two equals
// first. NaN is never larger.
std::vector<size_t> Largest(std::vector<double> x, int64_t count) {
  std::vector<size_t> picked;
  std::vector<bool> taken(x.size(), false);
  for (int64_t j = 0; j < count; ++j) {
    size_t best = x.size();
    for (size_t i = 0; i < x.size(); ++i)
      if (!taken[i] && (best == x.size() || x[i] > x[best])) best = i;
    taken[best] = true;
    picked.push_back(best);
  }
  return picked;
}

// Values outside the best groups become -inf.
void KeepGroups(std::vector<double>& x, int64_t groups, int64_t used) {
  const size_t size = x.size() / static_cast<size_t>(groups);
  std::vector<double> sums;
  for (size_t g = 0; g < x.size(); g += size) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(g);
    const std::vector<double> group(first,
                                    first + static_cast<std::ptrdiff_t>(size));
    double sum = 0;
    for (const size_t i :
         Largest(group, std::min<int64_t>(2, static_cast<int64_t>(size))))
      sum += group[i];
    sums.push_back(sum);
  }
  std::vector<bool> keep(sums.size(), false);
  for (const size_t g : Largest(sums, used)) keep[g] = true;
  for (size_t i = 0; i < x.size(); ++i)
    if (!keep[i / size]) x[i] = kNever;
}

std::vector<double> Scores(std::vector<double> logits, RouterScores scores) {
  if (scores == RouterScores::kSoftmaxOfAll)
    return Softmaxed(std::move(logits));
  if (scores == RouterScores::kLogistic)
    for (double& v : logits) v = 1 / (1 + std::exp(-v));
  return logits;
}

void RouteToken(const RefCall& call, const float* logits, const float* bias,
                int32_t* ids, float* weights) {
  const Attrs& a = call.attrs;
  const auto kind = static_cast<RouterScores>(a.Int("scores"));
  const auto experts = static_cast<size_t>(call.in[0]->dim(1));
  const std::vector<double> scores =
      Scores(std::vector<double>(logits, logits + experts), kind);
  // Without a bias the logits themselves: scores grow with them, but may round
  // to the same number.
  std::vector<double> order(logits, logits + experts);
  if (bias != nullptr)
    for (size_t i = 0; i < experts; ++i) order[i] = scores[i] + bias[i];
  const int64_t groups = a.Int("groups", 1);
  if (groups > 1) {
    if (bias == nullptr) order = scores;
    KeepGroups(order, groups, a.Int("groups_used", 1));
  }
  const std::vector<size_t> picked = Largest(order, a.Int("used"));
  std::vector<double> w;
  for (const size_t i : picked) w.push_back(scores[i]);
  if (kind == RouterScores::kSoftmaxOfPicked) w = Softmaxed(std::move(w));
  double sum = 0;
  for (const double v : w) sum += v;
  const double factor =
      a.Float("scale", 1) /
      (a.Int("normalize") != 0 ? std::max(sum, kSmallestSum) : 1.0);
  for (size_t j = 0; j < w.size(); ++j) {
    ids[j] = static_cast<int32_t>(picked[j]);
    weights[j] = static_cast<float>(w[j] * factor);
  }
}

absl::Status RouteReference(const RefCall& call) {
  const HostTensor& logits = *call.in[0];
  const float* bias = call.in.size() > 1 ? call.in[1]->f32() : nullptr;
  const int64_t experts = logits.dim(1), used = call.attrs.Int("used");
  for (int64_t t = 0; t < logits.dim(0); ++t)
    RouteToken(call, logits.f32() + t * experts, bias,
               call.out[0]->i32() + t * used, call.out[1]->f32() + t * used);
  return absl::OkStatus();
}

// ---- Gradient ----

absl::StatusOr<TensorTypes> InferRouteGradient(const Call& call) {
  for (const size_t i : {0, 2})
    WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", i, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 1, DType::kI32));
  const Shape &logits = call.in[0].shape, &ids = call.in[1].shape;
  WEFT_RETURN_IF_ERROR(call.Require(
      logits.rank() == 2 && ids.rank() == 2 && ids.dim(0) == logits.dim(0) &&
          call.in[2].shape == ids,
      absl::StrCat("C2: logits ", logits.ToString(), ", ids ", ids.ToString(),
                   " and g ", call.in[2].shape.ToString())));
  return OneType(DType::kF32, logits);
}

// Of the weights before they were divided by their sum and scaled.
std::vector<double> BeforeNorm(const Attrs& a, const std::vector<double>& w,
                               const float* g) {
  double sum = 0, product = 0;
  for (size_t j = 0; j < w.size(); ++j) {
    sum += w[j];
    product += w[j] * g[j];
  }
  const double scale = a.Float("scale", 1);
  std::vector<double> out;
  for (size_t j = 0; j < w.size(); ++j) {
    if (a.Int("normalize") == 0)
      out.push_back(scale * g[j]);
    else if (sum < kSmallestSum)
      out.push_back(scale / kSmallestSum * g[j]);
    else
      out.push_back(scale / sum * (g[j] - product / sum));
  }
  return out;
}

// y += p (g - sum(g p)) at the places `at`.
void SoftmaxBack(const std::vector<double>& p, const std::vector<double>& g,
                 const int32_t* at, float* y) {
  double sum = 0;
  for (size_t j = 0; j < p.size(); ++j) sum += g[j] * p[j];
  for (size_t j = 0; j < p.size(); ++j)
    y[at == nullptr ? j : static_cast<size_t>(at[j])] =
        static_cast<float>(p[j] * (g[j] - sum));
}

void RouteTokenBack(const Attrs& a, absl::Span<const float> logits,
                    absl::Span<const int32_t> ids, const float* g, float* y) {
  const auto kind = static_cast<RouterScores>(a.Int("scores"));
  const std::vector<double> scores =
      Scores(std::vector<double>(logits.begin(), logits.end()), kind);
  std::vector<double> w;
  for (const int32_t id : ids) w.push_back(scores[static_cast<size_t>(id)]);
  if (kind == RouterScores::kSoftmaxOfPicked) w = Softmaxed(std::move(w));
  const std::vector<double> back = BeforeNorm(a, w, g);
  switch (kind) {
    case RouterScores::kSoftmaxOfPicked:
      return SoftmaxBack(w, back, ids.data(), y);
    case RouterScores::kLogistic:
      for (size_t j = 0; j < w.size(); ++j)
        y[ids[j]] = static_cast<float>(back[j] * w[j] * (1 - w[j]));
      return;
    case RouterScores::kSoftmaxOfAll: {
      std::vector<double> all(scores.size(), 0.0);
      for (size_t j = 0; j < w.size(); ++j)
        all[static_cast<size_t>(ids[j])] = back[j];
      return SoftmaxBack(scores, all, nullptr, y);
    }
  }
}

absl::Status RouteGradientReference(const RefCall& call) {
  const HostTensor &logits = *call.in[0], &ids = *call.in[1];
  const auto experts = static_cast<size_t>(logits.dim(1));
  const auto used = static_cast<size_t>(ids.dim(1));
  for (int64_t i = 0; i < ids.elements(); ++i)
    WEFT_RETURN_IF_ERROR(CheckIndex("ids", i, ids.i32()[i], logits.dim(1)));
  for (size_t t = 0; t < static_cast<size_t>(logits.dim(0)); ++t)
    RouteTokenBack(
        call.attrs, absl::MakeConstSpan(logits.f32() + t * experts, experts),
        absl::MakeConstSpan(ids.i32() + t * used, used),
        call.in[2]->f32() + t * used, call.out[0]->f32() + t * experts);
  return absl::OkStatus();
}

// The bias decides who is picked, which has no slope.
Values RouteRule(const GradientCall& c) {
  Values gradients = {RouteGradient(c.in[0], c.out[0], c.grad[1], c.attrs)};
  if (c.in.size() > 1) gradients.push_back(Scale(c.in[1], 0));
  return gradients;
}

Sample RouteGradientSample(absl::string_view name, RouteOptions options) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Dim t = Dim::Symbol("T", 5);
            const Value x = g.Normal({t, 17});
            const Value ids = Route(x, options).ids;
            return {RouteGradient(x, ids, g.Normal({t, options.used}),
                                  x.graph()->producer(ids.id()).attrs)};
          }};
}

Sample RouteSample(absl::string_view name, int64_t experts,
                   RouteOptions options, bool bias) {
  return {std::string(name), [=](SampleGraph& g) -> Values {
            const Value x = g.Normal({Dim::Symbol("T", 5), experts});
            const Value b = bias ? g.Normal({experts}) : Value();
            const Routing r = Route(x, options, b);
            return {r.ids, r.weights};
          }};
}

}  // namespace

const OpDef kRoute = {
    .name = "route",
    .doc =
        "The experts of each token: ids of the largest scores, and their "
        "weights.\n"
        "logits f32[T, E], bias f32[E] (optional) -> i32[T, used], "
        "f32[T, used]\n"
        "s = softmax(logits) (scores 0), the logits (1) or sigmoid(logits) "
        "(2). Picked by s + bias, the lower id where two are equal; of groups, "
        "the groups_used whose two best have the largest sum. Weights are s, "
        "with scores 1 the softmax of the picked; divided by their sum (at "
        "least 2^-14) where normalize is set; times scale.\n"
        "C1: logits are f32[T, E], the bias is f32.\n"
        "C2: 1 <= used <= E, a constant.\n"
        "C3: the bias has E values.\n"
        "C4: groups divide E; groups_used of them hold `used` experts.",
    .infer = InferRoute,
    .reference = RouteReference,
    .samples = []() -> std::vector<Sample> {
      return {RouteSample("softmax", 9, {.used = 3, .normalize = true}, false),
              RouteSample("plain", 60, {.used = 4, .scale = 2.5}, false),
              RouteSample("picked", 32,
                          {.used = 4, .scores = RouterScores::kSoftmaxOfPicked},
                          false),
              RouteSample("sigmoid", 17,
                          {.used = 2,
                           .scores = RouterScores::kLogistic,
                           .normalize = true,
                           .scale = 2.5},
                          true),
              RouteSample("groups", 24,
                          {.used = 3,
                           .scores = RouterScores::kLogistic,
                           .groups = 4,
                           .groups_used = 2},
                          true),
              RouteSample("one", 1, {.used = 1}, false)};
    },
    .gradient = RouteRule,
    .n_outputs = 2,
};

const OpDef kRouteGradient = {
    .name = "route_gradient",
    .doc =
        "The gradient of a route's logits from that of its weights; the picks "
        "are taken as they are.\n"
        "logits f32[T, E], ids i32[T, used], g f32[T, used] -> f32[T, E]\n"
        "Attributes as of route. At run time, OutOfRange for an id outside "
        "[0, E).\n"
        "C1: logits and g are f32, ids i32.\n"
        "C2: the shapes are these.",
    .infer = InferRouteGradient,
    .reference = RouteGradientReference,
    .samples = []() -> std::vector<Sample> {
      return {
          RouteGradientSample("softmax", {.used = 3, .normalize = true}),
          RouteGradientSample("plain", {.used = 4, .scale = 2.5}),
          RouteGradientSample(
              "picked", {.used = 4, .scores = RouterScores::kSoftmaxOfPicked}),
          RouteGradientSample("sigmoid", {.used = 2,
                                          .scores = RouterScores::kLogistic,
                                          .normalize = true,
                                          .scale = 2.5})};
    },
};

Value RouteGradient(Value logits, Value ids, Value g, const Attrs& route,
                    Where at) {
  return EmitNode(kRouteGradient, {logits, ids, g}, route, at);
}

Routing Route(Value logits, const RouteOptions& o, Value bias, Where at) {
  SmallVector<Value, 2> in = {logits};
  if (bias.graph() != nullptr) in.push_back(bias);
  if (logits.graph() == nullptr) return {};
  const Values out =
      logits.graph()->EmitAll(kRoute, in,
                              {{"used", o.used},
                               {"scores", static_cast<int64_t>(o.scores)},
                               {"normalize", o.normalize},
                               {"scale", o.scale},
                               {"groups", o.groups},
                               {"groups_used", o.groups_used}},
                              at);
  return {out[0], out[1]};
}

}  // namespace weft::inline v0
