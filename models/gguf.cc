#include "models/gguf.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/status_macros.h"
#include "models/file_mapping.h"
#include "models/gguf_internal.h"
#include "models/no_throw.h"

namespace weft::inline v0 {

GgufFile::GgufFile(std::unique_ptr<Contents> contents)
    : contents_(std::move(contents)) {}
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;
GgufFile::~GgufFile() = default;

absl::Status GgufFile::Contents::Parse(const GgufOptions& options) {
  const GgufInput in = input();
  ByteReader reader(in.bytes);
  WEFT_ASSIGN_OR_RETURN(header, ReadGgufHeader(in, reader));
  WEFT_RETURN_IF_ERROR(ReadGgufMetadata(in, header.n_kv, reader, metadata));
  const GgufTableShape shape{header.n_tensors, metadata.alignment};
  WEFT_RETURN_IF_ERROR(ReadGgufTable(in, shape, reader, table));
  const GgufLayout layout{reader.position(), metadata.alignment,
                          options.header_only};
  return PlaceGgufTensors(in, layout, table.tensors, warnings);
}

absl::StatusOr<GgufFile> GgufFile::FromMapping(
    absl::StatusOr<FileMapping> mapping, std::string source,
    const GgufOptions& options) {
  WEFT_RETURN_IF_ERROR(mapping.status());
  auto contents = std::make_unique<Contents>();
  contents->files = {source};
  contents->source = std::move(source);
  contents->mapping = *std::move(mapping);
  contents->bytes = contents->mapping->bytes();
  if (!contents->mapping->is_file()) contents->copied = contents->bytes.size();
  WEFT_RETURN_IF_ERROR(contents->Parse(options));
  return GgufFile(std::move(contents));
}

absl::StatusOr<GgufFile> GgufFile::Open(const std::string& path,
                                        const GgufOptions& options) {
  return NoThrow([&] {
    return FromMapping(
        FileMapping::Open(path, {.read_into_memory = options.read_into_memory,
                                 .watch = options.watch}),
        path, options);
  });
}

absl::StatusOr<GgufFile> GgufFile::OpenDescriptor(int fd, std::string source,
                                                  const GgufOptions& options) {
  return NoThrow([&] {
    return FromMapping(FileMapping::OpenDescriptor(
                           fd, source,
                           {.read_into_memory = options.read_into_memory,
                            .watch = options.watch}),
                       source, options);
  });
}

absl::StatusOr<GgufFile> GgufFile::Read(uint64_t size, const Reader& read,
                                        std::string source,
                                        const GgufOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<GgufFile> {
    if (read == nullptr)
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": the reader is null"));
    return FromMapping(FileMapping::Fill(size, read, source, options.watch),
                       source, options);
  });
}

absl::StatusOr<GgufFile> GgufFile::Parse(absl::Span<const std::byte> bytes,
                                         std::string source,
                                         const GgufOptions& options) {
  return NoThrow([&]() -> absl::StatusOr<GgufFile> {
    auto contents = std::make_unique<Contents>();
    contents->source = std::move(source);
    contents->bytes = bytes;
    WEFT_RETURN_IF_ERROR(contents->Parse(options));
    return GgufFile(std::move(contents));
  });
}

absl::StatusOr<GgufFile> GgufFile::Join(std::vector<GgufFile> parts) {
  GgufFile whole = std::move(parts.front());
  parts.erase(parts.begin());
  Contents& contents = *whole.contents_;
  GgufTable& table = contents.table;
  const size_t n_first = table.tensors.size();
  for (const GgufFile& part : parts) {
    table.tensors.insert(table.tensors.end(), part.tensors().begin(),
                         part.tensors().end());
    contents.warnings.insert(contents.warnings.end(), part.warnings().begin(),
                             part.warnings().end());
    contents.files.insert(contents.files.end(), part.files().begin(),
                          part.files().end());
    contents.copied += part.copied_bytes();
  }
  table.index.Reserve(table.tensors.size());
  for (size_t i = n_first; i < table.tensors.size(); ++i)
    if (const auto first = table.index.Insert(static_cast<uint32_t>(i))) {
      const absl::string_view name = table.tensors[i].name;
      std::vector<std::string> sources;
      if (*first < n_first) sources.push_back(whole.source());
      for (const GgufFile& part : parts)
        if (part.FindTensor(name) != nullptr) sources.push_back(part.source());
      return absl::AlreadyExistsError(
          absl::StrCat(sources.back(), ": SPLIT-5: tensor ", QuoteInput(name),
                       " is in ", sources.front(),
                       " too; expected each tensor "
                       "in one part"));
    }
  contents.others = std::move(parts);
  return whole;
}

absl::StatusOr<GgufFile> GgufFile::Describe(
    std::string header, absl::Span<const absl::Span<const std::byte>> data,
    std::vector<std::string> files, std::vector<std::string> warnings,
    std::shared_ptr<const void> owner, uint64_t copied) {
  auto contents = std::make_unique<Contents>();
  contents->source = files.front();
  contents->files = std::move(files);
  contents->header_bytes = std::move(header);
  contents->owner = std::move(owner);
  contents->copied = copied;
  contents->bytes = absl::MakeConstSpan(
      reinterpret_cast<const std::byte*>(contents->header_bytes.data()),
      contents->header_bytes.size());
  WEFT_RETURN_IF_ERROR(contents->Parse({.header_only = true}));
  // Those of the reader are about data that are elsewhere.
  contents->warnings = std::move(warnings);
  std::vector<GgufTensor>& tensors = contents->table.tensors;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (i >= data.size() || data[i].size() != tensors[i].bytes)
      return absl::InvalidArgumentError(absl::StrCat(
          contents->source, ": GGUF-X1: data of ", QuoteInput(tensors[i].name),
          " is ", i < data.size() ? data[i].size() : 0, " bytes; expected ",
          tensors[i].bytes));
    tensors[i].data = data[i];
  }
  return GgufFile(std::move(contents));
}

const std::string& GgufFile::source() const { return contents_->source; }

absl::Span<const std::string> GgufFile::files() const {
  return contents_->files;
}

uint64_t GgufFile::copied_bytes() const { return contents_->copied; }

uint32_t GgufFile::version() const { return contents_->header.version; }

uint32_t GgufFile::alignment() const { return contents_->metadata.alignment; }

absl::Span<const GgufTensor> GgufFile::tensors() const {
  return contents_->table.tensors;
}

const GgufTensor* GgufFile::FindTensor(absl::string_view name) const {
  const GgufTable& table = contents_->table;
  const std::optional<uint32_t> i = table.index.Find(name);
  return i ? &table.tensors[*i] : nullptr;
}

absl::Span<const std::string> GgufFile::warnings() const {
  return contents_->warnings;
}

absl::Span<const absl::string_view> GgufFile::keys() const {
  return contents_->metadata.keys;
}

bool GgufFile::Has(absl::string_view key) const {
  return contents_->metadata.index.Find(key).has_value();
}

void GgufFile::Release(absl::Span<const std::byte> data) const {
  const auto& mapping = contents_->mapping;
  if (mapping && data.data() >= mapping->bytes().data() &&
      data.data() < mapping->bytes().data() + mapping->bytes().size())
    return mapping->Release(data);
  for (const GgufFile& other : contents_->others) other.Release(data);
}

}  // namespace weft::inline v0
