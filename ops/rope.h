// Rotary position embedding (Su et al. 2021, arXiv:2104.09864).
#ifndef WEFT_OPS_ROPE_H_
#define WEFT_OPS_ROPE_H_

#include <string>

#include "graph/graph.h"

namespace weft::inline v0 {

extern const OpDef kRopeTable, kRotate;

struct RopeOptions {  // How positions turn vectors.
  int64_t n_dims = 0;  // leading dimensions of a head that are rotated; even
  double freq_base = 10000;
  // Positions are multiplied by this (linear scaling: 1 / factor).
  double freq_scale = 1;
  // Pairs (2i, 2i+1) when true, (i, i + n_dims/2) when false.
  bool adjacent = true;
  // YaRN (Peng et al. 2023, arXiv:2309.00071): mixes unscaled and scaled
  // frequencies between the two betas. 0 = off.
  double ext_factor = 0;
  double beta_fast = 32;
  double beta_slow = 1;
  int64_t original_context = 0;
  // cos and sin are multiplied by this.
  double magnitude = 1;
};

// The angles of a step: pos i32[T] -> f32[T, n_dims/2, 2] of (cos, sin).
// `factors` f32[n_dims/2], where the model has them, divide the frequencies;
// a default-constructed Value means none. Every layer makes the same node, so
// that common-subexpression elimination leaves one per step.
Value RopeTable(Value pos, const RopeOptions& options, Value factors = {},
                Where at = std::source_location::current());
// Rotates heads x f32[T, H, D] by a table f32[T, n_dims/2, 2]; dimensions from
// n_dims on pass through.
Value Rotate(Value x, Value table, bool adjacent,
             Where at = std::source_location::current());
// Rotate(x, RopeTable(pos, options, factors), options.adjacent).
Value Rope(Value x, Value pos, const RopeOptions& options, Value factors = {},
           Where at = std::source_location::current());

}  // namespace weft::inline v0

#endif  // WEFT_OPS_ROPE_H_
