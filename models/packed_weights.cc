#include "models/packed_weights.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/packed.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
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

void PackPieces(absl::Span<const Piece> pieces, int threads,
                const std::function<void(double)>& progress) {
  std::atomic<size_t> next{0};
  const auto work = [&](bool tells) {
    for (size_t i = next++; i < pieces.size(); i = next++) {
      const Piece& p = pieces[i];
      PackRows(p.type, p.from, p.n, p.row_bytes, p.to);
      if (tells)
        progress(static_cast<double>(i + 1) /
                 static_cast<double>(pieces.size()));
    }
  };
  std::vector<std::jthread> helpers;
  for (int i = 1; i < std::min<int>(threads, static_cast<int>(pieces.size()));
       ++i)
    helpers.emplace_back(work, false);
  work(progress != nullptr);
}

}  // namespace

void PackedWeights::Free::operator()(std::byte* p) const { std::free(p); }

absl::Status PackedWeights::Add(absl::Span<const Source> sources, int threads,
                                const GgufFile& file,
                                const std::function<void(double)>& progress) {
  const std::lock_guard lock(mutex_);
  std::map<const std::byte*, Source> missing;
  size_t total = 0;
  for (const Source& source : sources) {
    if (packed_.contains(source.rows.data())) continue;
    if (missing.emplace(source.rows.data(), source).second)
      total += AlignUp(source.rows.size(), kAlignment);
  }
  if (missing.empty()) return absl::OkStatus();
  const size_t size = AlignUp(total, kHugePage);
  void* p = nullptr;
  if (posix_memalign(&p, kHugePage, size) != 0)
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot allocate ", total, " bytes to pack the model's weights; ",
        "sessions without pack_weights read them from the file"));
  Memory memory(static_cast<std::byte*>(p));
  madvise(p, size, MADV_HUGEPAGE);
  std::vector<Piece> pieces;
  std::map<const std::byte*, absl::Span<const std::byte>> made;
  std::byte* at = memory.get();
  for (const auto& [rows, source] : missing) {
    AddPieces(source, at, pieces);
    made[rows] = {at, source.rows.size()};
    at += AlignUp(source.rows.size(), kAlignment);
  }
  PackPieces(pieces,
             threads > 0
                 ? threads
                 : static_cast<int>(std::thread::hardware_concurrency()),
             progress);
  // All or nothing: from here on nothing throws.
  memory_.reserve(memory_.size() + 1);
  memory_.push_back(std::move(memory));
  packed_.merge(made);
  for (const auto& [rows, source] : missing) file.Release(source.rows);
  return absl::OkStatus();
}

absl::Span<const std::byte> PackedWeights::Find(
    absl::Span<const std::byte> rows) const {
  const std::lock_guard lock(mutex_);
  const auto it = packed_.find(rows.data());
  return it == packed_.end() ? absl::Span<const std::byte>() : it->second;
}

}  // namespace weft::inline v0
