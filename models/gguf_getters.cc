// Typed access to metadata.
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

// Calls `f` with the integer of `type` at `at`; gives `f`'s result, or
// `no_integer` where `type` is none.
template <class F, class Result>
Result WithInteger(GgufType type, const std::byte* at, F f, Result no_integer) {
  switch (type) {
    case GgufType::kUint8:
      return f(LoadLittleEndian<uint8_t>(at));
    case GgufType::kInt8:
      return f(LoadLittleEndian<int8_t>(at));
    case GgufType::kUint16:
      return f(LoadLittleEndian<uint16_t>(at));
    case GgufType::kInt16:
      return f(LoadLittleEndian<int16_t>(at));
    case GgufType::kUint32:
      return f(LoadLittleEndian<uint32_t>(at));
    case GgufType::kInt32:
      return f(LoadLittleEndian<int32_t>(at));
    case GgufType::kUint64:
      return f(LoadLittleEndian<uint64_t>(at));
    case GgufType::kInt64:
      return f(LoadLittleEndian<int64_t>(at));
    case GgufType::kFloat32:
    case GgufType::kFloat64:
    case GgufType::kBool:
    case GgufType::kString:
    case GgufType::kArray:
      return no_integer;
  }
  return no_integer;
}

// The integer of `type` at `at`, if `To` can hold it.
template <class To>
std::optional<To> LoadAs(GgufType type, const std::byte* at) {
  const auto convert = [](auto value) -> std::optional<To> {
    if (!std::in_range<To>(value)) return std::nullopt;
    return static_cast<To>(value);
  };
  return WithInteger(type, at, convert, std::optional<To>());
}

bool IsInteger(GgufType type) {
  return type != GgufType::kBool && type != GgufType::kFloat32 &&
         type != GgufType::kFloat64 && GgufFixedSize(type) > 0;
}

std::string IntegerText(GgufType type, const std::byte* at) {
  return WithInteger(
      type, at, [](auto value) { return absl::StrCat(value); }, std::string());
}

template <class T>
std::string RangeText() {
  return absl::StrCat(std::numeric_limits<T>::min(), " to ",
                      std::numeric_limits<T>::max());
}

absl::Status WrongType(const GgufInput& in, absl::string_view key,
                       const GgufValue& value, absl::string_view expected) {
  return in.Error(StatusCode::kInvalidArgument,
                  {.id = "GGUF-G2",
                   .at = value.at,
                   .field = absl::StrCat("type of key ", QuoteInput(key)),
                   .value = std::string(Name(value.type)),
                   .expected = std::string(expected)});
}

absl::Status WrongElement(const GgufInput& in, absl::string_view key,
                          const GgufValue& value, absl::string_view expected) {
  return in.Error(
      StatusCode::kInvalidArgument,
      {.id = "GGUF-G4",
       .at = value.at,
       .field = absl::StrCat("element type of key ", QuoteInput(key)),
       .value = std::string(Name(value.element)),
       .expected = std::string(expected)});
}

template <class To>
absl::StatusOr<To> GetInteger(const GgufInput& in, absl::string_view key,
                              const GgufValue& value) {
  if (!IsInteger(value.type)) return WrongType(in, key, value, "an integer");
  const std::byte* const at = in.bytes.data() + value.at;
  if (const std::optional<To> number = LoadAs<To>(value.type, at))
    return *number;
  return in.Error(StatusCode::kOutOfRange,
                  {.id = "GGUF-G5",
                   .at = value.at,
                   .field = absl::StrCat("value of key ", QuoteInput(key)),
                   .value = IntegerText(value.type, at),
                   .expected = RangeText<To>()});
}

// A string that was parsed before.
absl::string_view LoadString(ByteReader& reader) {
  const uint64_t size = reader.Read<uint64_t>().value_or(0);
  return reader.ReadBytes(size).value_or(absl::string_view());
}

}  // namespace

absl::StatusOr<GgufValue> GgufFile::Contents::Find(
    absl::string_view key) const {
  const GgufInput in = input();
  if (const std::optional<uint32_t> i = metadata.index.Find(key))
    return GgufValueOfParsedKey(in, metadata.keys[*i]);
  return in.Error(StatusCode::kNotFound,
                  {.id = "GGUF-G1",
                   .at = kGgufHeaderBytes,
                   .field = absl::StrCat("key ", QuoteInput(key)),
                   .value = "absent",
                   .expected = "it in the metadata"});
}

absl::StatusOr<GgufValue> GgufFile::Contents::FindArray(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, Find(key));
  if (value.type == GgufType::kArray) return value;
  return input().Error(StatusCode::kInvalidArgument,
                       {.id = "GGUF-G3",
                        .at = value.at,
                        .field = absl::StrCat("type of key ", QuoteInput(key)),
                        .value = std::string(Name(value.type)),
                        .expected = "array"});
}

absl::StatusOr<GgufType> GgufFile::TypeOf(absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  return value.type;
}

absl::StatusOr<absl::string_view> GgufFile::GetRaw(
    absl::string_view key) const {
  WEFT_RETURN_IF_ERROR(contents_->Find(key).status());
  const GgufMetadata& metadata = contents_->metadata;
  return RawGgufValueOfParsedKey(contents_->input(),
                                 metadata.keys[*metadata.index.Find(key)]);
}

absl::StatusOr<uint32_t> GgufFile::GetUint32(absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  return GetInteger<uint32_t>(contents_->input(), key, value);
}

absl::StatusOr<int64_t> GgufFile::GetInt64(absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  return GetInteger<int64_t>(contents_->input(), key, value);
}

absl::StatusOr<float> GgufFile::GetFloat(absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  const GgufInput in = contents_->input();
  const std::byte* const at = in.bytes.data() + value.at;
  if (value.type == GgufType::kFloat32) return LoadLittleEndian<float>(at);
  if (value.type != GgufType::kFloat64)
    return WrongType(in, key, value, "float32 or float64");
  const double number = LoadLittleEndian<double>(at);
  // Out of range the conversion would be undefined; NaN and infinities have it.
  if (std::isfinite(number) &&
      std::abs(number) > std::numeric_limits<float>::max())
    return in.Error(StatusCode::kOutOfRange,
                    {.id = "GGUF-G7",
                     .at = value.at,
                     .field = absl::StrCat("value of key ", QuoteInput(key)),
                     .value = absl::StrCat(number),
                     .expected = "the range of float32"});
  return static_cast<float>(number);
}

absl::StatusOr<bool> GgufFile::GetBool(absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  if (value.type != GgufType::kBool)
    return WrongType(contents_->input(), key, value, "bool");
  return contents_->bytes[value.at] != std::byte{0};
}

absl::StatusOr<absl::string_view> GgufFile::GetString(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->Find(key));
  if (value.type != GgufType::kString)
    return WrongType(contents_->input(), key, value, "string");
  ByteReader reader(contents_->bytes, value.at);
  return LoadString(reader);
}

absl::StatusOr<std::vector<absl::string_view>> GgufFile::GetStrings(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->FindArray(key));
  if (value.element != GgufType::kString)
    return WrongElement(contents_->input(), key, value, "string");
  ByteReader reader(contents_->bytes, value.at);
  std::vector<absl::string_view> strings(value.count);
  for (absl::string_view& string : strings) string = LoadString(reader);
  return strings;
}

absl::StatusOr<std::vector<float>> GgufFile::GetFloats(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->FindArray(key));
  if (value.element != GgufType::kFloat32)
    return WrongElement(contents_->input(), key, value, "float32");
  std::vector<float> floats(value.count);
  const std::byte* at = contents_->bytes.data() + value.at;
  for (float& number : floats) {
    number = LoadLittleEndian<float>(at);
    at += sizeof(float);
  }
  return floats;
}

absl::StatusOr<std::vector<int32_t>> GgufFile::GetInt32s(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->FindArray(key));
  const GgufInput in = contents_->input();
  if (!IsInteger(value.element))
    return WrongElement(in, key, value, "an integer type");
  std::vector<int32_t> numbers(value.count);
  const uint64_t size = GgufFixedSize(value.element);
  for (uint64_t i = 0; i < value.count; ++i) {
    const std::byte* const at = in.bytes.data() + value.at + i * size;
    const std::optional<int32_t> number = LoadAs<int32_t>(value.element, at);
    if (!number)
      return in.Error(
          StatusCode::kOutOfRange,
          {.id = "GGUF-G6",
           .at = value.at + i * size,
           .field = absl::StrCat("element ", i, " of key ", QuoteInput(key)),
           .value = IntegerText(value.element, at),
           .expected = RangeText<int32_t>()});
    numbers[i] = *number;
  }
  return numbers;
}

absl::StatusOr<std::vector<bool>> GgufFile::GetBools(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->FindArray(key));
  if (value.element != GgufType::kBool)
    return WrongElement(contents_->input(), key, value, "bool");
  const std::byte* at = contents_->bytes.data() + value.at;
  std::vector<bool> flags(value.count);
  for (size_t i = 0; i < flags.size(); ++i) flags[i] = at[i] != std::byte{0};
  return flags;
}

absl::StatusOr<GgufFile::ArrayInfo> GgufFile::GetArrayInfo(
    absl::string_view key) const {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value, contents_->FindArray(key));
  return ArrayInfo{value.element, value.count};
}

std::optional<uint64_t> GgufFile::OffsetOf(absl::string_view key,
                                           uint64_t element) const {
  if (!contents_->header_bytes.empty()) return std::nullopt;
  const absl::StatusOr<GgufValue> value = contents_->Find(key);
  if (!value.ok() || (element > 0 && element >= value->count))
    return std::nullopt;
  if (value->element != GgufType::kString)
    return value->at + element * GgufFixedSize(value->element);
  ByteReader reader(contents_->bytes, value->at);
  for (uint64_t i = 0; i < element; ++i) LoadString(reader);
  return reader.position();
}

std::optional<uint64_t> GgufFile::OffsetOf(const GgufTensor& tensor) const {
  const uint64_t at = contents_->input().PositionOf(tensor.name);
  // Of a name elsewhere, the "position" is none.
  if (!contents_->header_bytes.empty() || at >= contents_->bytes.size())
    return std::nullopt;
  return at - sizeof(uint64_t);  // the name's length comes first
}

}  // namespace weft::inline v0
