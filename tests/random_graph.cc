#include "tests/random_graph.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/fused.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kSlots = 2;
constexpr int64_t kContext = 16;

class Generator {
 public:
  Generator(SampleGraph& g, uint64_t seed) : g_(g), random_(seed) {
    pos_ = g.Positions({kT});
    slot_ = g.Ids({kT}, kSlots);
    row_ids_ = g.Ids({kT}, 3);
    values_.push_back(g.Normal({kT, 24}));
    values_.push_back(g.Normal({kT, 2, 12}));
    values_.push_back(g.Normal({3, 24}));
  }

  void Run(int n_ops) {
    for (int i = 0; i < n_ops; ++i) {
      const Value v = Next();
      if (v.graph() != nullptr) values_.push_back(v);
    }
    // The last result, two of any age, and one of them by a second name.
    Output(values_.back());
    const Value any = Pick();
    Output(any);
    Output(Pick());
    Output(any);
  }

 private:
  static constexpr Dim kT = Dim::Symbol("T", 6);

  int64_t Below(int64_t n) {
    return std::uniform_int_distribution<int64_t>(0, n - 1)(random_);
  }
  bool Chance(double p) { return std::bernoulli_distribution(p)(random_); }

  // Rather a young value, so that chains grow long.
  Value Pick() {
    const int64_t n = static_cast<int64_t>(values_.size());
    const int64_t window = Chance(0.7) ? std::min<int64_t>(n, 4) : n;
    return values_[static_cast<size_t>(n - 1 - Below(window))];
  }

  // A value of x's shape: x itself, another one, or a function of x.
  Value Partner(Value x) {
    std::vector<Value> same;
    for (const Value v : values_)
      if (v.shape() == x.shape()) same.push_back(v);
    if (same.empty() || Chance(0.2)) return Tanh(x);
    return same[static_cast<size_t>(Below(static_cast<int64_t>(same.size())))];
  }

  Value Row(Value x) { return g_.Normal({x.dim(-1)}); }

  void Output(Value v) {
    g_.graph().Output(absl::StrCat("y", g_.graph().outputs().size()), v);
  }

  Value Next() {
    const Value x = Pick();
    switch (Below(8)) {
      case 0:
        return Unary(x);
      case 1:
        return Binary(x);
      case 2:
        return Fused(x);
      case 3:
        return Product(x);
      case 4:
        return Remember(x);
      case 5:
        return Copy(x);
      default:
        return View(x);
    }
  }

  Value Unary(Value x) {
    switch (Below(5)) {
      case 0:
        return Scale(x, -0.5);
      case 1:
        return Softmax(x);
      case 2:
        return RmsNorm(x, 0.01);
      case 3:
        return Silu(x);
      default:
        return Tanh(x);
    }
  }

  Value Binary(Value x) {
    const Value y = Chance(0.3) ? Row(x) : Partner(x);
    switch (Below(3)) {
      case 0:
        return x + y;
      case 1:
        return y - x;
      default:
        return Tanh(x * y);
    }
  }

  Value Fused(Value x) {
    const Value y = Partner(x);
    if (Chance(0.4)) return Gated(x, y, "sigmoid");
    if (Chance(0.3)) return RmsNormMul(x, Row(x), 0.01);
    const Values both = AddRmsNorm(x, y, Row(x), 0.01);
    // Either result may stay unread.
    values_.push_back(both[static_cast<size_t>(Below(2))]);
    return both[1];
  }

  Value Product(Value x) {
    if (Chance(0.5) && x.dim(-1) == Dim(24)) {
      const Value w = g_.Weight(DType::kF16, {24, 24});
      return Tanh(Linear(x, w));
    }
    return Tanh(MatMul(x, g_.Normal({x.dim(-1), 12})));
  }

  // Into a state and out of it, by plain reads of the writer's result.
  Value Remember(Value x) {
    if (x.rank() > 3 || x.dim(0) != kT || states_ == 3) return {};
    ++states_;
    Shape shape({kSlots, kContext});
    for (const Dim& dim : x.shape().dims().subspan(1)) shape.Append(dim);
    const Value state =
        g_.State(Chance(0.5) ? DType::kF16 : DType::kF32, shape);
    const Value written = Append(state, x, {pos_, slot_});
    Value all = Dequant(written);
    // Of the state itself, where decoding it made no copy.
    if (x.rank() == 3 && Chance(0.5)) all = ReadWhole(all);
    const int64_t n = std::min<int64_t>(3, all.dim(1).bound());
    return Slice(GatherRows(all, slot_), 1, 0, 1 + Below(n));
  }

  Value ReadWhole(Value x) {
    switch (Below(4)) {
      case 0:
        return Reshape(x, {x.dim(0), x.dim(1), x.dim(3), x.dim(2)});
      case 1:
        return Permute(x, {0, 2, 1, 3});
      case 2:
        return Transpose(x);
      default:
        return Tanh(x);
    }
  }

  Value Copy(Value x) {
    if (Chance(0.3) && x.dim(0).is_constant() && x.dim(0).bound() >= 3)
      return GatherRows(x, row_ids_);
    if (x.dim(-1).bound() > 100) return {};
    return Chance(0.5) ? Concat({x, Partner(x)}, -1) : Repeat(x, -1, 2);
  }

  Value View(Value x) {
    const int64_t n = x.dim(-1).bound();
    switch (Below(4)) {
      case 0:
        return x.rank() == 3 ? Permute(x, {1, 0, 2}) : Transposed(x);
      case 1:
        return x.dim(-1).is_constant() && n > 1 ? Columns(x, n) : Value();
      case 2:
        return Cut(x);
      default:
        return Folded(x);
    }
  }

  Value Columns(Value x, int64_t n) {
    const int64_t begin = Below(n / 2);
    return Slice(x, -1, begin, n / 2 + 1 + Below(n - n / 2));
  }

  // Matrices alone, and back: the fastest dim stays a constant elsewhere.
  Value Transposed(Value x) {
    return x.dim(0).is_constant() ? Transpose(x) : Transpose(Transpose(x));
  }

  // A slice along another axis than the fastest.
  Value Cut(Value x) {
    for (int axis = 0; axis + 1 < x.rank(); ++axis)
      if (x.dim(axis).is_constant() && x.dim(axis).bound() > 1)
        return Slice(x, axis, 1, x.dim(axis).bound());
    return {};
  }

  // The last dim in two, or the last two in one.
  Value Folded(Value x) {
    const Dim last = x.dim(-1);
    if (last.is_symbol()) return {};
    Shape shape(x.shape().dims().first(static_cast<size_t>(x.rank()) - 1));
    if (x.rank() == 2 && last.bound() % 2 == 0) {
      shape.Append(2);
      shape.Append(last.bound() / 2);
      return Reshape(x, shape);
    }
    if (x.rank() != 3 || x.dim(1).is_symbol()) return {};
    return Reshape(x, {x.dim(0), x.dim(1).bound() * last.bound()});
  }

  SampleGraph& g_;
  std::mt19937_64 random_;
  Value pos_, slot_, row_ids_;
  std::vector<Value> values_;
  int states_ = 0;
};

}  // namespace

std::shared_ptr<SampleGraph> RandomGraph(uint64_t seed, int n_ops) {
  auto sample = std::make_shared<SampleGraph>();
  Generator(*sample, seed).Run(n_ops);
  return sample;
}

}  // namespace weft::inline v0
