// QK^T -> softmax -> V. Anchored on the softmax; what lies between the two
// products is classified, so that chains written out by hand fuse too: scale on
// q, k or the scores, mask before or after the scale, ALiBi, bias on either
// side of the sum, K and V permuted in one step or several, widened or not.
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/rewrite.h"
#include "ops/alibi.h"
#include "ops/elementwise.h"
#include "ops/fused.h"
#include "ops/matmul.h"
#include "ops/rules/peel.h"
#include "ops/rules/rules.h"
#include "ops/shape_ops.h"
#include "ops/softmax.h"

namespace weft::inline v0 {
namespace {

class AttentionClassifier {
 public:
  AttentionClassifier(Value softmax, Classification& c)
      : graph_(softmax.graph()), c_(c), probabilities_(softmax) {
    a_.options.causal = false;
  }

  bool Run() {
    if (!FindSecondProduct() || !WalkScores() || !ClassifyQuery() ||
        !ClassifyKeysAndValues() || !CheckMask() || !CheckAlibi() ||
        !CheckBias() || !CheckSinks())
      return false;
    c_.Inside(probabilities_);
    FindRoot();
    const FusedAttention a = a_;
    const bool restore = !root_is_merged_;
    const bool cached = cached_;
    c_.emit = [a, restore, cached] {
      const Value out = Attention(a);
      if (!restore) return out;
      if (!cached) return Permute(out, {1, 0, 2});
      return Reshape(out, {out.dim(0), out.dim(1), Dim(1), out.dim(2)});
    };
    return true;
  }

 private:
  const Node& From(Value v) const { return graph_->producer(v.id()); }
  Value In(Value v, size_t i) const { return {graph_, From(v).inputs[i]}; }
  bool Is(Value v, const OpDef& op) const { return From(v).op == &op; }

  // The only node that reads `v`, or null.
  const Node* OnlyReader(Value v) const {
    const auto& users = graph_->value(v.id()).users;
    return users.size() == 1 && !graph_->IsOutput(v.id())
               ? &graph_->node(users[0])
               : nullptr;
  }

  // softmax(...) must be the left operand of one product, and nothing else.
  bool FindSecondProduct() {
    const Node* reader = OnlyReader(probabilities_);
    if (reader == nullptr) return c_.MissReaders(probabilities_);
    product_ = Value(graph_, reader->outputs[0]);
    if (reader->op != &kMatMul || reader->inputs[0] != probabilities_.id())
      return c_.Miss(probabilities_, absl::StrCat("is not the left operand of "
                                                  "a matmul but read by ",
                                                  reader->op->name));
    return true;
  }

  // Whether a product of two matrices is found below `v` through the ops that
  // scores may pass. A stack, since sums of sums may share what lies below.
  bool LeadsToProduct(Value v) const {
    HashSet<ValueId> seen;
    std::vector<Value> open = {v};
    while (!open.empty()) {
      const Value at = open.back();
      open.pop_back();
      if (!seen.insert(at.id()).second) continue;
      if (Is(at, kMatMul)) return true;
      if (Is(at, kAdd)) open.push_back(In(at, 1));
      if (Is(at, kAdd) || Is(at, kScale) || Is(at, kTanh) || Is(at, kMask) ||
          Is(at, kAlibi))
        open.push_back(In(at, 0));
    }
    return false;
  }

  // From the softmax down to the first product, collecting the parts.
  bool WalkScores() {
    Value at = In(probabilities_, 0);
    for (;;) {
      const Node& node = From(at);
      if (node.op == &kMatMul) {
        scores_ = at;
        c_.Inside(at);
        return true;
      }
      if (node.op == &kMask) {
        if (mask_.graph() != nullptr) return c_.Miss(at, "is a second mask");
        if (capped_) return c_.Miss(at, "masks before the soft-cap");
        // What stands above the mask multiplies its -inf.
        if (factor_ <= 0)
          return c_.Miss(at, "is scaled by no positive factor afterwards");
        mask_ = at;
      } else if (node.op == &kScale) {
        factor_ *= node.attrs.Float("factor");
      } else if (node.op == &kTanh) {
        // factor_ * tanh(x): the cap is the factor, and what lies below is
        // cap * tanh((x * cap) / cap).
        if (capped_) return c_.Miss(at, "is a second soft-cap");
        if (factor_ <= 0) return c_.Miss(at, "is scaled by no positive cap");
        capped_ = true;
        a_.options.softcap = factor_;
      } else if (node.op == &kAlibi) {
        if (!TakeAlibi(at)) return false;
      } else if (node.op == &kAdd) {
        if (!TakeBias(at)) return false;
        c_.Inside(at);
        at = LeadsToProduct(In(at, 0)) ? In(at, 0) : In(at, 1);
        continue;
      } else {
        return c_.Miss(at,
                       "is no part of attention scores (matmul, scale, "
                       "soft-cap tanh, alibi, bias add, mask)");
      }
      c_.Inside(at);
      at = In(at, 0);
    }
  }

  bool TakeAlibi(Value at) {
    if (alibi_.graph() != nullptr) return c_.Miss(at, "is a second alibi");
    if (factor_ != 1 || capped_)
      return c_.Miss(at, "lies below the scale or the soft-cap");
    alibi_ = at;
    a_.options.alibi = From(at).attrs.Float("max_bias");
    return true;
  }

  bool TakeBias(Value sum) {
    if (a_.bias.graph() != nullptr) return c_.Miss(sum, "adds a second bias");
    if (factor_ != 1 || capped_)
      return c_.Miss(sum, "adds a bias before the scale or the soft-cap");
    const bool left = LeadsToProduct(In(sum, 0));
    const bool right = LeadsToProduct(In(sum, 1));
    if (left == right)
      return c_.Miss(
          sum, left ? "adds two products" : "has no product q k^T below it");
    a_.bias = In(sum, left ? 1 : 0);
    sum_ = sum;
    return true;
  }

  void TakeInside(const Peeled& p) {
    for (const Value v : p.inside) c_.Inside(v);
    factor_ *= p.scale;
  }

  // q: [T, H, 1, D] by a reshape of [T, H, D] (over a cache), or [H, T, D] by
  // a permutation of it (over plain keys).
  bool ClassifyQuery() {
    const Value top = In(scores_, 0);
    Peeled q = Peel(top);
    if (q.repeat != 1) return c_.Miss(top, "repeats the query");
    TakeInside(q);
    if (Is(q.base, kReshape) && q.AxesAre({0, 1, 2, 3}) &&
        q.base.dim(2) == Dim(1)) {
      c_.Inside(q.base);
      const Peeled below = Peel(In(q.base, 0));
      // A scale between the heads and the reshape; a permutation there is not
      // ours to judge.
      if (below.AxesAre({0, 1, 2}) && below.repeat == 1) {
        TakeInside(below);
        a_.q = below.base;
      } else {
        a_.q = In(q.base, 0);
      }
      if (a_.q.rank() != 3 || a_.q.dim(0) != q.base.dim(0) ||
          a_.q.dim(1) != q.base.dim(1))
        return c_.Miss(q.base, "is no [T, H, 1, D] view of heads [T, H, D]");
      cached_ = true;
      return true;
    }
    if (q.AxesAre({1, 0, 2})) {
      a_.q = q.base;
      return true;
    }
    return c_.Miss(top,
                   "is neither heads [T, H, D] reshaped to [T, H, 1, D] nor "
                   "permuted to [H, T, D]");
  }

  // One of K, V: permuted as `axes` says, widened on the head axis.
  bool ClassifyOperand(Value top, std::initializer_list<int> axes,
                       const char* what, Value& out, Value& slot) {
    const Peeled p = Peel(top);
    if (!p.AxesAre(axes))
      return c_.Miss(top, absl::StrCat("does not lay out ", what,
                                       " as attention needs it"));
    if (what[0] == 'v' && p.scale != 1) return c_.Miss(top, "scales v");
    TakeInside(p);
    Value base = p.base;
    if (cached_) {
      if (!Is(base, kGatherRows))
        return c_.Miss(base, absl::StrCat("is no gather of ", what,
                                          " by the token's slot"));
      c_.Inside(base);
      slot = In(base, 1);
      base = In(base, 0);
    }
    if (Is(base, kDequant)) {
      c_.Inside(base);
      base = In(base, 0);
    }
    const int head_axis = cached_ ? 2 : 1;
    if (base.rank() != head_axis + 2)
      return c_.Miss(top, absl::StrCat(what, " has another rank than q"));
    const int64_t heads = a_.q.dim(1).bound();
    const int64_t groups = base.dim(head_axis).bound();
    // One head for all queries may also be stretched by the product itself.
    const bool stretched = groups == 1 && p.repeat == 1;
    if ((p.repeat != 1 && p.repeat_axis != head_axis) ||
        (groups * p.repeat != heads && !stretched))
      return c_.Miss(top, absl::StrCat("does not widen ", groups, " heads of ",
                                       what, " to ", heads));
    out = base;
    return true;
  }

  bool ClassifyKeysAndValues() {
    const Value k = In(scores_, 1), v = In(product_, 1);
    Value k_slot, v_slot;
    const bool ok =
        cached_ ? ClassifyOperand(k, {0, 2, 3, 1}, "k", a_.k, k_slot) &&
                      ClassifyOperand(v, {0, 2, 1, 3}, "v", a_.v, v_slot)
                : ClassifyOperand(k, {1, 2, 0}, "k", a_.k, k_slot) &&
                      ClassifyOperand(v, {1, 0, 2}, "v", a_.v, v_slot);
    if (!ok) return false;
    if (!(k_slot == v_slot)) return c_.Miss(v, "reads other slots than k does");
    if (cached_ && k_slot.dim(0) != a_.q.dim(0))
      return c_.Miss(k, "is gathered for another number of tokens than q has");
    for (int axis = 0; axis + 1 < a_.k.rank(); ++axis)
      if (a_.k.dim(axis) != a_.v.dim(axis))
        return c_.Miss(v, absl::StrCat("is made of ", a_.v.type().ToString(),
                                       ", k of ", a_.k.type().ToString()));
    a_.step.slot = k_slot;
    // With a soft-cap, what multiplies the scores lies below the tanh, where
    // the cap itself is one more factor.
    a_.options.scale = factor_;
    return true;
  }

  bool CheckMask() {
    if (mask_.graph() == nullptr) return true;
    const Attrs& attrs = From(mask_).attrs;
    if (attrs.Int("query_axis") != (cached_ ? 0 : 1))
      return c_.Miss(mask_, "counts queries along another axis");
    a_.options.causal = attrs.Int("causal") != 0;
    a_.options.window = attrs.Int("window");
    a_.step.pos = In(mask_, 1);
    return true;
  }

  bool CheckAlibi() {
    if (alibi_.graph() == nullptr) return true;
    if (From(alibi_).attrs.Int("query_axis") != (cached_ ? 0 : 1))
      return c_.Miss(alibi_, "counts queries along another axis");
    if (a_.step.pos.graph() != nullptr && !(a_.step.pos == In(alibi_, 1)))
      return c_.Miss(alibi_, "has other positions than the mask");
    a_.step.pos = In(alibi_, 1);
    return true;
  }

  bool CheckBias() {
    if (a_.bias.graph() == nullptr) return true;
    if (sum_.shape() != scores_.shape())
      return c_.Miss(a_.bias, "as a bias stretches the scores");
    return true;
  }

  // The softmax's second operand: f32[H] seen as [H, 1, 1].
  bool CheckSinks() {
    if (From(probabilities_).inputs.size() < 2) return true;
    const Value column = In(probabilities_, 1);
    const Dim heads = a_.q.dim(1);
    if (!Is(column, kReshape) || column.shape() != Shape({heads, 1, 1}) ||
        In(column, 0).shape() != Shape({heads}))
      return c_.Miss(column, "as sinks is no f32[H] reshaped to [H, 1, 1]");
    a_.sinks = In(column, 0);
    return true;
  }

  // The result in [T, H, E]: the reader of the product that restores that
  // order, or the product itself.
  void FindRoot() {
    c_.root = product_;
    const Node* reader = OnlyReader(product_);
    if (reader == nullptr) return;
    const Value out(graph_, reader->outputs[0]);
    const auto perm = reader->attrs.Ints("perm");
    const std::vector<int64_t> swap = {1, 0, 2};
    const bool merged =
        cached_
            ? reader->op == &kReshape && out.rank() == 3 &&
                  out.dim(0) == product_.dim(0) && out.dim(1) == product_.dim(1)
            : reader->op == &kPermute && std::equal(perm.begin(), perm.end(),
                                                    swap.begin(), swap.end());
    if (!merged) return;
    c_.Inside(product_);
    c_.root = out;
    root_is_merged_ = true;
  }

  Graph* graph_;
  Classification& c_;
  Value probabilities_, product_, scores_, mask_, alibi_, sum_;
  FusedAttention a_;
  double factor_ = 1;
  bool capped_ = false;
  bool cached_ = false;  // keys and values are states, read by slot
  bool root_is_merged_ = false;
};

}  // namespace

Rule AttentionRule() {
  return Rule("attention").Classify(kSoftmax, [](Value v, Classification& c) {
    return AttentionClassifier(v, c).Run();
  });
}

}  // namespace weft::inline v0
