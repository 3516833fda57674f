#include "models/packed_weights.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "graph/cancel.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "models/parallel.h"

namespace weft::inline v0 {
namespace {

// Tensors begin at lines of the cache.
constexpr size_t kAlignment = 64;
// Bytes of rows that a thread takes at once: enough to hide the taking, few
// enough that threads end together.
constexpr size_t kPiece = size_t{1} << 20;

size_t AlignUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// A run of rows to pack.
struct Piece {
  DType type;
  const std::byte* from;
  int64_t n;
  int64_t row_bytes;
  std::byte* to;
};

void AddPieces(const PackedWeights::Source& source, std::byte* to,
               std::vector<Piece>& pieces) {
  const int64_t row_bytes = static_cast<int64_t>(source.rows.size()) / source.n;
  const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(kPiece) /
                                                row_bytes / kPackedRows) *
                       kPackedRows;
  for (int64_t row = 0; row < source.n; row += step)
    pieces.push_back({source.type, source.rows.data() + row * row_bytes,
                      std::min(step, source.n - row), row_bytes,
                      to + row * row_bytes});
}

// Each piece's rows go back to the system at once: rows and packed form
// together never take much more than one of them. False if it was cancelled.
bool PackPieces(absl::Span<const Piece> pieces, const GgufFile& model,
                const PackedWeights::Options& options) {
  return ParallelFor(
      ThreadCount(options.threads), static_cast<int64_t>(pieces.size()),
      [&](int64_t i) {
        const Piece& p = pieces[static_cast<size_t>(i)];
        PackRows(p.type, p.from, p.n, p.row_bytes, p.to);
        model.Release({p.from, static_cast<size_t>(p.n * p.row_bytes)});
      },
      options.progress, options.cancel);
}

absl::Status NoRoom(size_t bytes, const PackedWeights::Options& options) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "needs ", options.session_bytes, " bytes for the session and ", bytes,
      " to pack the model's weights; max_bytes allows ", options.max_bytes,
      "; sessions without pack_weights read them from the file"));
}

}  // namespace

size_t PackedWeights::PackedSize(const Rows& rows) {
  size_t bytes = 0;
  for (const auto& [at, source] : rows)
    bytes += AlignUp(source.rows.size(), kAlignment);
  return bytes;
}

int64_t PackedWeights::BytesFor(absl::Span<const Source> sources) {
  Rows rows;
  for (const Source& source : sources) rows.emplace(source.rows.data(), source);
  return static_cast<int64_t>(LargePageBytes(PackedSize(rows)));
}

absl::StatusOr<std::unique_lock<std::mutex>> PackedWeights::Lock(
    const Options& options) const {
  std::unique_lock lock(mutex_, std::try_to_lock);
  while (!lock.owns_lock()) {
    WEFT_RETURN_IF_ERROR(CheckCancel(options.cancel));
    if (options.progress) options.progress(0);  // it may cancel
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    static_cast<void>(lock.try_lock());
  }
  return lock;
}

absl::Status PackedWeights::Add(absl::Span<const Source> sources,
                                const GgufFile& model, const Options& options) {
  WEFT_ASSIGN_OR_RETURN(const std::unique_lock<std::mutex> lock, Lock(options));
  if (options.cache_folder != cache_folder_)
    WEFT_RETURN_IF_ERROR(OpenCache(model, options));
  WEFT_RETURN_IF_ERROR(AddToMemory(sources, model, options));
  if (!cache_path_.empty() && cache_status_.ok())
    WEFT_RETURN_IF_ERROR(WriteCache(sources, model, options));
  // Whatever has been read of the rows is not needed again.
  for (const Source& source : sources) model.Release(source.rows);
  return absl::OkStatus();
}

absl::Status PackedWeights::OpenCache(const GgufFile& model,
                                      const Options& options) {
  cache_folder_ = options.cache_folder;
  cache_path_.clear();
  cache_status_ = absl::OkStatus();
  in_cache_.clear();
  if (cache_folder_.empty()) return absl::OkStatus();
  auto path = PackCache::PathIn(cache_folder_, model);
  if (!path.ok()) {
    cache_status_ = path.status();
    return absl::OkStatus();
  }
  cache_path_ = *std::move(path);
  auto cache = PackCache::Open(cache_path_, model, ThreadCount(options.threads),
                               options.progress, options.cancel);
  if (absl::IsCancelled(cache.status())) {
    cache_folder_.clear();  // the next one begins anew
    cache_path_.clear();
    return cache.status();
  }
  // Whatever is wrong with it, it is written anew.
  if (!cache.ok()) return absl::OkStatus();
  mapped_.push_back(*std::move(cache));
  for (const PackCache::Entry& e : mapped_.back().entries()) {
    packed_.emplace(e.tensor->data.data(), e.packed);
    in_cache_.insert(e.tensor->data.data());
  }
  return absl::OkStatus();
}

absl::Status PackedWeights::AddToMemory(absl::Span<const Source> sources,
                                        const GgufFile& model,
                                        const Options& options) {
  Rows missing;
  for (const Source& source : sources)
    if (!packed_.contains(source.rows.data()))
      missing.emplace(source.rows.data(), source);
  if (missing.empty()) return absl::OkStatus();
  const size_t total = LargePageBytes(PackedSize(missing));
  if (options.max_bytes > 0 &&
      static_cast<int64_t>(total) > options.max_bytes - options.session_bytes)
    return NoRoom(total, options);
  LargePages memory = AllocateLargePages(total);
  if (memory == nullptr)
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot allocate ", total, " bytes to pack the model's weights; ",
        "sessions without pack_weights read them from the file"));
  std::vector<Piece> pieces;
  std::map<const std::byte*, absl::Span<const std::byte>> made;
  std::byte* at = memory.get();
  for (const auto& [rows, source] : missing) {
    AddPieces(source, at, pieces);
    made[rows] = {at, source.rows.size()};
    at += AlignUp(source.rows.size(), kAlignment);
  }
  if (!PackPieces(pieces, model, options))
    return absl::CancelledError("cancelled");
  // All or nothing: from here on nothing throws.
  memory_.reserve(memory_.size() + 1);
  memory_.push_back(std::move(memory));
  packed_.merge(made);
  return absl::OkStatus();
}

absl::Status PackedWeights::WriteCache(absl::Span<const Source> sources,
                                       const GgufFile& model,
                                       const Options& options) {
  std::vector<PackCache::Entry> entries;
  std::set<const std::byte*> written;
  for (const GgufTensor& tensor : model.tensors()) {
    const auto it = packed_.find(tensor.data.data());
    if (it == packed_.end()) continue;
    entries.push_back({&tensor, it->second});
    written.insert(it->first);
  }
  // An adapter's are never there.
  const bool lacks = absl::c_any_of(sources, [&](const Source& s) {
    return written.contains(s.rows.data()) &&
           !in_cache_.contains(s.rows.data());
  });
  if (!lacks) return absl::OkStatus();
  const absl::Status status =
      PackCache::Write(cache_path_, model, entries, options.cancel);
  if (absl::IsCancelled(status)) return status;  // the next one writes it
  cache_status_ = status;
  in_cache_ = std::move(written);
  return absl::OkStatus();
}

absl::Span<const std::byte> PackedWeights::Find(
    absl::Span<const std::byte> rows) const {
  const std::lock_guard lock(mutex_);
  const auto it = packed_.find(rows.data());
  return it == packed_.end() ? absl::Span<const std::byte>() : it->second;
}

absl::Status PackedWeights::cache_status() const {
  const std::lock_guard lock(mutex_);
  return cache_status_;
}

}  // namespace weft::inline v0
