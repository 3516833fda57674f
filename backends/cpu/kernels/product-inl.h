// Tiles of f32 products, and the panels that they read: what matmul.cc is made
// of. Per-target code.
//
// A panel holds the lanes of a tile side by side for each k: of a kTileRows
// rows, of b the columns of kTileVectors vectors. Either operand is read with
// any strides while it is packed, so that a transposed one costs no copy.
#if defined(WEFT_BACKENDS_CPU_KERNELS_PRODUCT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef WEFT_BACKENDS_CPU_KERNELS_PRODUCT_INL_H_
#undef WEFT_BACKENDS_CPU_KERNELS_PRODUCT_INL_H_
#else
#define WEFT_BACKENDS_CPU_KERNELS_PRODUCT_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "backends/cpu/simd-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using ProductD = hn::ScalableTag<float>;

// Sums that registers hold: with 32 of them (AVX-512, NEON) 16 vectors, which
// cover the latency of two multiply-adds a cycle; with 16 registers 12. SVE
// vectors cannot stand in arrays.
constexpr int64_t kTileVectors = 2;
#if HWY_HAVE_SCALABLE || HWY_TARGET_IS_SVE
constexpr int64_t kTileRows = 4;
#elif HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr int64_t kTileRows = 8;
#else
constexpr int64_t kTileRows = 6;
#endif

HWY_INLINE int64_t TileColumns() {
  return kTileVectors * static_cast<int64_t>(hn::Lanes(ProductD()));
}

// Lanes of an operand along k: element (lane, k) is from[lane * lane_stride +
// k * k_stride]; one of the strides is 1.
struct Lanes {
  const float* from;
  int64_t lane_stride, k_stride;
  int64_t count;  // those beyond become zeros
};

// The rows 4 x 4 at `from`, `stride` floats apart, as columns of `to`.
HWY_INLINE void TransposeFour(const float* from, int64_t stride, float* to,
                              int64_t to_stride) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<uint64_t, 2> wide;
  const auto pairs = [&](auto a, auto b) HWY_ATTR {
    return hn::BitCast(wide, hn::InterleaveLower(d, a, b));
  };
  const auto upper_pairs = [&](auto a, auto b) HWY_ATTR {
    return hn::BitCast(wide, hn::InterleaveUpper(d, a, b));
  };
  const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + stride),
             r2 = hn::LoadU(d, from + 2 * stride),
             r3 = hn::LoadU(d, from + 3 * stride);
  const auto low01 = pairs(r0, r1), low23 = pairs(r2, r3);
  const auto high01 = upper_pairs(r0, r1), high23 = upper_pairs(r2, r3);
  const auto store = [&](int64_t k, auto v) HWY_ATTR {
    hn::StoreU(hn::BitCast(d, v), d, to + k * to_stride);
  };
  store(0, hn::InterleaveLower(wide, low01, low23));
  store(1, hn::InterleaveUpper(wide, low01, low23));
  store(2, hn::InterleaveLower(wide, high01, high23));
  store(3, hn::InterleaveUpper(wide, high01, high23));
}

// Lanes whose values along k lie together, four at a time.
HWY_INLINE void PackAcross(const Lanes& in, int64_t k, int64_t width,
                           float* to) {
  int64_t lane = 0;
  for (; lane + 4 <= std::min(in.count, width); lane += 4) {
    const float* from = in.from + lane * in.lane_stride;
    int64_t i = 0;
    for (; i + 4 <= k; i += 4)
      TransposeFour(from + i, in.lane_stride, to + i * width + lane, width);
    for (; i < k; ++i)
      for (int64_t l = 0; l < 4; ++l)
        to[i * width + lane + l] = from[l * in.lane_stride + i];
  }
  for (; lane < width; ++lane)
    for (int64_t i = 0; i < k; ++i)
      to[i * width + lane] =
          lane < in.count ? in.from[lane * in.lane_stride + i] : 0.0f;
}

// The width of a panel of a, known to the compiler; that of b is TileColumns().
struct RowsWidth {
  constexpr operator int64_t() const { return kTileRows; }
  HWY_INLINE void Copy(const float* from, float* to) const {
    std::memcpy(to, from, kTileRows * sizeof(float));
  }
};
struct ColumnsWidth {
  operator int64_t() const { return TileColumns(); }
  HWY_INLINE void Copy(const float* from, float* to) const {
    const ProductD d;
    const size_t n = hn::Lanes(d);
    hn::StoreU(hn::LoadU(d, from), d, to);
    hn::StoreU(hn::LoadU(d, from + n), d, to + n);
  }
};

// Floats from a panel to the next. A cache line more than they hold: 128 k of 8
// rows are 4 KB, and rows of several panels written in turn would drive each
// other out of the cache.
constexpr int64_t PanelStride(int64_t k, int64_t width) {
  return k * width + 16;
}

// `panels` panels of `width` lanes each, PanelStride() apart:
// to[panel][k][width].
template <class Width>
HWY_INLINE void PackLanes(Lanes in, int64_t k, Width width, int64_t panels,
                          float* to) {
  if (in.lane_stride != 1) {
    for (; panels > 0; --panels, to += PanelStride(k, width)) {
      PackAcross(in, k, width, to);
      in.from += width * in.lane_stride;
      in.count -= width;
    }
    return;
  }
  for (int64_t i = 0; i < k; ++i, in.from += in.k_stride) {
    for (int64_t p = 0; p < panels; ++p) {
      const float* from = in.from + p * width;
      float* at = to + p * PanelStride(k, width) + i * width;
      const int64_t lanes = in.count - p * width;
      if (lanes >= width) {
        width.Copy(from, at);
      } else {
        std::copy_n(from, lanes, at);
        std::fill(at + lanes, at + width, 0.0f);
      }
    }
  }
}

// A whole tile: y += a b over `k`, or = where nothing was added yet. Each
// element is one chain of multiply-adds, continued from y: cutting k changes no
// bit.
struct TileArgs {
  const float* a;  // element (row, k) at a[row * a_row + k * a_k]
  int64_t a_row, a_k;
  const float* b;  // [k][TileColumns()]
  int64_t k;
  bool first;
  float* y;
  int64_t y_stride;
};

#if !HWY_HAVE_SCALABLE && !HWY_TARGET_IS_SVE

HWY_NOINLINE void RunTile(const TileArgs& t) {
  const ProductD d;
  constexpr int64_t kN = static_cast<int64_t>(hn::MaxLanes(ProductD()));
  hn::Vec<ProductD> sums[kTileRows][kTileVectors];
  HWY_UNROLL(8)
  for (int64_t r = 0; r < kTileRows; ++r) HWY_UNROLL(2)
  for (int64_t v = 0; v < kTileVectors; ++v)
    sums[r][v] =
        t.first ? hn::Zero(d) : hn::LoadU(d, t.y + r * t.y_stride + v * kN);
  const float* a[kTileRows];
  for (int64_t r = 0; r < kTileRows; ++r) a[r] = t.a + r * t.a_row;
  const float* b = t.b;
  const int64_t end = t.k * t.a_k;
  for (int64_t k = 0; k < end; k += t.a_k, b += kTileVectors * kN) {
    const auto b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + kN);
    HWY_UNROLL(8) for (int64_t r = 0; r < kTileRows; ++r) {
      const auto x = hn::Set(d, a[r][k]);
      sums[r][0] = hn::MulAdd(x, b0, sums[r][0]);
      sums[r][1] = hn::MulAdd(x, b1, sums[r][1]);
    }
  }
  HWY_UNROLL(8)
  for (int64_t r = 0; r < kTileRows; ++r) HWY_UNROLL(2)
  for (int64_t v = 0; v < kTileVectors; ++v)
    hn::StoreU(sums[r][v], d, t.y + r * t.y_stride + v * kN);
}

#else  // SVE

HWY_NOINLINE void RunTile(const TileArgs& t) {
  const ProductD d;
  const int64_t n = static_cast<int64_t>(hn::Lanes(d));
  const auto begin = [&](int64_t r, int64_t v) HWY_ATTR {
    auto sum = hn::Zero(d);
    if (!t.first) sum = hn::LoadU(d, t.y + r * t.y_stride + v * n);
    return sum;
  };
  auto s00 = begin(0, 0), s01 = begin(0, 1), s10 = begin(1, 0),
       s11 = begin(1, 1), s20 = begin(2, 0), s21 = begin(2, 1),
       s30 = begin(3, 0), s31 = begin(3, 1);
  const float* a = t.a;
  const float* b = t.b;
  for (int64_t k = 0; k < t.k; ++k, a += t.a_k, b += kTileVectors * n) {
    const auto b0 = hn::LoadU(d, b), b1 = hn::LoadU(d, b + n);
    const auto x0 = hn::Set(d, a[0]), x1 = hn::Set(d, a[t.a_row]),
               x2 = hn::Set(d, a[2 * t.a_row]), x3 = hn::Set(d, a[3 * t.a_row]);
    s00 = hn::MulAdd(x0, b0, s00);
    s01 = hn::MulAdd(x0, b1, s01);
    s10 = hn::MulAdd(x1, b0, s10);
    s11 = hn::MulAdd(x1, b1, s11);
    s20 = hn::MulAdd(x2, b0, s20);
    s21 = hn::MulAdd(x2, b1, s21);
    s30 = hn::MulAdd(x3, b0, s30);
    s31 = hn::MulAdd(x3, b1, s31);
  }
  const auto store = [&](int64_t r, auto v0, auto v1) HWY_ATTR {
    hn::StoreU(v0, d, t.y + r * t.y_stride);
    hn::StoreU(v1, d, t.y + r * t.y_stride + n);
  };
  store(0, s00, s01);
  store(1, s10, s11);
  store(2, s20, s21);
  store(3, s30, s31);
}

#endif  // SVE

// A tile at the edge: `rows` x `columns` of it are of y; `whole` is room for a
// tile.
HWY_INLINE void RunPartOfTile(TileArgs t, int64_t rows, int64_t columns,
                              float* whole) {
  const int64_t width = TileColumns();
  float* y = t.y;
  const int64_t y_stride = t.y_stride;
  for (int64_t r = 0; r < rows && !t.first; ++r)
    std::copy_n(y + r * y_stride, columns, whole + r * width);
  t.y = whole;
  t.y_stride = width;
  RunTile(t);
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(whole + r * width, columns, y + r * y_stride);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
HWY_AFTER_NAMESPACE();

#endif  // WEFT_BACKENDS_CPU_KERNELS_PRODUCT_INL_H_
