#include "backends/encode.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "backends/encode/encoders.h"

namespace weft::inline v0 {
namespace {

using encode::EncodeArgs;

constexpr float kHalfMax = 65504;  // the largest f16

struct Encoder {
  DType type;
  // The largest magnitude of a value whose block is sure to be finite.
  float limit;
  void (*encode)(const EncodeArgs& args);
};

// Limits of the formats with f16 scales are those of the scale times the
// smallest of what the largest value may have to be a multiple of.
constexpr Encoder kEncoders[] = {
    {DType::kF32, std::numeric_limits<float>::max(), encode::EncodeF32},
    {DType::kF16, kHalfMax, encode::EncodeF16},
    {DType::kBF16, 0x1.FEp127f, encode::EncodeBF16},
    {DType::kQ4_0, kHalfMax * 8, encode::EncodeQ4_0},
    {DType::kQ4_1, kHalfMax, encode::EncodeQ4_1},  // the minimum is f16
    {DType::kQ5_0, kHalfMax * 16, encode::EncodeQ5_0},
    {DType::kQ5_1, kHalfMax, encode::EncodeQ5_1},
    {DType::kQ8_0, kHalfMax * 127, encode::EncodeQ8_0},
    {DType::kQ2_K, kHalfMax * 15, encode::EncodeQ2_K},  // minima reach to 15
    {DType::kQ3_K, kHalfMax * 32 * 4, encode::EncodeQ3_K},
    {DType::kQ4_K, kHalfMax * 63, encode::EncodeQ4_K},
    {DType::kQ5_K, kHalfMax * 63, encode::EncodeQ5_K},
    {DType::kQ6_K, kHalfMax * 128 * 32, encode::EncodeQ6_K},
    // 1 / (127 / x) may be above x.
    {DType::kQ8_K, 0x1p127f, encode::EncodeQ8_K},
    {DType::kIQ4_NL, kHalfMax * 113, encode::EncodeIQ4_NL},
    {DType::kIQ4_XS, kHalfMax * 32 * 113, encode::EncodeIQ4_XS},
    {DType::kMXFP4, std::numeric_limits<float>::max(), encode::EncodeMXFP4},
};

const Encoder* FindEncoder(DType type) {
  for (const Encoder& encoder : kEncoders)
    if (encoder.type == type) return &encoder;
  return nullptr;
}

// Above `limit` in magnitude, or NaN.
bool IsBad(float value, float limit) {
  const auto magnitude = std::bit_cast<uint32_t>(value) & 0x7FFFFFFFu;
  return magnitude > std::bit_cast<uint32_t>(limit);
}

absl::Status BadValue(DType type, float value, float limit, int64_t row,
                      int64_t column) {
  const std::string at = absl::StrCat("row ", row, ", column ", column, ": ");
  if (!std::isfinite(value))
    return absl::InvalidArgumentError(
        absl::StrCat(at, value, " cannot be encoded as ", Name(type)));
  return absl::InvalidArgumentError(
      absl::StrCat(at, value, " is too large for ", Name(type),
                   ", which takes magnitudes up to ", limit));
}

absl::Status CheckValues(const Encoder& encoder, absl::Span<const float> values,
                         int64_t row_length) {
  bool bad = false;
  for (const float v : values) bad |= IsBad(v, encoder.limit);
  if (!bad) return absl::OkStatus();
  for (size_t i = 0; i < values.size(); ++i)
    if (IsBad(values[i], encoder.limit)) {
      const auto at = static_cast<int64_t>(i);
      return BadValue(encoder.type, values[i], encoder.limit, at / row_length,
                      at % row_length);
    }
  return absl::OkStatus();
}

absl::Status CheckSizes(DType type, size_t values, int64_t row_length,
                        size_t importance, size_t out) {
  const std::optional<int64_t> row_bytes = RowBytes(type, row_length);
  if (row_length <= 0 || !row_bytes.has_value())
    return absl::InvalidArgumentError(
        absl::StrCat("rows of ", row_length, " values cannot be ", Name(type),
                     ", which has blocks of ", Info(type).block_values));
  const auto length = static_cast<size_t>(row_length);
  if (values % length != 0)
    return absl::InvalidArgumentError(
        absl::StrCat(values, " values are not whole rows of ", row_length));
  if (importance != 0 && importance != length)
    return absl::InvalidArgumentError(
        absl::StrCat("importance has ", importance, " weights, rows have ",
                     row_length, " values"));
  const size_t wanted =
      values / length * static_cast<size_t>(row_bytes.value());
  if (out != wanted)
    return absl::InvalidArgumentError(
        absl::StrCat(values / length, " rows of ", row_length, " values as ",
                     Name(type), " are ", wanted, " bytes, not ", out));
  return absl::OkStatus();
}

// Weights in (0, 1]. A floor keeps columns that were never active from being
// encoded as anything at all; it is low enough not to be seen in the error.
absl::Status NormaliseImportance(absl::Span<const float> importance,
                                 std::vector<float>& weights) {
  constexpr float kFloor = 0x1p-20f;
  float top = 0;
  for (size_t i = 0; i < importance.size(); ++i) {
    if (!(importance[i] >= 0) || !std::isfinite(importance[i]))
      return absl::InvalidArgumentError(
          absl::StrCat("importance of column ", i, " is ", importance[i]));
    top = std::max(top, importance[i]);
  }
  weights.reserve(importance.size());
  for (const float w : importance)
    weights.push_back(top > 0 ? std::max(w / top, kFloor) : 1);
  return absl::OkStatus();
}

}  // namespace

bool CanEncode(DType type) { return FindEncoder(type) != nullptr; }

absl::Status EncodeRows(DType type, absl::Span<const float> values,
                        int64_t row_length, absl::Span<const float> importance,
                        absl::Span<std::byte> out) {
  const Encoder* encoder = FindEncoder(type);
  if (encoder == nullptr)
    return absl::UnimplementedError(
        absl::StrCat("EncodeRows: weft does not write ", Name(type)));
  absl::Status status = CheckSizes(type, values.size(), row_length,
                                   importance.size(), out.size());
  if (status.ok()) status = CheckValues(*encoder, values, row_length);
  std::vector<float> weights;
  if (status.ok()) status = NormaliseImportance(importance, weights);
  if (!status.ok()) return status;
  encoder->encode({.values = values.data(),
                   .count = static_cast<int64_t>(values.size()),
                   .row_length = row_length,
                   .importance = weights.empty() ? nullptr : weights.data(),
                   .out = out.data()});
  return absl::OkStatus();
}

}  // namespace weft::inline v0
