#include "tests/gguf_builder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace weft::inline v0 {
namespace {

void PadTo(uint64_t alignment, char padding, std::string& file) {
  while (file.size() % alignment != 0) file.push_back(padding);
}

std::string TensorInfo(const GgufTensorSpec& tensor, uint64_t offset) {
  std::string bytes =
      LittleEndian<uint64_t>(tensor.length.value_or(tensor.name.size())) +
      tensor.name +
      LittleEndian<uint32_t>(
          tensor.n_dims.value_or(static_cast<uint32_t>(tensor.dims.size())));
  for (const uint64_t dim : tensor.dims) bytes += LittleEndian(dim);
  return bytes + LittleEndian(tensor.type) +
         LittleEndian(tensor.offset.value_or(offset));
}

// `bytes` distinct and far from zero, so that a misplaced read shows.
std::string Pattern(size_t bytes, size_t seed) {
  std::string data(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i)
    data[i] = static_cast<char>(1 + (seed * 89 + i * 7) % 119);
  return data;
}

void AddScalars(GgufSpec& spec) {
  spec.String("general.architecture", "llama")
      .Scalar<uint32_t>("general.alignment", GgufType::kUint32, 32)
      .Scalar<uint8_t>("s.u8", GgufType::kUint8, 200)
      .Scalar<int8_t>("s.i8", GgufType::kInt8, -100)
      .Scalar<uint16_t>("s.u16", GgufType::kUint16, 60000)
      .Scalar<int16_t>("s.i16", GgufType::kInt16, -30000)
      .Scalar<uint32_t>("s.u32", GgufType::kUint32, 4000000000u)
      .Scalar<int32_t>("s.i32", GgufType::kInt32, -2000000000)
      .Scalar<uint64_t>("s.u64", GgufType::kUint64, 1ull << 63)
      .Scalar<int64_t>("s.i64", GgufType::kInt64, -5)
      .Scalar<float>("s.f32", GgufType::kFloat32, 1.5f)
      .Scalar<double>("s.f64", GgufType::kFloat64, 0.25)
      .Scalar<uint8_t>("s.bool", GgufType::kBool, 1);
}

void AddArrays(GgufSpec& spec) {
  spec.Array<uint8_t>("a.u8", GgufType::kUint8, {1, 255})
      .Array<int8_t>("a.i8", GgufType::kInt8, {-1, 1})
      .Array<uint16_t>("a.u16", GgufType::kUint16, {1, 65535})
      .Array<int16_t>("a.i16", GgufType::kInt16, {-2, 2})
      .Array<uint32_t>("a.u32", GgufType::kUint32, {1, 0xffffffff})
      .Array<int32_t>("a.i32", GgufType::kInt32, {-3, 3, 4})
      .Array<uint64_t>("a.u64", GgufType::kUint64, {1, 2})
      .Array<int64_t>("a.i64", GgufType::kInt64, {-4, 1})
      .Array<float>("a.f32", GgufType::kFloat32, {0.5f, -2.0f})
      .Array<double>("a.f64", GgufType::kFloat64, {0.5})
      .Array<uint8_t>("a.bool", GgufType::kBool, {0, 1, 1})
      .Strings("a.str", {"a", "", "xyz", std::string("\0\xff", 2)});
}

}  // namespace

std::string GgufString(absl::string_view text) {
  return LittleEndian<uint64_t>(text.size()) + std::string(text);
}

GgufSpec& GgufSpec::Add(absl::string_view key, GgufType type,
                        std::string payload) {
  keys.push_back(
      {std::string(key), static_cast<uint32_t>(type), std::move(payload)});
  return *this;
}

GgufSpec& GgufSpec::AddArray(absl::string_view key, GgufType element,
                             uint64_t count, absl::string_view bytes) {
  return Add(key, GgufType::kArray,
             LittleEndian(static_cast<uint32_t>(element)) +
                 LittleEndian(count) + std::string(bytes));
}

GgufSpec& GgufSpec::String(absl::string_view key, absl::string_view value) {
  return Add(key, GgufType::kString, GgufString(value));
}

GgufSpec& GgufSpec::Strings(absl::string_view key,
                            std::vector<std::string> values) {
  std::string bytes;
  for (const std::string& value : values) bytes += GgufString(value);
  return AddArray(key, GgufType::kString, values.size(), bytes);
}

GgufSpec& GgufSpec::Tensor(absl::string_view name, DType type,
                           std::vector<uint64_t> dims) {
  const DTypeInfo& info = Info(type);
  uint64_t elements = 1;
  for (const uint64_t dim : dims) elements *= dim;
  const uint64_t bytes = elements / static_cast<uint64_t>(info.block_values) *
                         static_cast<uint64_t>(info.block_bytes);
  tensors.push_back({.name = std::string(name),
                     .dims = std::move(dims),
                     .type = static_cast<uint32_t>(type),
                     .data = Pattern(bytes, tensors.size())});
  return *this;
}

GgufKeySpec& GgufSpec::Key(absl::string_view name) {
  return *std::find_if(keys.begin(), keys.end(),
                       [&](const GgufKeySpec& key) { return key.key == name; });
}

uint64_t GgufSpec::OffsetOf(absl::string_view name, size_t element) const {
  GgufSpec before = *this;  // what stands in the file up to there
  for (size_t i = 0; i < tensors.size(); ++i)
    if (tensors[i].name == name) {
      before.tensors.resize(i);
      return before.Metadata().size();
    }
  before.tensors.clear();
  size_t i = 0;
  while (keys[i].key != name) ++i;
  before.keys.resize(i);
  // Up to the value: the key as a string, and the type.
  const uint64_t at = before.Metadata().size() + 8 + name.size() + 4;
  if (keys[i].type != static_cast<uint32_t>(GgufType::kArray)) return at;
  const std::string& payload = keys[i].payload;
  const auto number = [&payload](size_t from) {
    uint64_t n = 0;
    std::memcpy(&n, &payload[from], sizeof(n));
    return n;
  };
  constexpr size_t kHead = 12;  // element type and count
  if (element == 0) return at + kHead;
  if (payload[0] != static_cast<char>(GgufType::kString))
    return at + kHead + element * (payload.size() - kHead) / number(4);
  size_t in_payload = kHead;
  for (; element > 0; --element) in_payload += 8 + number(in_payload);
  return at + in_payload;
}

std::string GgufSpec::Metadata() const {
  std::string file =
      magic + LittleEndian(version) +
      LittleEndian<uint64_t>(n_tensors.value_or(tensors.size())) +
      LittleEndian<uint64_t>(n_kv.value_or(keys.size()));
  for (const GgufKeySpec& key : keys)
    file += LittleEndian<uint64_t>(key.length.value_or(key.key.size())) +
            key.key + LittleEndian(key.type) + key.payload;
  uint64_t offset = 0;
  for (const GgufTensorSpec& tensor : tensors) {
    file += TensorInfo(tensor, offset);
    offset += tensor.data.size();
    offset += (alignment - offset % alignment) % alignment;
  }
  return file;
}

std::string GgufSpec::Build() const {
  std::string file = Metadata();
  // A file without tensors has no data section to be aligned.
  if (!tensors.empty()) PadTo(alignment, padding, file);
  for (const GgufTensorSpec& tensor : tensors) {
    file += tensor.data;
    PadTo(alignment, padding, file);
  }
  return file + tail;
}

GgufSpec SmallGguf() {
  GgufSpec spec;
  AddScalars(spec);
  AddArrays(spec);
  spec.Tensor("token_embd.weight", DType::kF32, {8, 2})
      .Tensor("blk.0.attn_q.weight", DType::kQ4_0, {32, 16})
      .Tensor("output.weight", DType::kF16, {16});
  return spec;
}

std::string ChangedGguf(absl::FunctionRef<void(GgufSpec&)> change) {
  GgufSpec spec = SmallGguf();
  change(spec);
  return spec.Build();
}

absl::Span<const std::byte> AsBytes(absl::string_view file) {
  return {reinterpret_cast<const std::byte*>(file.data()), file.size()};
}

bool Says(absl::string_view text, absl::string_view part) {
  return absl::StrContains(text, part);
}

}  // namespace weft::inline v0
