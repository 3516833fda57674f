// Mixtures of experts: which experts a token takes, and products with them.
#ifndef WEFT_OPS_EXPERTS_H_
#define WEFT_OPS_EXPERTS_H_

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kRoute, kMatMulById, kQMatMulById, kClampedSwiGlu;

// How a router's logits become scores.
enum class RouterScores {
  kSoftmaxOfAll,
  kSoftmaxOfPicked,  // which are picked by logit
  kLogistic,         // sigmoids
};

struct RouteOptions {  // How experts are chosen.
  int64_t used = 1;  // experts that a token takes
  RouterScores scores = RouterScores::kSoftmaxOfAll;
  bool normalize = false;  // the weights to sum 1
  double scale = 1;        // of the weights, after that
  // More than one: experts are equal groups in order; only those of the
  // `groups_used` groups whose two best experts have the largest sum can be
  // picked.
  int64_t groups = 1;
  int64_t groups_used = 1;
};

struct Routing {  // Which experts a token has.
  Value ids;      // i32[T, used], the best first
  Value weights;  // f32[T, used]
};

// The experts of each token: the largest of score + bias, the lower id where
// two are equal. logits f32[T, E]; `bias` f32[E], which may be unset, has no
// part in the weights.
Routing Route(Value logits, const RouteOptions& options, Value bias = {},
              Where at = std::source_location::current());

// y[t, j] = x[t, j] w[ids[t, j]]^T + bias[ids[t, j]]: f32[T, J, N] from x
// f32[T, J, K] (or [T, K], the same for every j), w f32[E, N, K], ids i32[T, J]
// and bias f32[E, N], which may be unset. Without ids, j itself is the matrix's
// number: one for each head. At run time, OutOfRange for an id outside [0, E).
Value MatMulById(Value x, Value w, Value ids = {}, Value bias = {},
                 Where at = std::source_location::current());
// MatMulById with w [E, N, K] in any stored format.
Value LinearById(Value x, Value w, Value ids = {}, Value bias = {},
                 Where at = std::source_location::current());
// What the rule matmul_by_id makes of it: x f32 or 8-bit, w as stored.
Value QMatMulById(Value x, Value w, Value ids, Value bias,
                  Where at = std::source_location::current());

// sum over j of weights[t, j] * x[t, j]: x f32[T, J, N], weights f32[T, J] ->
// f32[T, N].
Value WeightedSum(Value x, Value weights,
                  Where at = std::source_location::current());

// SwiGLU with bounds, as gpt-oss has it: g sigmoid(1.702 g) (u + 1), with g =
// min(gate, limit) and u = up between -limit and limit.
Value ClampedSwiGlu(Value gate, Value up, double limit,
                    Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_EXPERTS_H_
