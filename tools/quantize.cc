#include "tools/quantize.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/encode.h"
#include "graph/status_macros.h"
#include "models/gguf_key_values.h"
#include "models/gguf_writer.h"
#include "models/glob.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

// Of the formats as they are since 2023.
constexpr uint32_t kQuantizationVersion = 2;
constexpr size_t kCopyBytes = 16 << 20;

// Formats that hold floats as they are, more or less exactly.
bool IsPlain(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

// Parts of a tensor that have importances of their own.
int64_t Experts(const GgufTensor& tensor) {
  int64_t n = 1;
  for (size_t i = 0; i + 2 < tensor.dims.size(); ++i) n *= tensor.dims[i];
  return n;
}

absl::Status About(const GgufFile& file, const GgufTensor& tensor,
                   const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(file.source(), ": tensor ",
                                                  QuoteInput(tensor.name), ": ",
                                                  status.message()));
}

class Planner {
 public:
  Planner(const GgufFile& file, const QuantizeOptions& options)
      : file_(file),
        options_(options),
        model_(DescribeForMixture(file)),
        only_included_(std::any_of(
            options.include.begin(), options.include.end(),
            [](const TensorPattern& pattern) { return !pattern.type; })) {}

  absl::StatusOr<std::vector<TensorPlan>> Run() {
    WEFT_RETURN_IF_ERROR(CheckFile());
    std::vector<TensorPlan> plan;
    for (const GgufTensor& tensor : file_.tensors()) {
      plan.push_back(PlanTensor(tensor));
      WEFT_RETURN_IF_ERROR(About(file_, tensor, Check(plan.back())));
      auto order = RowOrderFor(file_, tensor);
      WEFT_RETURN_IF_ERROR(About(file_, tensor, order.status()));
      plan.back().order = *order;
    }
    return plan;
  }

 private:
  absl::Status CheckFile() const {
    for (const auto* patterns : {&options_.include, &options_.exclude})
      for (const TensorPattern& pattern : *patterns)
        WEFT_RETURN_IF_ERROR(CheckUsed(pattern));
    return absl::OkStatus();
  }

  // A pattern that matches nothing is a slip that costs an hour.
  absl::Status CheckUsed(const TensorPattern& pattern) const {
    for (const GgufTensor& tensor : file_.tensors())
      if (IsQuantizable(tensor.name, tensor.dims) &&
          Matches(pattern.pattern, tensor.name))
        return absl::OkStatus();
    return absl::NotFoundError(
        absl::StrCat(file_.source(), " has no matrix whose name matches ",
                     QuoteInput(pattern.pattern),
                     "; a pattern is of the whole name, * in it is any text"));
  }

  TensorPlan PlanTensor(const GgufTensor& tensor) const {
    TensorPlan plan{&tensor, tensor.dtype};
    if (plan.elements() == 0 || !IsQuantizable(tensor.name, tensor.dims))
      return plan;
    if (const auto* out = FindMatch(options_.exclude, tensor.name)) {
      if (!out->type) return plan;
      return WithType(plan, *out->type);
    }
    if (const auto* in = FindMatch(options_.include, tensor.name)) {
      if (in->type) return WithType(plan, *in->type);
    } else if (only_included_) {
      return plan;
    }
    plan.type = TypeFor(options_.mixture, model_, tensor.name, tensor.dims);
    // What it would be in rows that every format can hold.
    plan.is_fallback =
        plan.type != TypeFor(options_.mixture, model_, tensor.name, {1, 256});
    return plan;
  }

  static TensorPlan WithType(TensorPlan plan, DType type) {
    plan.type = FallbackFor(type, plan.tensor->dims.back());
    plan.is_fallback = plan.type != type;
    return plan;
  }

  absl::Status Check(const TensorPlan& plan) const {
    if (plan.is_copy()) return absl::OkStatus();
    const DType from = plan.tensor->dtype;
    if (!IsDecodable(from))
      return absl::UnimplementedError(
          absl::StrCat("weft cannot decode ", Name(from), " yet"));
    if (!CanEncode(plan.type))
      return absl::UnimplementedError(
          absl::StrCat("weft cannot write ", Name(plan.type), " yet"));
    // To f32 nothing is lost.
    if (!IsPlain(from) && plan.type != DType::kF32 &&
        !options_.allow_requantize)
      return absl::FailedPreconditionError(absl::StrCat(
          "it is quantised already, as ", Name(from), "; from there ",
          Name(plan.type),
          " loses more than from the original weights (--allow_requantize "
          "does it all the same)"));
    if (options_.imatrix == nullptr) return absl::OkStatus();
    return options_.imatrix
        ->Of(plan.tensor->name, Experts(*plan.tensor), plan.tensor->dims.back())
        .status();
  }

  const GgufFile& file_;
  const QuantizeOptions& options_;
  const MixtureModel model_;
  const bool only_included_;
};

absl::StatusOr<GgufKeyValues> MakeKeyValues(const GgufFile& file,
                                            const QuantizeOptions& options) {
  WEFT_ASSIGN_OR_RETURN(GgufKeyValues kv, GgufKeyValues::CopyOf(file));
  if (options.mixture.file_type)
    kv.SetUint32("general.file_type", *options.mixture.file_type);
  else
    kv.Remove("general.file_type");
  // What is written is one file, whatever was read.
  for (const char* key : {"split.no", "split.count", "split.tensors.count"})
    kv.Remove(key);
  kv.Remove(HalvesKey(file));  // see RowOrder
  if (!IsPlain(options.mixture.base))
    kv.SetUint32("general.quantization_version", kQuantizationVersion);
  if (const Imatrix* imatrix = options.imatrix) {
    kv.SetString("quantize.imatrix.file", imatrix->source());
    kv.SetUint32("quantize.imatrix.entries_count",
                 static_cast<uint32_t>(imatrix->matrices()));
    kv.SetUint32("quantize.imatrix.chunks_count", imatrix->chunks());
  }
  return kv;
}

class Quantizer {
 public:
  Quantizer(const GgufFile& file, const QuantizeOptions& options,
            const EncodeContext& context, GgufWriter& writer)
      : file_(file), options_(options), context_(context), writer_(writer) {}

  absl::StatusOr<EncodeError> WriteTensor(const TensorPlan& plan) {
    if (plan.is_copy()) {
      WEFT_RETURN_IF_ERROR(plan.order.moves() ? CopyRows(plan) : Copy(plan));
      return EncodeError();
    }
    absl::StatusOr<EncodeError> error = EncodeAll(plan);
    // These are not about the tensor.
    if (error.ok() || !write_status_.ok() || absl::IsCancelled(error.status()))
      return write_status_.ok() ? error : write_status_;
    return About(file_, *plan.tensor, error.status());
  }

 private:
  absl::StatusOr<EncodeError> EncodeAll(const TensorPlan& plan) {
    const GgufTensor& tensor = *plan.tensor;
    const int64_t experts = Experts(tensor), columns = tensor.dims.back();
    std::vector<float> importance;
    if (options_.imatrix != nullptr) {
      WEFT_ASSIGN_OR_RETURN(
          importance, options_.imatrix->Of(tensor.name, experts, columns));
    }
    EncodeError error;
    for (int64_t expert = 0; expert < experts; ++expert) {
      absl::Span<const float> weights = importance;
      if (!weights.empty())
        weights = weights.subspan(static_cast<size_t>(expert * columns),
                                  static_cast<size_t>(columns));
      WEFT_ASSIGN_OR_RETURN(const EncodeError part,
                            Encode(plan, expert, experts, weights));
      error.Add(part);
    }
    return error;
  }

  absl::Status Copy(const TensorPlan& plan) {
    absl::Span<const std::byte> rest = plan.tensor->data;
    const auto total = static_cast<double>(rest.size());
    int64_t reported = 0;
    while (!rest.empty()) {
      if (context_.cancel != nullptr && *context_.cancel)
        return absl::CancelledError("interrupted");
      const auto piece = rest.first(std::min(rest.size(), kCopyBytes));
      WEFT_RETURN_IF_ERROR(writer_.Write(piece));
      file_.Release(piece);
      rest.remove_prefix(piece.size());
      const auto done =
          static_cast<int64_t>((1 - static_cast<double>(rest.size()) / total) *
                               static_cast<double>(plan.elements()));
      if (context_.progress) context_.progress(done - reported);
      reported = done;
    }
    return absl::OkStatus();
  }

  // Copies head by head; the rows of a vector are its values.
  absl::Status CopyRows(const TensorPlan& plan) {
    const auto data = plan.tensor->data;
    const int64_t rows = plan.tensor->dims[0], head = plan.order.head;
    const size_t row_bytes = data.size() / static_cast<size_t>(rows);
    std::vector<std::byte> buffer(row_bytes * static_cast<size_t>(head));
    for (int64_t first = 0; first < rows; first += head) {
      if (context_.cancel != nullptr && *context_.cancel)
        return absl::CancelledError("interrupted");
      for (int64_t i = 0; i < head; ++i)
        std::memcpy(
            &buffer[static_cast<size_t>(i) * row_bytes],
            data.data() +
                static_cast<size_t>(plan.order.Source(first + i)) * row_bytes,
            row_bytes);
      WEFT_RETURN_IF_ERROR(writer_.Write(buffer));
      if (context_.progress) context_.progress(plan.elements() / rows * head);
    }
    file_.Release(data);
    return absl::OkStatus();
  }

  absl::StatusOr<EncodeError> Encode(const TensorPlan& plan, int64_t expert,
                                     int64_t experts,
                                     absl::Span<const float> importance) {
    const GgufTensor& tensor = *plan.tensor;
    const DTypeInfo& from = Info(tensor.dtype);
    const size_t part = tensor.data.size() / static_cast<size_t>(experts);
    const auto data =
        tensor.data.subspan(static_cast<size_t>(expert) * part, part);
    EncodeJob job{.type = plan.type, .row_length = tensor.dims.back()};
    job.rows =
        job.row_length == 0 ? 0 : plan.elements() / experts / job.row_length;
    job.importance = importance;
    job.measure_error = true;
    // Rows are whole blocks: the reader saw to that.
    const int64_t row_bytes = *RowBytes(tensor.dtype, job.row_length);
    const auto decode = [&](int64_t row, absl::Span<float> out) {
      from.decode(data.data() + row * row_bytes,
                  static_cast<int64_t>(out.size()) / from.block_values,
                  out.data());
    };
    const auto source = [&](int64_t first, absl::Span<float> out) {
      if (!plan.order.moves()) return decode(first, out);
      const auto n = static_cast<size_t>(job.row_length);
      for (; !out.empty(); out.remove_prefix(n))
        decode(plan.order.Source(first++), out.first(n));
    };
    const int64_t out_row_bytes = *RowBytes(plan.type, job.row_length);
    int64_t rows_done = 0;
    const auto sink = [&](absl::Span<const std::byte> bytes) {
      const int64_t rows = static_cast<int64_t>(bytes.size()) / out_row_bytes;
      // A head that goes on in the next batch is read from the file once more.
      file_.Release(data.subspan(static_cast<size_t>(rows_done * row_bytes),
                                 static_cast<size_t>(rows * row_bytes)));
      rows_done += rows;
      write_status_ = writer_.Write(bytes);
      return write_status_;
    };
    return EncodeTensor(job, context_, source, sink);
  }

  const GgufFile& file_;
  const QuantizeOptions& options_;
  const EncodeContext& context_;
  GgufWriter& writer_;
  absl::Status write_status_;
};

}  // namespace

int64_t TensorPlan::elements() const {
  int64_t n = 1;
  for (const int64_t dim : tensor->dims) n *= dim;
  return n;
}

uint64_t TensorPlan::bytes() const {
  return static_cast<uint64_t>(RowBytes(type, elements()).value_or(0));
}

absl::StatusOr<std::vector<TensorPlan>> PlanQuantization(
    const GgufFile& file, const QuantizeOptions& options) {
  return Planner(file, options).Run();
}

absl::Status WriteQuantized(const GgufFile& file,
                            const QuantizeOptions& options,
                            const std::vector<TensorPlan>& plan,
                            const std::string& path,
                            const EncodeContext& context, TensorDone done) {
  WEFT_ASSIGN_OR_RETURN(const GgufKeyValues kv, MakeKeyValues(file, options));
  std::vector<NewGgufTensor> tensors;
  for (const TensorPlan& p : plan)
    tensors.push_back({std::string(p.tensor->name),
                       p.type,
                       {p.tensor->dims.begin(), p.tensor->dims.end()}});
  WEFT_ASSIGN_OR_RETURN(GgufWriter writer,
                        GgufWriter::Create(path, kv, tensors));
  WEFT_RETURN_IF_ERROR(writer.Reserve());
  Quantizer quantizer(file, options, context, writer);
  for (const TensorPlan& p : plan) {
    WEFT_ASSIGN_OR_RETURN(const EncodeError error, quantizer.WriteTensor(p));
    WEFT_RETURN_IF_ERROR(done(p, error));
  }
  return writer.Commit();
}

}  // namespace weft::inline v0
