// Copies between the kernels' views and contiguous tensors, for two uses: nodes
// that have no kernel run on their scalar reference, slow, but a new op works
// at once; and observers see values.
#include <cstring>

#include "absl/strings/str_cat.h"
#include "backends/cpu/executable.h"
#include "backends/cpu/kv_layout.h"
#include "graph/interpret.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// Bytes of a row (whole blocks).
size_t RowBytesOf(const View& view) {
  return static_cast<size_t>(
      PaddedRowBytes(view.dtype, view.row_length()).value_or(0));
}

// A state in tiles, as the graph sees it.
void ReadTiles(const View& view, size_t row, HostTensor& tensor) {
  std::byte* to = tensor.bytes.data();
  for (int64_t slot = 0; slot < view.dim(0); ++slot)
    for (int64_t pos = 0; pos < view.dim(1); ++pos)
      for (int64_t head = 0; head < view.dim(2); ++head, to += row)
        ReadTiledRow(view, slot, pos, head, to);
}

HostTensor ToHost(const View& view) {
  HostTensor tensor(view.dtype,
                    Dims(view.dims.begin(), view.dims.begin() + view.rank));
  const size_t row = RowBytesOf(view);
  if (view.layout != StateLayout::kRows) {
    ReadTiles(view, row, tensor);
    return tensor;
  }
  for (int64_t r = 0; r < view.rows(); ++r)
    std::memcpy(tensor.bytes.data() + static_cast<size_t>(r) * row, view.Row(r),
                row);
  return tensor;
}

void FromHost(const HostTensor& tensor, const View& view) {
  const size_t row = RowBytesOf(view);
  for (int64_t r = 0; r < view.rows(); ++r)
    std::memcpy(view.Row(r), tensor.bytes.data() + static_cast<size_t>(r) * row,
                row);
}

}  // namespace

absl::Status CpuExecutable::RunOnReference(const BoundStep& step,
                                           const SymbolValues& symbols) {
  const KernelArgs args = ArgsOf(step);
  std::vector<HostTensor> in, out;
  for (const View& view : args.in) in.push_back(ToHost(view));
  for (const View& view : args.out)
    out.emplace_back(view.dtype,
                     Dims(view.dims.begin(), view.dims.begin() + view.rank));
  if (step.node->op->writes_state) out[0] = in[0];
  std::vector<const HostTensor*> in_pointers;
  std::vector<HostTensor*> out_pointers;
  for (const HostTensor& t : in) in_pointers.push_back(&t);
  for (HostTensor& t : out) out_pointers.push_back(&t);
  const absl::Status status = RunReference(
      *step.node->op, step.node->attrs, graph_->InputTypes(*step.node),
      in_pointers, out_pointers, symbols, cancel_);
  if (absl::IsCancelled(status)) return status;
  if (!status.ok())
    return absl::Status(
        status.code(),
        absl::StrCat(graph_->Describe(*step.node), ": ", status.message()));
  for (size_t i = 0; i < out.size(); ++i) FromHost(out[i], args.out[i]);
  return absl::OkStatus();
}

void CpuExecutable::Observe(size_t step, bool done,
                            const SymbolValues& symbols) const {
  observer_(step, done,
            {.read = [&](ValueId id) { return ToHost(ViewOf(id, symbols)); },
             .memory =
                 [&](ValueId id) {
                   const View view = ViewOf(id, symbols);
                   const size_t rows = static_cast<size_t>(view.rows());
                   return view.dense && view.layout == StateLayout::kRows
                              ? absl::MakeSpan(view.data,
                                               rows * RowBytesOf(view))
                              : absl::Span<std::byte>();
                 }});
}

}  // namespace cpu
}  // namespace weft::inline v0
