#include "tools/train/curve.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/status_macros.h"
#include "tools/profile_file.h"

namespace weft::inline v0 {
namespace {

// In pixels.
constexpr double kWidth = 800, kHeight = 450;
constexpr double kLeft = 60, kRight = 20, kTop = 20, kBottom = 50;
// More points than pixels only make a file large.
constexpr size_t kMaxPoints = 800;
constexpr char kTrainingColor[] = "#4477aa", kValidationColor[] = "#ee6677";

using Point = std::pair<double, double>;  // step, loss

// Means of stretches of steps, so that there are at most kMaxPoints.
std::vector<Point> TrainingPoints(absl::Span<const CurvePoint> curve) {
  const size_t stretch = (curve.size() + kMaxPoints - 1) / kMaxPoints;
  std::vector<Point> points;
  for (size_t begin = 0; begin < curve.size(); begin += stretch) {
    const auto part = curve.subspan(begin, stretch);
    double sum = 0;
    for (const CurvePoint& p : part) sum += p.loss;
    const auto n = static_cast<double>(part.size());
    points.emplace_back(static_cast<double>(begin) + (n + 1) / 2, sum / n);
  }
  return points;
}

std::vector<Point> ValidationPoints(absl::Span<const CurvePoint> curve) {
  std::vector<Point> points;
  for (size_t i = 0; i < curve.size(); ++i)
    if (!std::isnan(curve[i].validation))
      points.emplace_back(i + 1, curve[i].validation);
  return points;
}

// A round number such that `range` holds 4 to 10 of it.
double TickOf(double range) {
  const double power = std::pow(10, std::floor(std::log10(range)));
  const double tenths = range / power;
  return power * (tenths < 2 ? 0.25 : tenths < 5 ? 0.5 : 1);
}

// Where the axis of losses has its lines.
std::vector<double> LossTicks(double low, double high) {
  std::vector<double> ticks;
  const auto add = [&](double tick) {
    if (tick >= low && tick <= high) ticks.push_back(tick);
  };
  if (high > 2 * low) {
    for (double power = 1e-6; power <= high; power *= 10)
      for (const double x : {1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0}) add(x * power);
  } else {
    const double step = TickOf(high - low);
    for (double i = std::ceil(low / step); i * step <= high; ++i) add(i * step);
  }
  return ticks;
}

// Losses have a logarithmic axis: the first steps, whose losses are many times
// those of all others, would flatten the rest.
class Picture {
 public:
  Picture(double steps, double low, double high)
      : steps_(steps), low_(low), high_(high) {
    absl::StrAppendFormat(
        &svg_,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" "
        "height=\"%.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
        "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
        kWidth, kHeight);
  }

  void Axes() {
    for (const double y : LossTicks(low_, high_)) {
      Line(kLeft, Y(y), kWidth - kRight, Y(y));
      Text(kLeft - 8, Y(y) + 4, "end", absl::StrFormat("%.4g", y));
    }
    const double step_tick = std::max(1.0, TickOf(steps_));
    for (double x = 0; x <= steps_; x += step_tick) {
      Line(X(x), kTop, X(x), kHeight - kBottom);
      Text(X(x), kHeight - kBottom + 18, "middle", absl::StrFormat("%.6g", x));
    }
    Text((kLeft + kWidth) / 2, kHeight - 12, "middle", "step");
  }

  void Curve(absl::Span<const Point> points, const char* color, int number,
             const std::string& name) {
    absl::StrAppendFormat(
        &svg_,
        "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"",
        color);
    for (const auto& [x, y] : points)
      absl::StrAppendFormat(&svg_, "%.1f,%.1f ", X(x), Y(y));
    absl::StrAppend(&svg_, "\"/>\n");
    const double y = kTop + 20 + 20 * number, x = kWidth - kRight - 230;
    absl::StrAppendFormat(
        &svg_,
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
        "stroke-width=\"3\"/>\n",
        x, y - 4, x + 20, y - 4, color);
    Text(x + 28, y, "start", name);
  }

  std::string Finish() { return absl::StrCat(svg_, "</svg>\n"); }

 private:
  double X(double step) const {
    return kLeft + step / steps_ * (kWidth - kLeft - kRight);
  }
  double Y(double loss) const {
    return kTop + std::log(high_ / loss) / std::log(high_ / low_) *
                      (kHeight - kTop - kBottom);
  }
  void Line(double x1, double y1, double x2, double y2) {
    absl::StrAppendFormat(
        &svg_,
        "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
        "stroke=\"#dddddd\"/>\n",
        x1, y1, x2, y2);
  }
  void Text(double x, double y, const char* anchor, const std::string& text) {
    absl::StrAppendFormat(
        &svg_, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x,
        y, anchor, text);
  }

  double steps_, low_, high_;
  std::string svg_;
};

}  // namespace

std::string CurveCsv(absl::Span<const CurvePoint> curve, int64_t tokens) {
  std::string csv = "step,tokens,loss,validation,rate,gradient_norm,seconds\n";
  for (size_t i = 0; i < curve.size(); ++i) {
    const CurvePoint& p = curve[i];
    const auto step = static_cast<int64_t>(i) + 1;
    absl::StrAppendFormat(&csv, "%d,%d,%.6g,", step, step * tokens, p.loss);
    if (!std::isnan(p.validation))
      absl::StrAppendFormat(&csv, "%.6g", p.validation);
    absl::StrAppendFormat(&csv, ",%.6g,%.6g,%.4g\n", p.rate, p.gradient_norm,
                          p.seconds);
  }
  return csv;
}

std::string CurveSvg(absl::Span<const CurvePoint> curve) {
  const std::vector<Point> training = TrainingPoints(curve);
  const std::vector<Point> validation = ValidationPoints(curve);
  double low = 1e30, high = 0;
  for (const auto* points : {&training, &validation})
    for (const auto& [step, loss] : *points) {
      low = std::min(low, loss);
      high = std::max(high, loss);
    }
  if (low > high) low = 0;
  // A logarithm has to exist.
  low = std::max(low, 1e-6);
  Picture picture(std::max(1.0, static_cast<double>(curve.size())), low / 1.05,
                  std::max(high, low) * 1.05);
  picture.Axes();
  picture.Curve(training, kTrainingColor, 0, "training loss, nats per token");
  if (!validation.empty())
    picture.Curve(validation, kValidationColor, 1,
                  absl::StrFormat("validation loss, at last %.4f",
                                  validation.back().second));
  return picture.Finish();
}

absl::Status WriteCurve(const std::string& stem,
                        absl::Span<const CurvePoint> curve, int64_t tokens) {
  WEFT_RETURN_IF_ERROR(
      WriteWhole(absl::StrCat(stem, ".csv"), CurveCsv(curve, tokens)));
  return WriteWhole(absl::StrCat(stem, ".svg"), CurveSvg(curve));
}

}  // namespace weft::inline v0
