// libFuzzer target: reads any bytes as GGUF, then all that was read, and makes
// a tokenizer and a graph of it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/architecture.h"
#include "models/gguf.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {
namespace {

void Require(bool ok) {
  if (!ok) std::abort();
}

// Touches the ends of a view, so that a sanitizer sees a bad one.
size_t Touch(absl::string_view text) {
  if (text.empty()) return 0;
  return static_cast<unsigned char>(text.front()) +
         static_cast<unsigned char>(text.back());
}

size_t ReadKey(const GgufFile& file, absl::string_view key) {
  Require(file.Has(key) && file.TypeOf(key).ok());
  size_t sum = Touch(key);
  if (const auto v = file.GetUint32(key); v.ok()) sum += *v;
  if (const auto v = file.GetInt64(key); v.ok()) sum += static_cast<size_t>(*v);
  if (const auto v = file.GetFloat(key); v.ok()) sum += *v > 0;
  if (const auto v = file.GetBool(key); v.ok()) sum += *v;
  if (const auto v = file.GetString(key); v.ok()) sum += Touch(*v);
  if (const auto v = file.GetStrings(key); v.ok())
    for (const absl::string_view text : *v) sum += Touch(text);
  if (const auto v = file.GetFloats(key); v.ok()) sum += v->size();
  if (const auto v = file.GetInt32s(key); v.ok()) sum += v->size();
  if (const auto v = file.GetArrayInfo(key); v.ok()) sum += v->count;
  return sum;
}

size_t ReadTensor(const GgufFile& file, const GgufTensor& tensor,
                  bool header_only) {
  Require(file.FindTensor(tensor.name) == &tensor);
  Require(!tensor.dims.empty() && tensor.dims.size() <= 4);
  size_t sum = Touch(tensor.name);
  for (const int64_t dim : tensor.dims) Require(dim >= 0);
  Require(tensor.data.size() == tensor.bytes ||
          (header_only && tensor.data.empty()));
  if (tensor.data.empty()) return sum;
  return sum + std::to_integer<size_t>(tensor.data.front()) +
         std::to_integer<size_t>(tensor.data.back());
}

// What a session would make of the file, errors as well.
size_t MakeAll(const GgufFile& file) {
  size_t sum = 0;
  if (const auto tokenizer = MakeTokenizer(file); tokenizer.ok())
    if (const auto ids = (*tokenizer)->Encode("Once upon", {}); ids.ok())
      sum += ids->size();
  const auto architecture = FindArchitecture(file);
  if (!architecture.ok()) return sum + architecture.status().message().size();
  BuildOptions options;
  options.max_tokens = 4;
  options.context = 64;
  const auto graph = BuildModel(file, **architecture, options);
  return sum + (graph.ok() ? (*graph)->order().size()
                           : graph.status().message().size());
}

size_t ReadAll(absl::Span<const std::byte> bytes, bool header_only) {
  const auto file =
      GgufFile::Parse(bytes, "fuzz", {.header_only = header_only});
  if (!file.ok()) return file.status().message().size();
  size_t sum = file->warnings().size();
  for (const absl::string_view key : file->keys()) sum += ReadKey(*file, key);
  for (const GgufTensor& tensor : file->tensors())
    sum += ReadTensor(*file, tensor, header_only);
  return sum + MakeAll(*file);
}

}  // namespace
}  // namespace weft::inline v0

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::Span<const std::byte> bytes(
      reinterpret_cast<const std::byte*>(data), size);
  volatile size_t sink = weft::ReadAll(bytes, false);
  sink = weft::ReadAll(bytes, true);
  static_cast<void>(sink);
  return 0;
}
