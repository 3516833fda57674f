#include "models/model_builder.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

std::string DimsText(absl::Span<const int64_t> dims) {
  return Shape::FromInts(dims).ToString();
}

// An array of integers, or of flags as 0 and 1.
absl::StatusOr<std::vector<int32_t>> IntsOf(const GgufFile& file,
                                            const std::string& key) {
  const auto info = file.GetArrayInfo(key);
  if (!info.ok() || info->element != GgufType::kBool)
    return file.GetInt32s(key);
  const auto flags = file.GetBools(key);
  if (!flags.ok()) return flags.status();
  return std::vector<int32_t>(flags->begin(), flags->end());
}

}  // namespace

std::string LayerTensor(int64_t layer, absl::string_view name) {
  return absl::StrCat("blk.", layer, ".", name);
}

ModelBuilder::ModelBuilder(const GgufFile& file, std::string architecture,
                           const BuildOptions& options, Graph& graph)
    : file_(file),
      architecture_(std::move(architecture)),
      options_(options),
      graph_(graph),
      t_(Dim::Symbol("T", options.max_tokens)) {
  const Where at;
  tokens_ = graph.Input(kTokensInput, DType::kI32, {t_}, at);
  step_.pos = graph.Input(kPosInput, DType::kI32, {t_}, at);
  step_.slot = graph.Input(kSlotInput, DType::kI32, {t_}, at);
  rows_ = graph.Input(kRowsInput, DType::kI32,
                      {Dim::Symbol("R", options.max_rows)}, at);
}

std::string ModelBuilder::Key(absl::string_view key) const {
  return absl::StrCat(architecture_, ".", key);
}

void ModelBuilder::Fail(absl::Status status) {
  status_.Update(std::move(status));
}

absl::Status ModelBuilder::status() const {
  return status_.ok() ? graph_.status() : status_;
}

void ModelBuilder::Require(bool ok, absl::string_view id, absl::string_view key,
                           const std::string& found,
                           absl::string_view expected) {
  if (!ok) Refuse(StatusCode::kInvalidArgument, id, key, found, expected);
}

void ModelBuilder::Refuse(StatusCode code, absl::string_view id,
                          absl::string_view key, const std::string& found,
                          absl::string_view expected) {
  Fail(MakeInputError(code, file_.source(),
                      {.id = id,
                       .at = file_.OffsetOf(Key(key)),
                       .field = Key(key),
                       .value = found,
                       .expected = std::string(expected)}));
}

void ModelBuilder::RequireOfLayer(bool ok, absl::string_view key, size_t layer,
                                  int64_t found, absl::string_view expected) {
  if (ok) return;
  Fail(MakeInputError(
      StatusCode::kInvalidArgument, file_.source(),
      {.id = "BIND-A5",
       .at = file_.OffsetOf(Key(key), layer),
       .field = absl::StrCat(Key(key), "[", layer, "]"),
       .value = absl::StrCat(found),
       .expected = absl::StrCat(expected, " for layer ", layer)}));
}

bool ModelBuilder::Has(absl::string_view key) const {
  return file_.Has(Key(key));
}

bool ModelBuilder::IsArray(absl::string_view key) const {
  const auto type = file_.TypeOf(Key(key));
  return type.ok() && *type == GgufType::kArray;
}

int64_t ModelBuilder::Int(absl::string_view key, int64_t low, int64_t high) {
  const absl::StatusOr<int64_t> value = file_.GetInt64(Key(key));
  if (!value.ok()) {
    Fail(value.status());
    return low;
  }
  if (*value >= low && *value <= high) return *value;
  Refuse(StatusCode::kOutOfRange, "BIND-A1", key, absl::StrCat(*value),
         absl::StrCat("a number from ", low, " to ", high));
  return low;
}

int64_t ModelBuilder::Int(absl::string_view key, int64_t low, int64_t high,
                          int64_t otherwise) {
  return Has(key) ? Int(key, low, high) : otherwise;
}

std::vector<int64_t> ModelBuilder::PerLayer(absl::string_view key,
                                            int64_t layers, int64_t low,
                                            int64_t high, int64_t otherwise) {
  const size_t n = static_cast<size_t>(layers);
  if (!IsArray(key))
    return std::vector<int64_t>(n, Int(key, low, high, otherwise));
  const auto values = IntsOf(file_, Key(key));
  if (!values.ok()) {
    Fail(values.status());
    return std::vector<int64_t>(n, low);
  }
  Require(values->size() == n, "BIND-A5", key,
          absl::StrCat("an array of ", values->size()),
          absl::StrCat("one number for each of ", layers, " layers"));
  std::vector<int64_t> out(n, low);
  for (size_t i = 0; i < std::min(n, values->size()); ++i) {
    out[i] = (*values)[i];
    RequireOfLayer(out[i] >= low && out[i] <= high, key, i, out[i],
                   absl::StrCat("a number from ", low, " to ", high));
  }
  return out;
}

double ModelBuilder::Float(absl::string_view key, double otherwise) {
  return Has(key) ? RequiredFloat(key) : otherwise;
}

double ModelBuilder::RequiredFloat(absl::string_view key) {
  const absl::StatusOr<float> value = file_.GetFloat(Key(key));
  if (!value.ok()) {
    Fail(value.status());
    return 1;
  }
  return *value;
}

std::string ModelBuilder::String(absl::string_view key,
                                 absl::string_view otherwise) {
  if (!Has(key)) return std::string(otherwise);
  const absl::StatusOr<absl::string_view> value = file_.GetString(Key(key));
  if (value.ok()) return std::string(*value);
  Fail(value.status());
  return std::string(otherwise);
}

bool ModelBuilder::Bool(absl::string_view key, bool otherwise) {
  if (!Has(key)) return otherwise;
  const absl::StatusOr<bool> value = file_.GetBool(Key(key));
  if (value.ok()) return *value;
  Fail(value.status());
  return otherwise;
}

bool ModelBuilder::HasTensor(absl::string_view name) const {
  return file_.FindTensor(name) != nullptr;
}

const GgufTensor* ModelBuilder::Find(const std::string& name) {
  const GgufTensor* tensor = file_.FindTensor(name);
  if (tensor == nullptr)
    Fail(MakeInputError(
        StatusCode::kNotFound, file_.source(),
        {.id = "BIND-A10",
         .at = std::nullopt,
         .field = absl::StrCat("tensor ", QuoteInput(name)),
         .value = "missing",
         .expected = absl::StrCat("it in a model of architecture ",
                                  QuoteInput(architecture_))}));
  return tensor;
}

absl::Status ModelBuilder::TensorError(StatusCode code, absl::string_view id,
                                       const GgufTensor& tensor,
                                       const std::string& found,
                                       const std::string& expected) const {
  return MakeInputError(
      code, file_.source(),
      {.id = id,
       .at = file_.OffsetOf(tensor),
       .field = absl::StrCat("tensor ", QuoteInput(tensor.name)),
       .value = found,
       .expected = expected});
}

absl::Status ModelBuilder::CheckShape(const GgufTensor& tensor,
                                      const Shape& want) const {
  for (const int64_t dim : tensor.dims)
    if (dim == 0)
      return TensorError(StatusCode::kInvalidArgument, "BIND-T8", tensor,
                         DimsText(tensor.dims), "no zero dimension");
  if (!IsDecodable(tensor.dtype))
    return TensorError(StatusCode::kUnimplemented, "BIND-A13", tensor,
                       absl::StrCat("of type ", Name(tensor.dtype)),
                       "a type that weft can compute with");
  // Trailing dimensions of 1 are written by some converters.
  absl::Span<const int64_t> dims = tensor.dims;
  while (static_cast<int>(dims.size()) > want.rank() && dims.front() == 1)
    dims.remove_prefix(1);
  if (Shape::FromInts(dims) != want)
    return TensorError(StatusCode::kInvalidArgument, "BIND-A11", tensor,
                       DimsText(tensor.dims), want.ToString());
  return absl::OkStatus();
}

Value ModelBuilder::Weight(const std::string& name, Shape shape, Where at) {
  const GgufTensor* tensor = Find(name);
  if (tensor == nullptr) return Value(&graph_, -1);
  if (const absl::Status s = CheckShape(*tensor, shape); !s.ok()) {
    Fail(s);
    return Value(&graph_, -1);
  }
  return graph_.Weight(name, tensor->dtype, std::move(shape), at);
}

Value ModelBuilder::Vector(const std::string& name, int64_t n, Where at) {
  const GgufTensor* tensor = Find(name);
  if (tensor != nullptr && tensor->dtype != DType::kF32) {
    Fail(TensorError(StatusCode::kUnimplemented, "BIND-A13", *tensor,
                     absl::StrCat("of type ", Name(tensor->dtype)), "f32"));
    return Value(&graph_, -1);
  }
  return Weight(name, {n}, at);
}

Value ModelBuilder::OptionalVector(const std::string& name, int64_t n,
                                   Where at) {
  return HasTensor(name) ? Vector(name, n, at) : Value();
}

int64_t ModelBuilder::TensorDim(const std::string& name, int axis) {
  const GgufTensor* tensor = Find(name);
  if (tensor == nullptr) return 0;
  const int rank = static_cast<int>(tensor->dims.size());
  const int at = axis < 0 ? axis + rank : axis;
  return at < 0 || at >= rank ? 0 : tensor->dims[static_cast<size_t>(at)];
}

KvCache ModelBuilder::Cache(int64_t layer, int64_t heads, int64_t k_size,
                            int64_t v_size, Where at) {
  const BuildOptions& o = options_;
  return {graph_.State(LayerTensor(layer, "k"), o.kv_k,
                       {o.slots, o.context, heads, k_size}, at),
          graph_.State(LayerTensor(layer, "v"), o.kv_v,
                       {o.slots, o.context, heads, v_size}, at)};
}

void ModelBuilder::Finish(Value hidden, Value logits) {
  if (options_.embeddings || logits.graph() == nullptr)
    graph_.Output(kEmbeddingsOutput, hidden);
  else
    graph_.Output(kLogitsOutput, logits);
}

}  // namespace weft::inline v0
