// append: rows of f32 into a state. One task per head, which stores that head
// of every token, so that of two tokens with one place the last wins.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/state.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "graph/blocks/blocks.h"
#include "ops/gather.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// ---- Rows of f32 to the state's dtype, rounded to nearest even ----

void StoreRow(const float* x, int64_t n, BlockF32* y) {
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    StorePart(LoadPart(d, x + i, lanes), d, &y->value + i, lanes);
  });
}

void StoreRow(const float* x, int64_t n, BlockF16* y) {
  const hn::Rebind<hwy::float16_t, D> d16;
  hwy::float16_t* to = reinterpret_cast<hwy::float16_t*>(y);
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto half = hn::DemoteTo(d16, LoadPart(d, x + i, lanes));
    hn::StoreN(half, d16, to + i, static_cast<size_t>(lanes));
  });
}

// In integers, as F32ToBF16: the instructions for it flush subnormals.
void StoreRow(const float* x, int64_t n, BlockBF16* y) {
  const hn::RebindToUnsigned<D> d32;
  const hn::Rebind<uint16_t, D> d16;
  uint16_t* to = reinterpret_cast<uint16_t*>(y);
  ForEachVector(D(), n, [&](auto d, int64_t i, int64_t lanes) HWY_ATTR {
    const auto v = LoadPart(d, x + i, lanes);
    const auto bits = hn::BitCast(d32, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d32, 1));
    const auto rounded =
        hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d32, 0x7FFF))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d32, 0x40));
    const auto is_nan = hn::RebindMask(d32, hn::IsNaN(v));
    hn::StoreN(hn::TruncateTo(d16, hn::IfThenElse(is_nan, quiet, rounded)), d16,
               to + i, static_cast<size_t>(lanes));
  });
}

// ---- Places ----

// Rows per token: x is [T, ...], the state [slots, context, ...].
int64_t Heads(const KernelArgs& a) {
  const View& x = a.in[1];
  return x.rank < 2 ? 1 : x.rows() / x.dim(0);
}

// Bytes from the start of an element of `v` to its row `head`, where an element
// is what follows the first `axes` dims.
int64_t HeadOffset(const View& v, int axes, int64_t head) {
  int64_t offset = 0;
  for (int axis = v.rank - 2; axis >= axes; --axis) {
    offset += head % v.dim(axis) * v.stride(axis);
    head /= v.dim(axis);
  }
  return offset;
}

bool InTable(const KernelArgs& a, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return true;
  a.bad_index->store(index, std::memory_order_relaxed);
  return false;
}

template <class Block>
void Append(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& state = a.out[0];
  const View& x = a.in[1];
  const int32_t* slot = a.in[2].As<const int32_t>();
  const int32_t* pos = a.in[3].As<const int32_t>();
  const int64_t n = x.rank < 2 ? 1 : x.row_length();
  for (int64_t head = begin; head < end; ++head) {
    const std::byte* from = x.data + HeadOffset(x, 1, head);
    std::byte* to = state.data + HeadOffset(state, 2, head);
    for (int64_t t = 0; t < x.dim(0); ++t) {
      if (!InTable(a, slot[t], state.dim(0)) ||
          !InTable(a, pos[t], state.dim(1)))
        continue;
      const int64_t place =
          slot[t] * state.stride(0) + pos[t] * state.stride(1);
      StoreRow(reinterpret_cast<const float*>(from + t * x.stride(0)), n,
               reinterpret_cast<Block*>(to + place));
    }
  }
}

double HeadNs(const KernelArgs& a) {
  const double row = 10 + static_cast<double>(a.in[1].row_length()) / 8;
  return static_cast<double>(a.in[1].dim(0)) * row;
}

template <class Block>
bool Supports(const Graph& graph, const Node& node) {
  return graph.value(node.inputs[0]).type.dtype == Block::kType;
}

template <class Block>
void AddFormat(KernelList& out) {
  out.push_back({.op = &kAppend,
                 .name = KernelName<"append.", Block>(),
                 .supports = Supports<Block>,
                 .strided = 0b11,
                 .tasks = Heads,
                 .task_ns = HeadNs,
                 .run = Append<Block>});
}

void AddKernels(KernelList& out) {
  AddFormat<BlockF32>(out);
  AddFormat<BlockF16>(out);
  AddFormat<BlockBF16>(out);
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
void AddStateKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
