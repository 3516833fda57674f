#include "ops/rules/peel.h"

#include <algorithm>
#include <numeric>

#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace {

// Replaces each axis number by its axis below a permutation.
void Through(Peeled& p, absl::Span<const int64_t> perm) {
  for (int& axis : p.axes)
    axis = static_cast<int>(perm[static_cast<size_t>(axis)]);
  if (p.repeat_axis >= 0)
    p.repeat_axis = static_cast<int>(perm[static_cast<size_t>(p.repeat_axis)]);
}

}  // namespace

Peeled Peel(Value top) {
  Peeled p;
  p.base = top;
  p.axes.resize(static_cast<size_t>(top.rank()));
  std::iota(p.axes.begin(), p.axes.end(), 0);
  for (;;) {
    const Node& node = p.base.graph()->producer(p.base.id());
    if (node.op == &kPermute) {
      Through(p, node.attrs.Ints("perm"));
    } else if (node.op == &kTranspose) {
      std::vector<int64_t> perm(p.axes.size());
      std::iota(perm.begin(), perm.end(), 0);
      std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
      Through(p, perm);
    } else if (node.op == &kRepeat && p.repeat_axis < 0) {
      p.repeat_axis = static_cast<int>(node.attrs.Int("axis"));
      p.repeat = node.attrs.Int("times");
    } else if (node.op == &kScale) {
      p.scale *= node.attrs.Float("factor");
    } else {
      return p;
    }
    p.inside.push_back(p.base);
    p.base = Value(p.base.graph(), node.inputs[0]);
  }
}

}  // namespace weft::inline v0
