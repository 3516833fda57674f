// The example of README.md; readme_test checks that the two are equal.
#include <iostream>

#include <weft/graph/print.h>
#include <weft/ops/ops.h>
#include <weft/ops/optimize.h>

int main() {
  // [readme]
  weft::Graph g;
  const weft::Dim t = weft::Dim::Symbol("T", 512);  // tokens, up to 512
  weft::Value x = g.Input("x", weft::DType::kF32, {t, 64});
  weft::Value h = RmsNorm(x, 1e-5) * g.Weight("norm", weft::DType::kF32, {64});
  weft::Value gate = Linear(h, g.Weight("gate", weft::DType::kQ8_0, {192, 64}));
  weft::Value up = Linear(h, g.Weight("up", weft::DType::kQ8_0, {192, 64}));
  weft::Value down = g.Weight("down", weft::DType::kQ8_0, {64, 192});
  g.Output("y", x + Linear(SwiGlu(gate, up), down));
  absl::StatusOr<weft::FusionReport> report = weft::Optimize(g);
  std::cout << (report.ok() ? PrintText(g) : report.status().ToString());
  // [/readme]
  return report.ok() ? 0 : 1;
}
