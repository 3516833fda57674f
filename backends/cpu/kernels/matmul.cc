// y = a b for f32 matrices with batch dimensions, either operand transposed.
//
// Each output is one lane's sum over k in order, whatever computes it: results
// do not depend on the number of rows or on threads. Two stages: all of b into
// panels, then blocks of rows and columns, for which each worker packs its part
// of a. A few rows (a decode step) read b as it lies.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/matmul.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/kernels/product-inl.h"
#include "backends/cpu/pick_target.h"
#include "backends/cpu/simd-inl.h"
#include "ops/fused.h"
#include "ops/matmul.h"

HWY_BEFORE_NAMESPACE();
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;

// Rows and columns of a task. A multiple of 4, 6 and 8 rows; small enough that
// the gradient of a matrix of 128 x 256 is several tasks, large enough that
// packing a for 256 columns costs little.
constexpr int64_t kBlockRows = 48;
constexpr int64_t kBlockColumns = 256;
// Of k: a panel of b (16 KB with 512-bit vectors) then stays in L1 while the
// rows pass by.
constexpr int64_t kBlockK = 128;
// Floats of a block's part of a.
constexpr int64_t kBlockPanels =
    kBlockRows / kTileRows * PanelStride(kBlockK, kTileRows);
// With fewer rows packing b costs more than it gives.
constexpr int64_t kPackRows = 4;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// An operand as it is multiplied: strides in floats.
struct Operand {
  const View* view;
  int64_t rows, columns;
  int64_t row_stride, column_stride;

  Operand(const View& v, bool transposed) : view(&v) {
    rows = v.dim(-2);
    columns = v.dim(-1);
    row_stride = v.stride(-2) / static_cast<int64_t>(sizeof(float));
    column_stride = 1;
    if (!transposed) return;
    std::swap(rows, columns);
    std::swap(row_stride, column_stride);
  }

  // How many matrices there are.
  int64_t batches() const { return view->rows() / view->dim(-2); }

  // The matrix that belongs to batch `index` of y: batch dims are aligned at
  // the end, and those of 1 are stretched.
  int64_t BatchOf(const View& y, int64_t index) const {
    int64_t batch = 0, size = 1;
    const int missing = y.rank - view->rank;
    for (int axis = y.rank - 3; axis >= missing; --axis) {
      const int64_t i = index % y.dim(axis);
      index /= y.dim(axis);
      const int64_t dim = view->dim(axis - missing);
      if (dim != 1) batch += i * size;
      size *= dim;
    }
    return batch;
  }

  // Where element (row, column) of that matrix lies.
  const float* At(int64_t batch, int64_t row, int64_t column) const {
    return view->RowAs<const float>(batch * view->dim(-2)) + row * row_stride +
           column * column_stride;
  }
};

struct Product {
  explicit Product(const KernelArgs& args)
      : a(args.in[0], TransposedOperand(args) == 0),
        b(args.in[1], TransposedOperand(args) == 1),
        y(args.out[0]),
        m(a.rows),
        k(a.columns),
        n(b.columns),
        width(TileColumns()),
        packs(m >= kPackRows || TransposedOperand(args) >= 0),
        panels(CeilDiv(n, width)),
        row_blocks(packs ? CeilDiv(m, kBlockRows) : m),
        column_blocks(CeilDiv(n, kBlockColumns)) {}

  int64_t tasks() const {
    return y.rows() / y.dim(-2) * row_blocks * column_blocks;
  }
  int64_t panel_size() const { return width * k; }

  // 0 or 1; -1: none.
  static int64_t TransposedOperand(const KernelArgs& args) {
    return args.params->attrs->Int("transposed", -1);
  }

  const Operand a, b;
  const View& y;
  const int64_t m, k, n;
  const int64_t width;  // of a panel of b
  const bool packs;
  const int64_t panels, row_blocks, column_blocks;
};

// ---- First stage: a task per panel of b ----

int64_t PackTasks(const KernelArgs& args) {
  const Product p(args);
  return p.packs ? p.b.batches() * p.panels : 0;
}

void PackB(const KernelArgs& args, int64_t begin, int64_t end) {
  const Product p(args);
  float* panels = reinterpret_cast<float*>(args.shared);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t column = task % p.panels * p.width;
    PackLanes({.from = p.b.At(task / p.panels, 0, column),
               .lane_stride = p.b.column_stride,
               .k_stride = p.b.row_stride,
               .count = std::min(p.width, p.n - column)},
              p.k, ColumnsWidth(), 1, panels + task * p.panel_size());
  }
}

// ---- Second stage: a task per block of y ----

// What a task computes: `rows` x `columns` of y.
struct Block {
  int64_t batch, row, rows, column, columns;

  Block(const Product& p, int64_t task) {
    column = task % p.column_blocks * kBlockColumns;
    columns = std::min(kBlockColumns, p.n - column);
    task /= p.column_blocks;
    row = task % p.row_blocks * (p.packs ? kBlockRows : 1);
    rows = std::min(p.packs ? kBlockRows : 1, p.m - row);
    batch = task / p.row_blocks;
  }

  float* Y(const Product& p) const {
    return p.y.As<float>() + (batch * p.m + row) * p.n + column;
  }
};

// Where the tile of rows from `r` on of a block is read: as it lies, or packed.
struct TileRows {
  const float* from;
  int64_t row_stride, k_stride;
};

// Columns of k from `k` on of a block's rows. Whole tiles of rows that lie
// along k are read as they lie; else they are packed, the last few padded.
class BlockRows {
 public:
  BlockRows(const Product& p, const Block& block, int64_t k, int64_t depth,
            float* scratch)
      : a_(p.a),
        at_(p.a.At(p.a.BatchOf(p.y, block.batch), block.row, k)),
        depth_(depth),
        scratch_(scratch),
        packed_from_(p.a.column_stride == 1 || block.columns <= p.width
                         ? block.rows / kTileRows * kTileRows
                         : 0) {
    const int64_t rest = block.rows - packed_from_;
    PackLanes({.from = at_ + packed_from_ * a_.row_stride,
               .lane_stride = a_.row_stride,
               .k_stride = a_.column_stride,
               .count = rest},
              depth, RowsWidth(), CeilDiv(rest, kTileRows), scratch);
  }

  TileRows At(int64_t r) const {
    if (r < packed_from_)
      return {at_ + r * a_.row_stride, a_.row_stride, a_.column_stride};
    const int64_t panel = (r - packed_from_) / kTileRows;
    return {scratch_ + panel * PanelStride(depth_, kTileRows), 1, kTileRows};
  }

 private:
  const Operand& a_;
  const float* at_;
  int64_t depth_;
  float* scratch_;
  int64_t packed_from_;  // row
};

// Columns of k from `k` on: every tile of rows with every panel.
void RunSlice(const Product& p, const Block& block, int64_t k, int64_t depth,
              const float* panels, float* scratch) {
  const BlockRows block_rows(p, block, k, depth, scratch);
  float* edge = scratch + kBlockPanels;
  for (int64_t c = 0; c < block.columns; c += p.width) {
    const float* panel =
        panels + (block.column + c) / p.width * p.panel_size() + k * p.width;
    const int64_t columns = std::min(p.width, block.columns - c);
    for (int64_t r = 0; r < block.rows; r += kTileRows) {
      const int64_t rows = std::min(kTileRows, block.rows - r);
      const TileRows a = block_rows.At(r);
      const TileArgs tile = {.a = a.from,
                             .a_row = a.row_stride,
                             .a_k = a.k_stride,
                             .b = panel,
                             .k = depth,
                             .first = k == 0,
                             .y = block.Y(p) + r * p.n + c,
                             .y_stride = p.n};
      if (rows == kTileRows && columns == p.width) {
        RunTile(tile);
      } else {
        RunPartOfTile(tile, rows, columns, edge);
      }
    }
  }
}

// Row `a` of k values, one after the other, times columns of b as it lies.
void RunRow(const Product& p, const Block& block) {
  const D d;
  const float* a = p.a.At(p.a.BatchOf(p.y, block.batch), block.row, 0);
  const float* first = p.b.At(p.b.BatchOf(p.y, block.batch), 0, block.column);
  float* y = block.Y(p);
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  int64_t j = 0;
  for (; j + 4 * step <= block.columns; j += 4 * step) {
    auto sum0 = hn::Zero(d), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    const float* b = first + j;
    for (int64_t k = 0; k < p.k; ++k, b += p.b.row_stride) {
      const auto x = hn::Set(d, a[k]);
      sum0 = hn::MulAdd(x, hn::LoadU(d, b), sum0);
      sum1 = hn::MulAdd(x, hn::LoadU(d, b + step), sum1);
      sum2 = hn::MulAdd(x, hn::LoadU(d, b + 2 * step), sum2);
      sum3 = hn::MulAdd(x, hn::LoadU(d, b + 3 * step), sum3);
    }
    hn::StoreU(sum0, d, y + j);
    hn::StoreU(sum1, d, y + j + step);
    hn::StoreU(sum2, d, y + j + 2 * step);
    hn::StoreU(sum3, d, y + j + 3 * step);
  }
  for (; j < block.columns; j += step) {
    auto sum = hn::Zero(d);
    const float* b = first + j;
    for (int64_t k = 0; k < p.k; ++k, b += p.b.row_stride)
      sum =
          hn::MulAdd(hn::Set(d, a[k]), LoadPart(d, b, block.columns - j), sum);
    StorePart(sum, d, y + j, block.columns - j);
  }
}

int64_t Tasks(const KernelArgs& args) { return Product(args).tasks(); }

void MatMul(const KernelArgs& args, int64_t begin, int64_t end) {
  const Product p(args);
  const float* panels = reinterpret_cast<const float*>(args.shared);
  float* scratch = reinterpret_cast<float*>(args.scratch);
  for (int64_t task = begin; task < end; ++task) {
    const Block block(p, task);
    if (!p.packs) {
      RunRow(p, block);
      continue;
    }
    const float* of_batch =
        panels + p.b.BatchOf(p.y, block.batch) * p.panels * p.panel_size();
    for (int64_t k = 0; k < p.k; k += kBlockK)
      RunSlice(p, block, k, std::min(kBlockK, p.k - k), of_batch, scratch);
  }
}

int64_t SharedBytes(const KernelArgs& args) {
  const Product p(args);
  return PackTasks(args) * p.panel_size() * static_cast<int64_t>(sizeof(float));
}

// A block of a, and a tile for the edges.
int64_t ScratchBytes(const KernelArgs&) {
  return (kBlockPanels + kTileRows * TileColumns()) *
         static_cast<int64_t>(sizeof(float));
}

// About two values a nanosecond, transposed or not.
double PackNs(const KernelArgs& args) {
  return 10 + static_cast<double>(Product(args).panel_size()) / 2;
}

// About 40 multiply-adds a nanosecond in tiles, 8 in rows.
double TaskNs(const KernelArgs& args) {
  const Product p(args);
  const int64_t rows = p.packs ? std::min(kBlockRows, p.m) : 1;
  const int64_t columns = std::min(kBlockColumns, p.n);
  return 10 + static_cast<double>(rows * columns * p.k) / (p.packs ? 40 : 8);
}

void AddProduct(const OpDef& op, KernelList& out) {
  out.push_back({.op = &op,
                 .name = op.name,
                 .strided = 0b11,
                 .tasks = PackTasks,
                 .task_ns = PackNs,
                 .scratch_bytes = ScratchBytes,
                 .shared_bytes = SharedBytes,
                 .run = PackB,
                 .finish_tasks = Tasks,
                 .finish_ns = TaskNs,
                 .finish = MatMul});
}

void AddKernels(KernelList& out) {
  AddProduct(kMatMul, out);
  AddProduct(kMatMulTransposed, out);
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
void AddMatMulKernels(TargetMask targets, KernelList& out) {
  PickTarget(HWY_DISPATCH_TABLE(AddKernels), targets)(out);
}
}  // namespace cpu
}  // namespace weft::inline v0
#endif  // HWY_ONCE
