// gather_rows of f32 tables, qgather of every stored format. One task per row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/gather.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernel_name.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/decode_row-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/fused.h"
#include "ops/gather.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Whether the id is one of the table; reports it otherwise.
bool IsRow(const KernelArgs& a, int64_t id) {
  if (id >= 0 && id < a.in[0].dim(0)) return true;
  a.bad_index->store(id, std::memory_order_relaxed);
  return false;
}

// A table of single values: the output is one row.
void GatherValues(const KernelArgs& a) {
  const float* table = a.in[0].As<const float>();
  const int32_t* ids = a.in[1].As<const int32_t>();
  float* y = a.out[0].As<float>();
  for (int64_t t = 0; t < a.out[0].dim(0); ++t)
    y[t] = IsRow(a, ids[t]) ? table[ids[t]] : 0.0f;
}

// An element of the table is one or more rows ([N, C, G, D] has C * G).
void GatherRows(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& table = a.in[0];
  const View& out = a.out[0];
  if (table.rank == 1) {
    if (begin < end) GatherValues(a);
    return;
  }
  const int32_t* ids = a.in[1].As<const int32_t>();
  const int64_t n = out.row_length();
  const int64_t inner = out.rows() / out.dim(0);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t id = ids[r / inner];
    float* y = out.RowAs<float>(r);
    if (IsRow(a, id)) {
      std::copy_n(table.RowAs<const float>(id * inner + r % inner), n, y);
    } else {
      std::fill_n(y, n, 0.0f);
    }
  }
}

template <class Block>
void QGather(const KernelArgs& a, int64_t begin, int64_t end) {
  const int32_t* ids = a.in[1].As<const int32_t>();
  const int64_t n = a.out[0].row_length();
  for (int64_t t = begin; t < end; ++t) {
    float* y = a.out[0].RowAs<float>(t);
    if (IsRow(a, ids[t])) {
      DecodeRow<Block>(a.in[0].Row(ids[t]), n, y);
    } else {
      std::fill_n(y, n, 0.0f);
    }
  }
}

// [N, K] only: the expansion also types tables of other ranks.
template <class Block>
bool Supports(const Graph& graph, const Node& node) {
  const TensorType& table = graph.value(node.inputs[0]).type;
  return table.dtype == Block::kType && table.shape.rank() == 2;
}

template <class Block>
void AddFormat(KernelList& out) {
  out.push_back({.op = &kQGather,
                 .name = KernelName<"qgather.", Block>(),
                 .supports = Supports<Block>,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = QGather<Block>});
}

template <class... Bs>
void AddFormats(TypeList<Bs...>, KernelList& out) {
  (AddFormat<Bs>(out), ...);
}

void AddKernels(KernelList& out) {
  out.push_back({.op = &kGatherRows,
                 .name = "gather_rows",
                 .strided = 0b1,
                 .tasks = RowTasks,
                 .task_ns = RowNs,
                 .run = GatherRows});
  AddFormats(Blocks(), out);
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
void AddGatherKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
