#include "models/gguf_key_values.h"

#include <utility>

#include "graph/status_macros.h"
#include "models/byte_reader.h"
#include "models/little_endian.h"

namespace weft::inline v0 {
namespace {

std::string TypeBytes(GgufType type) {
  std::string bytes;
  AppendLittleEndian(static_cast<uint32_t>(type), bytes);
  return bytes;
}

template <class T>
std::string ScalarBytes(GgufType type, T value) {
  std::string bytes = TypeBytes(type);
  AppendLittleEndian(value, bytes);
  return bytes;
}

std::string ArrayHeader(GgufType element, size_t count) {
  std::string bytes = TypeBytes(GgufType::kArray);
  AppendLittleEndian(static_cast<uint32_t>(element), bytes);
  AppendLittleEndian(uint64_t{count}, bytes);
  return bytes;
}

template <class T>
std::string ArrayBytes(GgufType element, absl::Span<const T> values) {
  std::string bytes = ArrayHeader(element, values.size());
  for (const T value : values) AppendLittleEndian(value, bytes);
  return bytes;
}

void AppendString(absl::string_view text, std::string& bytes) {
  AppendLittleEndian(uint64_t{text.size()}, bytes);
  bytes.append(text.data(), text.size());
}

}  // namespace

absl::StatusOr<GgufKeyValues> GgufKeyValues::CopyOf(const GgufFile& file) {
  GgufKeyValues result;
  for (const absl::string_view key : file.keys())
    WEFT_RETURN_IF_ERROR(result.Copy(file, key));
  return result;
}

absl::Status GgufKeyValues::Copy(const GgufFile& file, absl::string_view key) {
  WEFT_ASSIGN_OR_RETURN(const absl::string_view value, file.GetRaw(key));
  Set(key, std::string(value));
  return absl::OkStatus();
}

void GgufKeyValues::SetAll(const GgufKeyValues& other) {
  for (const Item& item : other.items_) Set(item.key, item.value);
}

void GgufKeyValues::SetUint32(absl::string_view key, uint32_t value) {
  Set(key, ScalarBytes(GgufType::kUint32, value));
}

void GgufKeyValues::SetFloat(absl::string_view key, float value) {
  Set(key, ScalarBytes(GgufType::kFloat32, value));
}

void GgufKeyValues::SetBool(absl::string_view key, bool value) {
  Set(key, ScalarBytes(GgufType::kBool, uint8_t{value}));
}

void GgufKeyValues::SetString(absl::string_view key, absl::string_view value) {
  std::string bytes = TypeBytes(GgufType::kString);
  AppendString(value, bytes);
  Set(key, std::move(bytes));
}

void GgufKeyValues::SetStrings(absl::string_view key,
                               absl::Span<const std::string> values) {
  std::string bytes = ArrayHeader(GgufType::kString, values.size());
  for (const std::string& value : values) AppendString(value, bytes);
  Set(key, std::move(bytes));
}

void GgufKeyValues::SetFloats(absl::string_view key,
                              absl::Span<const float> values) {
  Set(key, ArrayBytes(GgufType::kFloat32, values));
}

void GgufKeyValues::SetInt32s(absl::string_view key,
                              absl::Span<const int32_t> values) {
  Set(key, ArrayBytes(GgufType::kInt32, values));
}

void GgufKeyValues::SetUint8s(absl::string_view key,
                              absl::Span<const uint8_t> values) {
  Set(key, ArrayBytes(GgufType::kUint8, values));
}

void GgufKeyValues::Remove(absl::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  items_.erase(items_.begin() + static_cast<ptrdiff_t>(found->second));
  index_.clear();
  for (size_t i = 0; i < items_.size(); ++i) index_[items_[i].key] = i;
}

std::optional<uint32_t> GgufKeyValues::GetUint32(absl::string_view key) const {
  const auto found = index_.find(key);
  if (found == index_.end()) return std::nullopt;
  const std::string& value = items_[found->second].value;
  ByteReader reader(absl::MakeConstSpan(
      reinterpret_cast<const std::byte*>(value.data()), value.size()));
  if (reader.Read<uint32_t>() != static_cast<uint32_t>(GgufType::kUint32))
    return std::nullopt;
  return reader.Read<uint32_t>();
}

void GgufKeyValues::AppendTo(std::string& bytes) const {
  for (const Item& item : items_) {
    AppendString(item.key, bytes);
    bytes += item.value;
  }
}

void GgufKeyValues::Set(absl::string_view key, std::string value) {
  const auto [at, is_new] = index_.try_emplace(std::string(key), items_.size());
  if (is_new)
    items_.push_back({std::string(key), std::move(value)});
  else
    items_[at->second].value = std::move(value);
}

}  // namespace weft::inline v0
