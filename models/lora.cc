// Reading and checking of adapters.
#include "models/lora.h"

#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr char kEmbedding[] = "token_embd.weight";

absl::Status LoraError(StatusCode code, const GgufFile& file,
                       absl::string_view id, absl::string_view what,
                       absl::string_view found, absl::string_view expected) {
  return absl::Status(
      code, absl::StrCat(file.source(), ": ", id, ": ", what, " is ", found,
                         "; expected ", expected));
}

std::string DimsText(absl::Span<const int64_t> dims) {
  return Shape::FromInts(dims).ToString();
}

// A string of the metadata; "" where it is missing.
absl::StatusOr<absl::string_view> StringOf(const GgufFile& file,
                                           absl::string_view key) {
  if (!file.Has(key)) return absl::string_view();
  return file.GetString(key);
}

absl::Status CheckString(const GgufFile& file, StatusCode code,
                         absl::string_view id, absl::string_view key,
                         absl::string_view want, absl::string_view hint) {
  WEFT_ASSIGN_OR_RETURN(const absl::string_view found, StringOf(file, key));
  if (found == want) return absl::OkStatus();
  return LoraError(code, file, id, key,
                   found.empty() ? "missing" : QuoteInput(found),
                   absl::StrCat(QuoteInput(want), hint));
}

absl::Status CheckKind(const GgufFile& file, const GgufFile& base) {
  WEFT_RETURN_IF_ERROR(CheckString(file, StatusCode::kInvalidArgument, "LORA-1",
                                   "general.type", "adapter",
                                   "; this is no adapter"));
  WEFT_RETURN_IF_ERROR(CheckString(file, StatusCode::kUnimplemented, "LORA-2",
                                   "adapter.type", "lora", ""));
  if (file.Has("adapter.alora.invocation_tokens"))
    return LoraError(StatusCode::kUnimplemented, file, "LORA-2",
                     "adapter.alora.invocation_tokens", "there",
                     "an adapter that acts on all of a text");
  WEFT_ASSIGN_OR_RETURN(const absl::string_view architecture,
                        base.GetString("general.architecture"));
  return CheckString(file, StatusCode::kInvalidArgument, "LORA-3",
                     "general.architecture", architecture,
                     absl::StrCat(" as in ", base.source(),
                                  "; this is an adapter for another model"));
}

}  // namespace

absl::StatusOr<LoraAdapter> LoraAdapter::Open(const std::string& path,
                                              const GgufFile& base,
                                              const GgufOptions& options) {
  WEFT_ASSIGN_OR_RETURN(GgufFile file, GgufFile::Open(path, options));
  return FromFile(std::move(file), base);
}

absl::StatusOr<LoraAdapter> LoraAdapter::FromFile(GgufFile file,
                                                  const GgufFile& base) {
  WEFT_RETURN_IF_ERROR(CheckKind(file, base));
  LoraAdapter adapter(std::move(file));
  constexpr char kAlpha[] = "adapter.lora.alpha";
  if (adapter.file_.Has(kAlpha)) {
    WEFT_ASSIGN_OR_RETURN(adapter.alpha_, adapter.file_.GetFloat(kAlpha));
  }
  if (!std::isfinite(adapter.alpha_))
    return LoraError(StatusCode::kInvalidArgument, adapter.file_, "LORA-4",
                     kAlpha, absl::StrCat(adapter.alpha_), "a finite number");
  WEFT_RETURN_IF_ERROR(adapter.ReadPairs());
  for (const Pair& pair : adapter.pairs_)
    WEFT_RETURN_IF_ERROR(adapter.CheckPair(base, pair));
  return adapter;
}

absl::Status LoraAdapter::ReadPairs() {
  for (const GgufTensor& tensor : file_.tensors()) {
    absl::string_view name = tensor.name;
    const bool is_a = absl::ConsumeSuffix(&name, ".lora_a");
    if (!is_a && !absl::ConsumeSuffix(&name, ".lora_b"))
      return LoraError(StatusCode::kUnimplemented, file_, "LORA-5",
                       absl::StrCat("tensor ", QuoteInput(tensor.name)),
                       "not a half of a pair",
                       "names that end in .lora_a or .lora_b");
    const std::string other = absl::StrCat(name, is_a ? ".lora_b" : ".lora_a");
    const GgufTensor* half = file_.FindTensor(other);
    if (half == nullptr)
      return LoraError(StatusCode::kNotFound, file_, "LORA-6",
                       absl::StrCat("tensor ", QuoteInput(other)), "missing",
                       absl::StrCat("it beside ", QuoteInput(tensor.name)));
    if (is_a) pairs_.push_back({std::string(name), &tensor, half});
  }
  if (!pairs_.empty()) return absl::OkStatus();
  return LoraError(StatusCode::kInvalidArgument, file_, "LORA-1",
                   "number of tensors", "0", "an adapter of at least one pair");
}

absl::Status LoraAdapter::CheckPair(const GgufFile& base,
                                    const Pair& pair) const {
  const GgufTensor* weight = base.FindTensor(pair.weight);
  if (weight == nullptr)
    return LoraError(StatusCode::kNotFound, file_, "LORA-7",
                     absl::StrCat("weight ", QuoteInput(pair.weight)),
                     absl::StrCat("missing in ", base.source()),
                     "a weight of the model; is this an adapter for another?");
  const auto dims = weight->dims, a = pair.a->dims, b = pair.b->dims;
  const auto misfit = [&](const GgufTensor& half, absl::string_view expected) {
    return LoraError(
        StatusCode::kInvalidArgument, file_, "LORA-8",
        absl::StrCat("tensor ", QuoteInput(half.name)), DimsText(half.dims),
        absl::StrCat(expected, ", since the model's ", QuoteInput(pair.weight),
                     " is ", DimsText(dims),
                     "; is this an adapter for "
                     "another model?"));
  };
  const size_t rank = dims.size();
  if (rank != 2 && rank != 3)
    return misfit(*pair.a, "an adapter of matrices only");
  if (b.size() != rank || b.back() < 1) return misfit(*pair.b, "[N, r]");
  // b [N, r] tells r.
  const int64_t r = b.back(), n = dims[rank - 2], k = dims[rank - 1];
  const bool table = pair.weight == kEmbedding;
  std::vector<int64_t> want_a = {table ? n : r, table ? r : k};
  std::vector<int64_t> want_b = {table ? k : n, r};
  if (rank == 3) {
    want_a.insert(want_a.begin(), dims[0]);
    want_b.insert(want_b.begin(), dims[0]);
  }
  if (b != absl::MakeConstSpan(want_b))
    return misfit(*pair.b, DimsText(want_b));
  if (a != absl::MakeConstSpan(want_a))
    return misfit(*pair.a, DimsText(want_a));
  for (const GgufTensor* half : {pair.a, pair.b})
    if (!IsDecodable(half->dtype))
      return LoraError(StatusCode::kUnimplemented, file_, "LORA-9",
                       absl::StrCat("type of ", QuoteInput(half->name)),
                       Name(half->dtype), "a type that weft can compute with");
  return absl::OkStatus();
}

const GgufTensor* FindLoraTensor(absl::Span<const LoraUse> uses,
                                 absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "lora.")) return nullptr;
  const size_t dot = name.find('.');
  size_t use = 0;
  if (dot == name.npos || !absl::SimpleAtoi(name.substr(0, dot), &use) ||
      use >= uses.size())
    return nullptr;
  return uses[use].adapter->file().FindTensor(name.substr(dot + 1));
}

}  // namespace weft::inline v0
