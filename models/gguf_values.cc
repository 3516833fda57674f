// Values of the key-value section: checked once, decoded on demand.
#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr struct {
  absl::string_view name;
  uint64_t bytes;
} kTypes[] = {{"uint8", 1},  {"int8", 1},  {"uint16", 2},  {"int16", 2},
              {"uint32", 4}, {"int32", 4}, {"float32", 4}, {"bool", 1},
              {"string", 0}, {"array", 0}, {"uint64", 8},  {"int64", 8},
              {"float64", 8}};
constexpr uint32_t kTypeCount = std::size(kTypes);

std::optional<GgufType> ToType(uint32_t number) {
  if (number >= kTypeCount) return std::nullopt;
  return static_cast<GgufType>(number);
}

absl::Status UnknownType(const GgufInput& in, absl::string_view id, uint64_t at,
                         std::string field, uint32_t number) {
  return in.Error(StatusCode::kUnimplemented,
                  {.id = id,
                   .at = at,
                   .field = std::move(field),
                   .value = absl::StrCat(number),
                   .expected = absl::StrCat("0 to ", kTypeCount - 1)});
}

absl::StatusOr<GgufType> ReadElementType(const GgufInput& in,
                                         const GgufKeyAt& key,
                                         ByteReader& reader) {
  const auto field = [&] {
    return absl::StrCat("element type of ", key.Label());
  };
  const uint64_t at = reader.position();
  const std::optional<uint32_t> number = reader.Read<uint32_t>();
  if (!number) return in.CutOff("GGUF-K15", reader, field(), 4);
  const std::optional<GgufType> type = ToType(*number);
  if (!type) return UnknownType(in, "GGUF-K16", at, field(), *number);
  if (*type != GgufType::kArray) return *type;
  return in.Error(StatusCode::kUnimplemented, {.id = "GGUF-K14",
                                               .at = at,
                                               .field = field(),
                                               .value = "array",
                                               .expected = "no nested arrays"});
}

// Reads up to the first element of the value.
absl::StatusOr<GgufValue> ReadValueHeader(const GgufInput& in,
                                          const GgufKeyAt& key,
                                          ByteReader& reader) {
  const auto field = [&] {
    return absl::StrCat("value type of ", key.Label());
  };
  const uint64_t at = reader.position();
  const std::optional<uint32_t> number = reader.Read<uint32_t>();
  if (!number) return in.CutOff("GGUF-K6", reader, field(), 4);
  const std::optional<GgufType> type = ToType(*number);
  if (!type) return UnknownType(in, "GGUF-K9", at, field(), *number);
  if (*type != GgufType::kArray)
    return GgufValue{.type = *type, .element = *type, .at = reader.position()};
  WEFT_ASSIGN_OR_RETURN(const GgufType element,
                        ReadElementType(in, key, reader));
  const std::optional<uint64_t> count = reader.Read<uint64_t>();
  if (!count)
    return in.CutOff("GGUF-K18", reader,
                     absl::StrCat("element count of ", key.Label()), 8);
  return GgufValue{.type = GgufType::kArray,
                   .element = element,
                   .count = *count,
                   .at = reader.position()};
}

// Says which value of `key` is meant.
std::string ElementLabel(const GgufKeyAt& key, const GgufValue& value,
                         uint64_t element) {
  const absl::string_view what =
      value.element == GgufType::kString ? "string" : "value";
  if (value.type != GgufType::kArray)
    return absl::StrCat(what, " of ", key.Label());
  return absl::StrCat(what, " in element ", element, " of ", value.count,
                      " of ", key.Label());
}

absl::Status SkipString(const GgufInput& in, const GgufKeyAt& key,
                        const GgufValue& value, uint64_t element,
                        ByteReader& reader) {
  const std::optional<uint64_t> size = reader.Read<uint64_t>();
  if (size && reader.ReadBytes(*size)) return absl::OkStatus();
  const bool in_array = value.type == GgufType::kArray;
  return in.CutOff(in_array ? "GGUF-K20" : "GGUF-K11", reader,
                   ElementLabel(key, value, element), size.value_or(8));
}

absl::Status SkipStrings(const GgufInput& in, const GgufKeyAt& key,
                         const GgufValue& value, ByteReader& reader) {
  if (value.type == GgufType::kArray &&
      !reader.CanHold(value.count, kMinStringBytes))
    return in.Error(StatusCode::kDataLoss,
                    {.id = "GGUF-K19",
                     .at = value.at,
                     .field = absl::StrCat("string count of ", key.Label()),
                     .value = absl::StrCat(value.count),
                     .expected = absl::StrCat(
                         "at most ", reader.remaining() / kMinStringBytes,
                         ", which is what the file can hold")});
  for (uint64_t i = 0; i < value.count; ++i)
    WEFT_RETURN_IF_ERROR(SkipString(in, key, value, i, reader));
  return absl::OkStatus();
}

absl::Status CheckBools(const GgufInput& in, const GgufKeyAt& key,
                        const GgufValue& value, absl::string_view bytes) {
  const auto bad = std::find_if(bytes.begin(), bytes.end(), [](char c) {
    return static_cast<unsigned char>(c) > 1;
  });
  if (bad == bytes.end()) return absl::OkStatus();
  const uint64_t element = static_cast<uint64_t>(bad - bytes.begin());
  return in.Error(
      StatusCode::kInvalidArgument,
      {.id = value.type == GgufType::kArray ? "GGUF-K21" : "GGUF-K13",
       .at = value.at + element,
       .field = ElementLabel(key, value, element),
       .value = absl::StrCat(static_cast<unsigned char>(*bad)),
       .expected = "0 or 1",
       .hint = "bool must be 0 or 1"});
}

absl::Status SkipValue(const GgufInput& in, const GgufKeyAt& key,
                       const GgufValue& value, ByteReader& reader) {
  if (value.element == GgufType::kString)
    return SkipStrings(in, key, value, reader);
  const uint64_t size = GgufFixedSize(value.element);
  if (!reader.CanHold(value.count, size)) {
    if (value.type != GgufType::kArray)
      return in.CutOff(
          "GGUF-K10", reader,
          absl::StrCat(Name(value.type), " value of ", key.Label()), size);
    return in.Error(StatusCode::kDataLoss,
                    {.id = "GGUF-K17",
                     .at = value.at,
                     .field = absl::StrCat("element count of ", key.Label()),
                     .value = absl::StrCat(value.count),
                     .expected = absl::StrCat(
                         "at most ", reader.remaining() / size, " of ", size,
                         " bytes, which is what the file can hold")});
  }
  // CanHold saw that the product is no larger than the file.
  const absl::string_view bytes = *reader.ReadBytes(value.count * size);
  if (value.element == GgufType::kBool)
    return CheckBools(in, key, value, bytes);
  return absl::OkStatus();
}

}  // namespace

std::string GgufKeyAt::Label() const {
  return absl::StrCat("key ", number, " ", QuoteInput(name));
}

absl::string_view Name(GgufType type) {
  const auto number = static_cast<uint32_t>(type);
  return number < kTypeCount ? kTypes[number].name : "?";
}

uint64_t GgufFixedSize(GgufType type) {
  const auto number = static_cast<uint32_t>(type);
  return number < kTypeCount ? kTypes[number].bytes : 0;
}

GgufValue GgufValueOfParsedKey(const GgufInput& in, absl::string_view key) {
  ByteReader reader(in.bytes, in.PositionOf(key) + key.size());
  // It was read without an error before.
  return ReadValueHeader(in, {0, key}, reader).value_or(GgufValue{});
}

absl::string_view RawGgufValueOfParsedKey(const GgufInput& in,
                                          absl::string_view key) {
  ByteReader reader(in.bytes, in.PositionOf(key) + key.size());
  ByteReader end = reader;
  if (!ReadGgufValue(in, {0, key}, end).ok()) return {};
  return *reader.ReadBytes(end.position() - reader.position());
}

absl::StatusOr<GgufValue> ReadGgufValue(const GgufInput& in,
                                        const GgufKeyAt& key,
                                        ByteReader& reader) {
  WEFT_ASSIGN_OR_RETURN(const GgufValue value,
                        ReadValueHeader(in, key, reader));
  WEFT_RETURN_IF_ERROR(SkipValue(in, key, value, reader));
  return value;
}

}  // namespace weft::inline v0
