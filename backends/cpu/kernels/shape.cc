// reshape and its like, permute, transpose, slice, concat and repeat, as
// copies. Moving bytes needs no vectors of ours, so this file is compiled once.
#include <algorithm>
#include <array>
#include <cstring>

#include "backends/cpu/kernels.h"
#include "ops/gradient.h"
#include "ops/gradient_ops.h"
#include "ops/matmul.h"
#include "ops/shape_ops.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// Where neighbouring rows of the output read neighbouring elements (a
// transposition), they are written together in tiles of 16 x 16: 16 elements of
// 4 bytes are a cache line of the input, read once.
constexpr int64_t kTile = 16;

int64_t ElementBytes(const View& v) { return v.stride(-1); }
size_t RowBytes(const View& v) {
  return v.rank == 0 ? static_cast<size_t>(Info(v.dtype).block_bytes)
                     : static_cast<size_t>(v.row_length() * v.stride(-1));
}

// Calls f with an integer as large as an element.
template <class F>
void WithElement(int64_t bytes, const F& f) {
  switch (bytes) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
  }
}

// `rows` rows of n elements at `to`: element i of row r is the one at
// from + i * step + r * sizeof(T). A tile goes through memory of its own: lines
// of large matrices, often a power of two apart, would drive each other out of
// the cache between the visits of its elements.
template <class T>
void CopyTiles(const std::byte* from, int64_t step, int64_t n, int64_t rows,
               std::byte* to) {
  constexpr int64_t kBytes = static_cast<int64_t>(sizeof(T));
  T tile[kTile][kTile];
  for (int64_t first = 0; first < n; first += kTile) {
    const int64_t count = std::min(kTile, n - first);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t r = 0; r < rows; ++r)
        std::memcpy(&tile[r][i], from + (first + i) * step + r * kBytes,
                    sizeof(T));
    for (int64_t r = 0; r < rows; ++r)
      std::memcpy(to + (r * n + first) * kBytes, tile[r],
                  static_cast<size_t>(count * kBytes));
  }
}

// An input read along the axes of the output.
struct Source {
  const std::byte* data;
  std::array<int64_t, kMaxRank> strides;  // bytes

  const std::byte* Row(const View& out, int64_t r) const {
    int64_t offset = 0;
    for (int axis = out.rank - 2; axis >= 0; --axis) {
      offset += r % out.dim(axis) * strides[static_cast<size_t>(axis)];
      r /= out.dim(axis);
    }
    return data + offset;
  }
};

// Rows [begin, end) of the output.
void CopyStrided(const Source& in, const View& out, int64_t begin,
                 int64_t end) {
  if (out.rank == 0) {
    std::memcpy(out.data, in.data, RowBytes(out));
    return;
  }
  const size_t last = static_cast<size_t>(out.rank) - 1;
  const int64_t bytes = ElementBytes(out);
  const int64_t n = out.row_length();
  const bool whole_rows = in.strides[last] == bytes;
  const bool transposes =
      !whole_rows && last > 0 && in.strides[last - 1] == bytes;
  for (int64_t r = begin; r < end;) {
    const std::byte* from = in.Row(out, r);
    int64_t rows = 1;
    if (whole_rows) {
      std::memcpy(out.Row(r), from, RowBytes(out));
    } else {
      if (transposes)
        rows = std::min({kTile, end - r, out.dim(-2) - r % out.dim(-2)});
      WithElement(bytes, [&](auto element) {
        CopyTiles<decltype(element)>(from, in.strides[last], n, rows,
                                     out.Row(r));
      });
    }
    r += rows;
  }
}

// ---- reshape: a task per row of the input ----

int64_t InputRows(const KernelArgs& a) { return a.in[0].rows(); }

void Reshape(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& in = a.in[0];
  if (in.data == a.out[0].data) return;  // in place: nothing moves
  const size_t bytes = RowBytes(in);
  for (int64_t r = begin; r < end; ++r)
    std::memcpy(a.out[0].data + r * static_cast<int64_t>(bytes), in.Row(r),
                bytes);
}

// ---- The rest: a task per row of the output ----

int64_t OutputRows(const KernelArgs& a) { return a.out[0].rows(); }

void Permute(const KernelArgs& a, int64_t begin, int64_t end) {
  Source source = {a.in[0].data, {}};
  for (size_t i = 0; i < static_cast<size_t>(a.in[0].rank); ++i)
    source.strides[i] = a.in[0].stride(a.params->perm[i]);
  CopyStrided(source, a.out[0], begin, end);
}

void Transpose(const KernelArgs& a, int64_t begin, int64_t end) {
  Source source = {a.in[0].data, a.in[0].strides};
  const size_t rank = static_cast<size_t>(a.in[0].rank);
  std::swap(source.strides[rank - 1], source.strides[rank - 2]);
  CopyStrided(source, a.out[0], begin, end);
}

void Slice(const KernelArgs& a, int64_t begin, int64_t end) {
  const int64_t offset = a.params->begin * a.in[0].stride(a.params->axis);
  const Source source = {a.in[0].data + offset, a.in[0].strides};
  CopyStrided(source, a.out[0], begin, end);
}

// Rows of `v` for each step along `axis`.
int64_t RowsPerStep(const View& v, int axis) {
  int64_t rows = 1;
  for (int i = axis + 1; i + 1 < v.rank; ++i) rows *= v.dim(i);
  return rows;
}

// Each row is the parts' rows one after the other.
void ConcatColumns(const KernelArgs& a, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    std::byte* to = a.out[0].Row(r);
    for (const View& part : a.in) {
      std::memcpy(to, part.Row(r), RowBytes(part));
      to += RowBytes(part);
    }
  }
}

// Each row is one of one part.
void ConcatRows(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& out = a.out[0];
  const int axis = a.params->axis;
  const int64_t inner = RowsPerStep(out, axis);
  for (int64_t r = begin; r < end; ++r) {
    int64_t i = r / inner % out.dim(axis);
    size_t part = 0;
    while (i >= a.in[part].dim(axis)) i -= a.in[part++].dim(axis);
    const int64_t outer = r / inner / out.dim(axis);
    const int64_t row = (outer * a.in[part].dim(axis) + i) * inner + r % inner;
    std::memcpy(out.Row(r), a.in[part].Row(row), RowBytes(out));
  }
}

void Concat(const KernelArgs& a, int64_t begin, int64_t end) {
  if (a.params->axis == a.out[0].rank - 1) {
    ConcatColumns(a, begin, end);
  } else {
    ConcatRows(a, begin, end);
  }
}

template <class T>
void RepeatElements(const std::byte* from, int64_t n, int64_t times,
                    std::byte* to) {
  for (int64_t i = 0; i < n; ++i, from += sizeof(T))
    for (int64_t k = 0; k < times; ++k, to += sizeof(T))
      std::memcpy(to, from, sizeof(T));
}

void Repeat(const KernelArgs& a, int64_t begin, int64_t end) {
  const View& in = a.in[0];
  const View& out = a.out[0];
  const int axis = a.params->axis;
  const int64_t times = a.params->times;
  if (axis == out.rank - 1) {
    WithElement(ElementBytes(in), [&](auto element) {
      for (int64_t r = begin; r < end; ++r)
        RepeatElements<decltype(element)>(in.Row(r), in.row_length(), times,
                                          out.Row(r));
    });
    return;
  }
  const int64_t inner = RowsPerStep(out, axis);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t row = r / inner / times * inner + r % inner;
    std::memcpy(out.Row(r), in.Row(row), RowBytes(out));
  }
}

// Rows copied whole run at about 16 bytes a nanosecond, elements at one.
double TaskNs(const KernelArgs& a) {
  return 10 + static_cast<double>(a.out[0].row_length()) / 2;
}
double ReshapeNs(const KernelArgs& a) {
  return 10 + static_cast<double>(RowBytes(a.in[0])) / 16;
}

}  // namespace

void AddShapeKernels(TargetMask, KernelList& out) {
  // Views are no steps of a plan; the first three run where their reader
  // cannot take strides.
  for (const OpDef* op : {&kReshape, &kCheckpoint, &kAfter})
    out.push_back({.op = op,
                   .name = op->name,
                   .strided = 0b1,
                   .tasks = InputRows,
                   .task_ns = ReshapeNs,
                   .run = Reshape});
  const auto add = [&out](const OpDef& op, auto run, uint32_t strided = 0b1) {
    out.push_back({.op = &op,
                   .name = op.name,
                   .strided = strided,
                   .tasks = OutputRows,
                   .task_ns = TaskNs,
                   .run = run});
  };
  add(kPermute, Permute);
  add(kSlice, Slice);
  add(kTranspose, Transpose);
  add(kConcat, Concat, ~uint32_t{0});
  add(kRepeat, Repeat);
}

}  // namespace cpu
}  // namespace weft::inline v0
