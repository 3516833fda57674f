// The loss over the steps of a training run, as a table and as a picture.
#ifndef WEFT_TOOLS_TRAIN_CURVE_H_
#define WEFT_TOOLS_TRAIN_CURVE_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// One step. Floats alone: a checkpoint keeps these as a tensor.
struct CurvePoint {
  float loss = 0;  // before the step, of its own windows; nats per token
  // After the step; NaN where it was not measured.
  float validation = std::numeric_limits<float>::quiet_NaN();
  float rate = 0;
  float gradient_norm = 0;  // before clipping
  float seconds = 0;        // that it took
};
inline constexpr int64_t kCurveColumns = 5;
static_assert(sizeof(CurvePoint) == kCurveColumns * sizeof(float));

// "step,tokens,loss,validation,rate,gradient_norm,seconds" and a line for each
// step; `tokens` of one step.
std::string CurveCsv(absl::Span<const CurvePoint> curve, int64_t tokens);
// Training loss, smoothed, and validation loss over steps. An SVG file.
std::string CurveSvg(absl::Span<const CurvePoint> curve);

// Writes <stem>.csv and <stem>.svg, each whole or not at all.
absl::Status WriteCurve(const std::string& stem,
                        absl::Span<const CurvePoint> curve, int64_t tokens);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_CURVE_H_
