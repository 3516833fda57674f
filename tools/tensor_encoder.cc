#include "tools/tensor_encoder.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/encode.h"
#include "graph/status_macros.h"
#include "models/parallel.h"

namespace weft::inline v0 {
namespace {

// Enough for a thread to be worth waking, little enough to share out evenly.
constexpr int64_t kValuesPerPiece = 1 << 16;
// Encoded between two writes; in f32 that is 16 MiB.
constexpr int64_t kValuesPerBatch = 1 << 22;

EncodeError MeasureError(DType type, absl::Span<const float> values,
                         absl::Span<const std::byte> blocks,
                         absl::Span<float> decoded) {
  const DTypeInfo& info = Info(type);
  info.decode(blocks.data(),
              static_cast<int64_t>(values.size()) / info.block_values,
              decoded.data());
  EncodeError error;
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i], difference = value - decoded[i];
    error.squared_error += difference * difference;
    error.squared_values += value * value;
  }
  return error;
}

class TensorEncoder {
 public:
  TensorEncoder(const EncodeJob& job, const EncodeContext& context,
                int64_t row_bytes)
      : job_(job),
        context_(context),
        row_bytes_(row_bytes),
        rows_per_piece_(std::max<int64_t>(
            1, kValuesPerPiece / std::max<int64_t>(1, job.row_length))) {}

  absl::StatusOr<EncodeError> Run(RowSource source, ByteSink sink) {
    const int64_t pieces_per_batch =
        std::max<int64_t>(context_.threads, kValuesPerBatch / kValuesPerPiece);
    const int64_t batch = pieces_per_batch * rows_per_piece_;
    EncodeError error;
    for (int64_t first = 0; first < job_.rows; first += batch) {
      if (context_.cancel != nullptr && *context_.cancel)
        return absl::CancelledError("interrupted");
      const int64_t rows = std::min(batch, job_.rows - first);
      WEFT_RETURN_IF_ERROR(EncodeBatch(first, rows, source));
      WEFT_RETURN_IF_ERROR(sink(bytes_));
      for (const Piece& piece : pieces_) error.Add(piece.error);
      if (context_.progress) context_.progress(rows * job_.row_length);
    }
    return error;
  }

 private:
  struct Piece {
    absl::Status status;
    EncodeError error;
  };

  absl::Status EncodeBatch(int64_t first, int64_t rows, RowSource source) {
    bytes_.resize(static_cast<size_t>(rows * row_bytes_));
    const int64_t n = (rows + rows_per_piece_ - 1) / rows_per_piece_;
    pieces_.assign(static_cast<size_t>(n), Piece());
    ParallelFor(context_.threads, n, [&](int64_t i) {
      const int64_t from = i * rows_per_piece_;
      const int64_t count = std::min(rows_per_piece_, rows - from);
      const auto out = absl::MakeSpan(bytes_).subspan(
          static_cast<size_t>(from * row_bytes_),
          static_cast<size_t>(count * row_bytes_));
      pieces_[static_cast<size_t>(i)] =
          EncodePiece(first + from, count, source, out);
    });
    for (const Piece& piece : pieces_) WEFT_RETURN_IF_ERROR(piece.status);
    return absl::OkStatus();
  }

  Piece EncodePiece(int64_t first, int64_t rows, RowSource source,
                    absl::Span<std::byte> out) const {
    std::vector<float> values(static_cast<size_t>(rows * job_.row_length));
    source(first, absl::MakeSpan(values));
    Piece piece;
    piece.status =
        EncodeRows(job_.type, values, job_.row_length, job_.importance, out);
    if (!piece.status.ok()) {
      piece.status =
          absl::Status(piece.status.code(),
                       absl::StrCat("rows ", first, " to ", first + rows - 1,
                                    ": ", piece.status.message()));
    } else if (job_.measure_error) {
      std::vector<float> decoded(values.size());
      piece.error =
          MeasureError(job_.type, values, out, absl::MakeSpan(decoded));
    }
    return piece;
  }

  const EncodeJob& job_;
  const EncodeContext& context_;
  const int64_t row_bytes_;
  const int64_t rows_per_piece_;
  std::vector<std::byte> bytes_;  // of the batch
  std::vector<Piece> pieces_;
};

}  // namespace

absl::StatusOr<EncodeError> EncodeTensor(const EncodeJob& job,
                                         const EncodeContext& context,
                                         RowSource source, ByteSink sink) {
  if (!CanEncode(job.type))
    return absl::UnimplementedError(
        absl::StrCat("weft cannot write ", Name(job.type), " yet"));
  const auto row_bytes = RowBytes(job.type, job.row_length);
  if (!row_bytes)
    return absl::InvalidArgumentError(absl::StrCat(
        "rows of ", job.row_length, " values; expected whole blocks of ",
        Info(job.type).block_values, " for ", Name(job.type)));
  return TensorEncoder(job, context, *row_bytes).Run(source, sink);
}

}  // namespace weft::inline v0
