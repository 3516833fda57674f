// matmul_by_id: rows that take the same matrix are gathered, multiplied by the
// qmatmul kernel of the weight's format, and put where they belong. Nothing
// here depends on the instruction set.
#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "graph/plan.h"
#include "ops/experts.h"
#include "ops/fused.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// Rows of a matrix per task: whole tasks of the inner kernels, and so many that
// gathering a row of x costs little beside multiplying it.
constexpr int64_t kRows = 128;
// Rows of x that are gathered at a time.
constexpr int64_t kBatch = 64;

// The operands by what they are.
struct ById {
  explicit ById(const KernelArgs& a) : args(a), x(a.in[0]), w(a.in[1]) {
    size_t next = 2;
    if (a.params->attrs->Int("has_ids") != 0) ids = &a.in[next++];
    if (a.params->attrs->Int("has_bias") != 0) bias = &a.in[next++];
    picks = a.out[0].dim(1);
    pairs = a.out[0].dim(0) * picks;
  }

  // Tasks come by matrices, or, when fewer are picked than there are, by the
  // picks: the first pick of a matrix does the work of all.
  int64_t slots() const { return std::min(pairs, w.dim(0)); }
  bool by_pick() const { return pairs < w.dim(0); }
  int64_t parts() const { return (w.dim(1) + kRows - 1) / kRows; }

  int64_t IdOf(int64_t pair) const {
    return ids == nullptr ? pair % picks : ids->As<const int32_t>()[pair];
  }
  const std::byte* XRow(int64_t pair) const {
    return x.Row(x.rank == 2 ? pair / picks : pair);
  }
  int64_t XRowBytes() const {
    const DTypeInfo& info = Info(x.dtype);
    return (x.row_length() + info.block_values - 1) / info.block_values *
           info.block_bytes;
  }

  const KernelArgs& args;
  const View &x, &w;
  const View* ids = nullptr;
  const View* bias = nullptr;
  int64_t picks, pairs;
};

// One worker's scratch: the inner kernel's, gathered rows, their products, and
// which pairs they are.
struct Scratch {
  explicit Scratch(const ById& m) {
    rows = AlignUp(InnerBytes(m));
    products = rows + AlignUp(kBatch * m.XRowBytes());
    pairs = products +
            AlignUp(kBatch * kRows * static_cast<int64_t>(sizeof(float)));
    total = pairs + AlignUp(kBatch * static_cast<int64_t>(sizeof(int64_t)));
  }
  static int64_t InnerBytes(const ById& m) {
    return m.args.inner->scratch_bytes == nullptr
               ? 0
               : m.args.inner->scratch_bytes(m.args);
  }
  int64_t rows, products, pairs, total;
};

View Matrix(std::byte* data, DType dtype, int64_t rows, int64_t columns,
            int64_t stride) {
  View v;
  v.data = data;
  v.dtype = dtype;
  v.rank = 2;
  v.dims = {rows, columns};
  v.strides = {stride, Info(dtype).block_bytes};
  return v;
}

// Rows [first, last) of matrix `id` times the rows of x of n pairs.
void Multiply(const ById& m, int64_t id, int64_t first, int64_t last,
              const int64_t* pairs, int64_t n) {
  const Scratch scratch(m);
  std::byte* memory = m.args.scratch;
  const int64_t x_bytes = m.XRowBytes(), rows = last - first;
  float* const out = m.args.out[0].As<float>();
  // One row stays where it is, and its product goes where it belongs.
  auto* x = const_cast<std::byte*>(m.XRow(pairs[0]));
  float* y = out + pairs[0] * m.w.dim(1) + first;
  if (n > 1) {
    x = memory + scratch.rows;
    y = reinterpret_cast<float*>(memory + scratch.products);
    for (int64_t i = 0; i < n; ++i)
      std::memcpy(x + i * x_bytes, m.XRow(pairs[i]),
                  static_cast<size_t>(x_bytes));
  }
  const View in[] = {
      Matrix(x, m.x.dtype, n, m.x.row_length(), x_bytes),
      Matrix(m.w.data + id * m.w.stride(0) + first * m.w.stride(1), m.w.dtype,
             rows, m.w.dim(2), m.w.stride(1))};
  const View to[] = {Matrix(reinterpret_cast<std::byte*>(y), DType::kF32, n,
                            rows, rows * static_cast<int64_t>(sizeof(float)))};
  const KernelParams params;
  KernelArgs inner;
  inner.in = in;
  inner.out = to;
  inner.params = &params;
  inner.scratch = memory;
  inner.bad_index = m.args.bad_index;
  inner.ask_order = m.args.ask_order;
  m.args.inner->run(inner, 0, m.args.inner->tasks(inner));
  for (int64_t i = 0; i < n; ++i) {
    float* row = out + pairs[i] * m.w.dim(1) + first;
    if (n > 1) std::copy_n(y + i * rows, rows, row);
    if (m.bias == nullptr) continue;
    const float* bias = m.bias->RowAs<const float>(id) + first;
    for (int64_t r = 0; r < rows; ++r) row[r] += bias[r];
  }
}

// Rows [first, last) of matrix `id` for the pairs from `pair` on that take it.
void MultiplyAll(const ById& m, int64_t id, int64_t pair, int64_t first,
                 int64_t last) {
  auto* found = reinterpret_cast<int64_t*>(m.args.scratch + Scratch(m).pairs);
  int64_t n = 0;
  for (; pair < m.pairs; ++pair) {
    if (m.IdOf(pair) != id) continue;
    found[n++] = pair;
    if (n < kBatch) continue;
    Multiply(m, id, first, last, found, n);
    n = 0;
  }
  if (n > 0) Multiply(m, id, first, last, found, n);
}

bool IsFirstPick(const ById& m, int64_t pair, int64_t id) {
  for (int64_t p = 0; p < pair; ++p)
    if (m.IdOf(p) == id) return false;
  return true;
}

// Reports ids that name no matrix; nothing is computed for them.
void CheckIds(const ById& m) {
  for (int64_t p = 0; m.ids != nullptr && p < m.pairs; ++p)
    if (m.IdOf(p) < 0 || m.IdOf(p) >= m.w.dim(0))
      m.args.bad_index->store(m.IdOf(p), std::memory_order_relaxed);
}

void Run(const KernelArgs& a, int64_t begin, int64_t end) {
  const ById m(a);
  if (begin == 0) CheckIds(m);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t slot = task / m.parts();
    const int64_t first = task % m.parts() * kRows;
    const int64_t last = std::min(m.w.dim(1), first + kRows);
    if (!m.by_pick()) {
      MultiplyAll(m, slot, 0, first, last);
      continue;
    }
    const int64_t id = m.IdOf(slot);
    if (id >= 0 && id < m.w.dim(0) && IsFirstPick(m, slot, id))
      MultiplyAll(m, id, slot, first, last);
  }
}

int64_t Tasks(const KernelArgs& a) {
  const ById m(a);
  return m.slots() * m.parts();
}

// As the inner kernel says of the mean task.
double TaskNs(const KernelArgs& a) {
  const ById m(a);
  const int64_t rows = std::min(kRows, m.w.dim(1));
  const int64_t n = std::max<int64_t>(1, m.pairs / m.slots());
  const View in[] = {
      Matrix(nullptr, m.x.dtype, n, m.x.row_length(), m.XRowBytes()),
      Matrix(nullptr, m.w.dtype, rows, m.w.dim(2), m.w.stride(1))};
  const View out[] = {Matrix(nullptr, DType::kF32, n, rows, 0)};
  KernelArgs inner;
  inner.in = in;
  inner.out = out;
  inner.params = a.params;
  return static_cast<double>(a.inner->tasks(inner)) * a.inner->task_ns(inner);
}

int64_t ScratchBytes(const KernelArgs& a) { return Scratch(ById(a)).total; }

Kernel Around(const Kernel& inner, const OpDef& op) {
  return {.op = &op,
          .name = inner.name,
          .strided = 1,
          .tasks = Tasks,
          .task_ns = TaskNs,
          .scratch_bytes = ScratchBytes,
          .run = Run,
          .inner = std::make_shared<const Kernel>(inner)};
}

}  // namespace

void AddMatMulByIdKernels(KernelList& out) {
  KernelList more;
  for (const Kernel& kernel : out) {
    if (kernel.op != &kQMatMul) continue;
    more.push_back(Around(kernel, kQMatMulById));
    more.push_back(Around(kernel, kMatMulById));  // those of f32 take it
  }
  out.insert(out.end(), more.begin(), more.end());
}

}  // namespace cpu
}  // namespace weft::inline v0
