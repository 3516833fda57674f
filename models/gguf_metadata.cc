// The key-value section: keys, duplicates, general.alignment.
#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/gguf_internal.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint32_t kMaxAlignment = 65536;
constexpr absl::string_view kAlignmentKey = "general.alignment";

absl::Status CheckKey(const GgufInput& in, const GgufKeyAt& key) {
  InputError error{.at = in.PositionOf(key.name)};
  if (key.name.empty()) {
    error.id = "GGUF-K1";
    error.field = absl::StrCat("key ", key.number);
    error.value = "empty";
    error.expected = "1 to 65535 bytes";
    error.hint = absl::StrCat("empty key at index ", key.number);
    return in.Error(StatusCode::kInvalidArgument, error);
  }
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  const auto bad =
      std::find_if_not(key.name.begin(), key.name.end(), is_printable);
  if (bad == key.name.end()) return absl::OkStatus();
  *error.at += static_cast<uint64_t>(bad - key.name.begin());
  error.field = absl::StrCat("key ", key.number);
  error.value = QuoteInput(key.name);
  error.expected = "printable ASCII";
  error.id = *bad == '\0' ? "GGUF-K4" : "GGUF-K5";
  error.hint = *bad == '\0' ? "NUL in key" : "control or non-ASCII key";
  return in.Error(StatusCode::kInvalidArgument, error);
}

absl::StatusOr<GgufKeyAt> ReadKey(const GgufInput& in, uint64_t number,
                                  ByteReader& reader) {
  const uint64_t at = reader.position();
  const std::optional<uint64_t> size = reader.Read<uint64_t>();
  if (!size || *size > reader.remaining())
    return in.CutOff("GGUF-K3", reader, absl::StrCat("key ", number),
                     size.value_or(8));
  if (*size > kMaxKeyBytes)
    return in.Error(StatusCode::kInvalidArgument,
                    {.id = "GGUF-K2",
                     .at = at,
                     .field = absl::StrCat("length of key ", number),
                     .value = absl::StrCat(*size),
                     .expected = "1 to 65535",
                     .hint = "key longer than 65535 bytes"});
  const GgufKeyAt key{number, *reader.ReadBytes(*size)};
  WEFT_RETURN_IF_ERROR(CheckKey(in, key));
  return key;
}

using KeyValueFn =
    absl::FunctionRef<absl::Status(const GgufKeyAt&, const GgufValue&)>;

// Reads and checks `n` key-values, giving each to `fn`.
absl::Status ForEachKeyValue(const GgufInput& in, uint64_t n,
                             ByteReader& reader, KeyValueFn fn) {
  for (uint64_t i = 0; i < n; ++i) {
    WEFT_ASSIGN_OR_RETURN(const GgufKeyAt key, ReadKey(in, i, reader));
    WEFT_ASSIGN_OR_RETURN(const GgufValue value,
                          ReadGgufValue(in, key, reader));
    WEFT_RETURN_IF_ERROR(fn(key, value));
  }
  return absl::OkStatus();
}

absl::Status CheckAlignment(const GgufInput& in, const GgufValue& value,
                            uint32_t alignment) {
  InputError error{.at = value.at,
                   .field = std::string(kAlignmentKey),
                   .value = absl::StrCat(alignment),
                   .expected = "a power of two up to 65536"};
  if (alignment == 0) {
    error.id = "GGUF-K22";
    error.hint = "alignment 0 is none";
    return in.Error(StatusCode::kInvalidArgument, error);
  }
  if ((alignment & (alignment - 1)) != 0) {
    error.id = "GGUF-K23";
    return in.Error(StatusCode::kInvalidArgument, error);
  }
  if (alignment > kMaxAlignment) {
    error.id = "GGUF-K25";
    error.hint = "alignment over the limit";
    return in.Error(StatusCode::kResourceExhausted, error);
  }
  return absl::OkStatus();
}

absl::Status ReadAlignment(const GgufInput& in, const GgufValue& value,
                           uint32_t& alignment) {
  if (value.type != GgufType::kUint32)
    return in.Error(StatusCode::kInvalidArgument,
                    {.id = "GGUF-K26",
                     .at = value.at,
                     .field = "general.alignment must be uint32 but",
                     .value = std::string(Name(value.type)),
                     .expected = "uint32"});
  alignment = LoadLittleEndian<uint32_t>(in.bytes.data() + value.at);
  return CheckAlignment(in, value, alignment);
}

absl::Status AddKey(const GgufInput& in, const GgufKeyAt& key,
                    GgufMetadata& metadata) {
  metadata.keys.push_back(key.name);
  const std::optional<uint32_t> first =
      metadata.index.Insert(static_cast<uint32_t>(metadata.keys.size() - 1));
  if (!first) return absl::OkStatus();
  return in.Error(StatusCode::kAlreadyExists,
                  {.id = "GGUF-K7",
                   .at = in.PositionOf(key.name),
                   .field = key.Label(),
                   .value = absl::StrCat("a duplicate of key ", *first),
                   .expected = "every key once"});
}

}  // namespace

absl::Status ReadGgufMetadata(const GgufInput& in, uint64_t n_kv,
                              ByteReader& reader, GgufMetadata& metadata) {
  if (n_kv > std::numeric_limits<uint32_t>::max())
    return in.Error(StatusCode::kResourceExhausted,
                    {.id = "GGUF-K28",
                     .at = 16,
                     .field = "n_kv",
                     .value = absl::StrCat(n_kv),
                     .expected = "at most 2^32-1"});
  // First without storing: only then is the count known to be true, and memory
  // can be taken once, for as many keys as there are.
  ByteReader ahead = reader;
  WEFT_RETURN_IF_ERROR(ForEachKeyValue(
      in, n_kv, ahead,
      [](const GgufKeyAt&, const GgufValue&) { return absl::OkStatus(); }));
  metadata.keys.reserve(n_kv);
  metadata.index.Reserve(n_kv);
  return ForEachKeyValue(in, n_kv, reader,
                         [&](const GgufKeyAt& key, const GgufValue& value) {
                           WEFT_RETURN_IF_ERROR(AddKey(in, key, metadata));
                           if (key.name != kAlignmentKey)
                             return absl::OkStatus();
                           return ReadAlignment(in, value, metadata.alignment);
                         });
}

}  // namespace weft::inline v0
