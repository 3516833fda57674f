// Layout, little-endian:
//   0  "weftpack"     8 bytes
//   8  u32            version of this layout and of the packed forms, 1
//   12 u32            entries
//   16 u64            key: of the model's files, their sizes and times
//   24 u64            bytes of the file
//   32 u64            checksum of bytes 0 to 31 and of the entries
//   40                entries of 32 bytes:
//      0  u32         number of the tensor in the model's table
//      4  i32         its packed dtype
//      8  u64         where its packed bytes begin, a multiple of 64
//      16 u64         how many there are
//      24 u64         their checksum
//   then the packed bytes, each after the one before
//
// Every target reads the same packed forms, so that the key has none (some do
// without those of f16 and bf16): one that wants another form gets another
// dtype, which the entries tell apart.
#include "models/pack_cache.h"

#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/cancel.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "models/atomic_file.h"
#include "models/byte_reader.h"
#include "models/checksum.h"
#include "models/file_fingerprint.h"
#include "models/little_endian.h"
#include "models/parallel.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kMagic = "weftpack";
// Greater with every change of this layout or of a packed form;
// pack_cache_test knows what forms version 1 has.
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 40, kChecksumAt = 32, kEntryBytes = 32;
constexpr size_t kAlignment = 64;  // a line of the processor's cache
// The name of a model's file in that of its cache: a path's last part has 255
// bytes at most.
constexpr size_t kMaxStem = 200;

uint64_t AlignUp(uint64_t n) {
  return (n + kAlignment - 1) & ~(kAlignment - 1);
}

// The model's files as they are now. Times tell what the fingerprint, which
// reads little of each tensor, may miss.
absl::StatusOr<uint64_t> KeyOf(const GgufFile& model) {
  uint64_t key = FileFingerprint(model, WeightBytes::kSamples);
  for (const std::string& path : model.files()) {
    struct stat info;
    if (stat(path.c_str(), &info) != 0)
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
    for (const int64_t part :
         {int64_t{info.st_size}, int64_t{info.st_mtim.tv_sec},
          int64_t{info.st_mtim.tv_nsec}})
      key = Checksum("", key ^ static_cast<uint64_t>(part));
  }
  return key;
}

absl::Status Foreign(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::Status Damaged(const std::string& path, const std::string& what) {
  return absl::DataLossError(absl::StrCat(path, ": ", what));
}

uint64_t HeaderChecksum(absl::Span<const std::byte> head) {
  return Checksum(head.subspan(kHeaderBytes),
                  Checksum(head.first(kChecksumAt)));
}

// Header and entries, whose checksum is right.
absl::StatusOr<absl::Span<const std::byte>> CheckHead(
    const std::string& path, absl::Span<const std::byte> bytes, uint64_t key) {
  if (bytes.size() < kHeaderBytes)
    return Damaged(path, absl::StrCat(bytes.size(), " bytes; the header has ",
                                      kHeaderBytes));
  const std::byte* const at = bytes.data();
  if (std::memcmp(at, kMagic.data(), kMagic.size()) != 0)
    return Foreign(path, "does not begin with \"weftpack\"");
  const auto version = LoadLittleEndian<uint32_t>(at + 8);
  if (version != kVersion)
    return Foreign(path, absl::StrCat("version ", version,
                                      "; this weft reads version ", kVersion));
  const auto stated = LoadLittleEndian<uint64_t>(at + 24);
  if (stated != bytes.size())
    return Damaged(
        path, absl::StrCat(bytes.size(), " bytes; its header says ", stated));
  const uint64_t entries = LoadLittleEndian<uint32_t>(at + 12);
  const uint64_t size = kHeaderBytes + entries * kEntryBytes;
  if (size > bytes.size())
    return Damaged(path, absl::StrCat(entries, " entries do not fit"));
  const auto head = bytes.first(static_cast<size_t>(size));
  if (LoadLittleEndian<uint64_t>(at + kChecksumAt) != HeaderChecksum(head))
    return Damaged(path, "the checksum of its header is wrong");
  if (LoadLittleEndian<uint64_t>(at + 16) != key)
    return Foreign(path, "of another model, or of this one before a change");
  return head;
}

// Where the entry's bytes are; nothing for what the tensor cannot have.
std::optional<PackCache::Entry> FindEntry(const std::byte* entry,
                                          absl::Span<const std::byte> bytes,
                                          const GgufFile& model) {
  const auto number = LoadLittleEndian<uint32_t>(entry);
  const auto type = static_cast<DType>(LoadLittleEndian<int32_t>(entry + 4));
  const auto at = LoadLittleEndian<uint64_t>(entry + 8);
  const auto size = LoadLittleEndian<uint64_t>(entry + 16);
  if (number >= model.tensors().size()) return std::nullopt;
  const GgufTensor& tensor = model.tensors()[number];
  if (!CanPack(tensor.dtype) || type != PackedType(tensor.dtype) ||
      size != tensor.bytes || at % kAlignment != 0 || at > bytes.size() ||
      size > bytes.size() - at)
    return std::nullopt;
  return PackCache::Entry{&tensor, bytes.subspan(static_cast<size_t>(at),
                                                 static_cast<size_t>(size))};
}

// The checksum of a tensor, which may have gigabytes; what it is after a
// cancellation is not defined.
uint64_t ChecksumUnless(const std::atomic<bool>* cancel,
                        absl::Span<const std::byte> bytes) {
  constexpr size_t kPart = size_t{4} << 20;  // less than a millisecond
  ChecksumOfParts sum(bytes.size());
  for (size_t at = 0; at < bytes.size() && !IsSet(cancel); at += kPart) {
    const auto part = bytes.subspan(at, kPart);
    sum.Add({reinterpret_cast<const char*>(part.data()), part.size()});
  }
  return sum.Finish();
}

// Header and entries of a file with these tensors.
std::string MakeHead(const GgufFile& model, uint64_t key,
                     absl::Span<const PackCache::Entry> entries,
                     const std::atomic<bool>* cancel) {
  std::string out(kMagic);
  AppendLittleEndian<uint32_t>(kVersion, out);
  AppendLittleEndian<uint32_t>(static_cast<uint32_t>(entries.size()), out);
  AppendLittleEndian<uint64_t>(key, out);
  out.resize(kHeaderBytes);
  uint64_t at = AlignUp(kHeaderBytes + entries.size() * kEntryBytes);
  for (const PackCache::Entry& e : entries) {
    AppendLittleEndian<uint32_t>(
        static_cast<uint32_t>(e.tensor - model.tensors().data()), out);
    AppendLittleEndian<int32_t>(
        static_cast<int32_t>(PackedType(e.tensor->dtype)), out);
    AppendLittleEndian<uint64_t>(at, out);
    AppendLittleEndian<uint64_t>(e.packed.size(), out);
    AppendLittleEndian<uint64_t>(ChecksumUnless(cancel, e.packed), out);
    at = AlignUp(at + e.packed.size());
  }
  auto* const bytes = reinterpret_cast<std::byte*>(out.data());
  StoreLittleEndian<uint64_t>(at, bytes + 24);
  StoreLittleEndian<uint64_t>(HeaderChecksum({bytes, out.size()}),
                              bytes + kChecksumAt);
  return out;
}

// Writes in blocks that are large pages of the system's cache of files, one
// after the other: so it keeps them, and maps them, as large ones.
class BlockWriter {
 public:
  BlockWriter(AtomicFile& file, const std::atomic<bool>* cancel)
      : file_(file), cancel_(cancel) {
    block_.reserve(kBlock);
  }
  absl::Status Write(absl::string_view bytes) {
    while (!bytes.empty()) {
      const size_t n = std::min(kBlock - block_.size(), bytes.size());
      block_.append(bytes.data(), n);
      bytes.remove_prefix(n);
      if (block_.size() == kBlock) WEFT_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }
  absl::Status PadTo64(size_t size) {
    return Write(std::string(AlignUp(size) - size, '\0'));
  }
  absl::Status Flush() {
    WEFT_RETURN_IF_ERROR(CheckCancel(cancel_));
    const absl::Status status = file_.Write(block_);
    block_.clear();
    return status;
  }

 private:
  static constexpr size_t kBlock = size_t{8} << 20;
  AtomicFile& file_;
  const std::atomic<bool>* cancel_;
  std::string block_;
};

}  // namespace

absl::StatusOr<std::string> PackCache::PathIn(const std::string& folder,
                                              const GgufFile& model) {
  if (model.files().empty())
    return absl::FailedPreconditionError(
        absl::StrCat("no cache of packed weights: ", model.source(),
                     " is not read from a file by its name"));
  const std::string stem =
      std::filesystem::path(model.files().front()).filename().string();
  return (std::filesystem::path(folder) /
          absl::StrCat(stem.substr(0, kMaxStem), "-",
                       absl::Hex(FileFingerprint(model, WeightBytes::kSamples),
                                 absl::kZeroPad16),
                       ".weftpack"))
      .string();
}

absl::StatusOr<PackCache> PackCache::Open(
    const std::string& path, const GgufFile& model, int threads,
    const std::function<void(double)>& progress,
    const std::atomic<bool>* cancel) {
  WEFT_ASSIGN_OR_RETURN(FileMapping file, FileMapping::Open(path));
  WEFT_ASSIGN_OR_RETURN(const uint64_t key, KeyOf(model));
  WEFT_ASSIGN_OR_RETURN(const auto head, CheckHead(path, file.bytes(), key));
  std::vector<Entry> entries;
  std::vector<uint64_t> checksums;
  for (size_t at = kHeaderBytes; at < head.size(); at += kEntryBytes) {
    const auto entry = FindEntry(head.data() + at, file.bytes(), model);
    if (!entry)
      return Damaged(path, absl::StrCat("the entry at byte ", at,
                                        " is none of this model"));
    entries.push_back(*entry);
    checksums.push_back(LoadLittleEndian<uint64_t>(head.data() + at + 24));
  }
  std::atomic<const GgufTensor*> damaged{nullptr};
  const bool whole = ParallelFor(
      threads, static_cast<int64_t>(entries.size()),
      [&](int64_t i) {
        const auto at = static_cast<size_t>(i);
        if (ChecksumUnless(cancel, entries[at].packed) != checksums[at])
          damaged = entries[at].tensor;
      },
      progress, cancel);
  // A checksum that was not finished says nothing.
  if (!whole) return absl::CancelledError("cancelled");
  WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
  if (const GgufTensor* tensor = damaged)
    return Damaged(path,
                   absl::StrCat("the checksum of ", tensor->name, " is wrong"));
  return PackCache(std::move(file), std::move(entries));
}

absl::Status PackCache::Write(const std::string& path, const GgufFile& model,
                              absl::Span<const Entry> entries,
                              const std::atomic<bool>* cancel) {
  WEFT_ASSIGN_OR_RETURN(const uint64_t key, KeyOf(model));
  const std::string head = MakeHead(model, key, entries, cancel);
  WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
  const auto* const bytes = reinterpret_cast<const std::byte*>(head.data());
  std::error_code ignored;  // opening the file tells
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(),
                                      ignored);
  WEFT_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  WEFT_RETURN_IF_ERROR(file.Reserve(LoadLittleEndian<uint64_t>(bytes + 24)));
  BlockWriter out(file, cancel);
  WEFT_RETURN_IF_ERROR(out.Write(head));
  WEFT_RETURN_IF_ERROR(out.PadTo64(head.size()));
  for (const Entry& e : entries) {
    WEFT_RETURN_IF_ERROR(out.Write(
        {reinterpret_cast<const char*>(e.packed.data()), e.packed.size()}));
    WEFT_RETURN_IF_ERROR(out.PadTo64(e.packed.size()));
  }
  WEFT_RETURN_IF_ERROR(out.Flush());
  return file.Commit();
}

}  // namespace weft::inline v0
