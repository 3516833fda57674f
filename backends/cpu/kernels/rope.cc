// rope_table and rotate.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/rope.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>
#include <cmath>
#include <numbers>

#include "backends/cpu/kernels.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/rope.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// ---- rope_table: a task per token; the formulas are in the op's doc ----

// YaRN's r: the share of pair i's frequency that is not scaled.
class YarnShare {
 public:
  explicit YarnShare(const Attrs& attrs)
      : ext_factor_(attrs.Float("ext_factor")) {
    if (ext_factor_ == 0) return;
    const double n = static_cast<double>(attrs.Int("n_dims"));
    const double context = static_cast<double>(attrs.Int("original_context"));
    const double log_base = std::log(attrs.Float("freq_base"));
    const auto pair_of_turns = [&](double turns) {
      return n * std::log(context / (2 * std::numbers::pi * turns)) /
             (2 * log_base);
    };
    low_ = std::max(0.0, std::floor(pair_of_turns(attrs.Float("beta_fast"))));
    const double high =
        std::min(n - 1, std::ceil(pair_of_turns(attrs.Float("beta_slow"))));
    width_ = std::max(0.001, high - low_);
  }

  double Of(int64_t i) const {
    if (ext_factor_ == 0) return 0;
    const double pair = static_cast<double>(i);
    return ext_factor_ * (1 - std::clamp((pair - low_) / width_, 0.0, 1.0));
  }

 private:
  double ext_factor_;
  double low_ = 0, width_ = 1;
};

// The angle of each pair per unit of position.
void Frequencies(const KernelArgs& a, double* frequencies) {
  const Attrs& attrs = *a.params->attrs;
  const float* factors = a.in.size() > 1 ? a.in[1].As<const float>() : nullptr;
  const double base = attrs.Float("freq_base");
  const double scale = attrs.Float("freq_scale");
  const double n = static_cast<double>(attrs.Int("n_dims"));
  const YarnShare share(attrs);
  for (int64_t i = 0; i < a.out[0].dim(1); ++i) {
    const double plain = std::pow(base, -2 * static_cast<double>(i) / n) /
                         (factors != nullptr ? factors[i] : 1.0);
    const double r = share.Of(i);
    frequencies[i] = (1 - r) * scale * plain + r * plain;
  }
}

int64_t RopeTableScratch(const KernelArgs& a) {
  return a.out[0].dim(1) * static_cast<int64_t>(sizeof(double));
}

// Angles in double: at position 4096 an angle in f32 is off by 2e-4.
void RopeTable(const KernelArgs& a, int64_t begin, int64_t end) {
  double* frequencies = reinterpret_cast<double*>(a.scratch);
  Frequencies(a, frequencies);
  const double magnitude = a.params->attrs->Float("magnitude");
  const int32_t* pos = a.in[0].As<const int32_t>();
  const int64_t pairs = a.out[0].dim(1);
  for (int64_t t = begin; t < end; ++t) {
    float* y = a.out[0].As<float>() + t * pairs * 2;
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = pos[t] * frequencies[i];
      y[2 * i] = static_cast<float>(std::cos(angle) * magnitude);
      y[2 * i + 1] = static_cast<float>(std::sin(angle) * magnitude);
    }
  }
}

int64_t Tokens(const KernelArgs& a) { return a.out[0].dim(0); }

// A cosine and a sine per pair.
double RopeTableNs(const KernelArgs& a) {
  return 30 * static_cast<double>(a.out[0].dim(1));
}

// ---- rotate: a task per head ----

// Pairs (2i, 2i + 1): x and the table are interleaved alike.
//   y = x * (c, c) + (b, a) * (-s, s)
void RotateAdjacent(const float* x, const float* table, int64_t pairs,
                    float* y) {
  const hn::ScalableTag<float> any;
  ForEachVector(any, 2 * pairs, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto ab = LoadPart(d, x + i, lanes);
    const auto cs = LoadPart(d, table + i, lanes);
    const auto crossed = hn::Mul(hn::Reverse2(d, ab), hn::DupOdd(cs));
    StorePart(hn::MulAddSub(ab, hn::DupEven(cs), crossed), d, y + i, lanes);
  });
}

// One vector of pairs (i, i + pairs).
template <class DF>
HWY_INLINE void RotateHalvesAt(DF d, const float* x, const float* table,
                               int64_t pairs, int64_t i, float* y) {
  hn::Vec<DF> cos, sin;
  hn::LoadInterleaved2(d, table + 2 * i, cos, sin);
  const auto a = hn::LoadU(d, x + i);
  const auto b = hn::LoadU(d, x + pairs + i);
  hn::StoreU(hn::NegMulAdd(b, sin, hn::Mul(a, cos)), d, y + i);
  hn::StoreU(hn::MulAdd(b, cos, hn::Mul(a, sin)), d, y + pairs + i);
}

void RotateHalves(const float* x, const float* table, int64_t pairs, float* y) {
  const hn::ScalableTag<float> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + step <= pairs; i += step) RotateHalvesAt(d, x, table, pairs, i, y);
  // Interleaved loads have no partial form.
  for (; i < pairs; ++i)
    RotateHalvesAt(hn::CappedTag<float, 1>(), x, table, pairs, i, y);
}

void Rotate(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& table = a.in[1];
  const int64_t heads = a.out[0].dim(1);
  const int64_t size = a.out[0].dim(2);
  const int64_t pairs = table.dim(1);
  for (int64_t r = begin; r < end; ++r) {
    const float* x = a.in[0].RowAs<const float>(r);
    const float* angles = table.As<const float>() + r / heads * pairs * 2;
    float* y = a.out[0].RowAs<float>(r);
    if (a.params->adjacent) {
      RotateAdjacent(x, angles, pairs, y);
    } else {
      RotateHalves(x, angles, pairs, y);
    }
    if (x != y) std::copy(x + 2 * pairs, x + size, y + 2 * pairs);
  }
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kRopeTable,
                 .name = "rope_table",
                 .tasks = Tokens,
                 .task_ns = RopeTableNs,
                 .scratch_bytes = RopeTableScratch,
                 .run = RopeTable});
  out.push_back({.op = &kRotate,
                 .name = "rotate",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = Rotate});
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace weft::inline v0 {
namespace cpu {
HWY_EXPORT(AddKernels);
void AddRopeKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
