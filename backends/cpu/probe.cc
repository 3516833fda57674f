#include "backends/cpu/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// Handed out piece by piece, so that a worker whose core does something else
// for a while does not hold up the rest.
constexpr int64_t kPiece = 4 << 20;
static_assert(kPiece % kReadGranule == 0);

// Times that each form of loop is tried, and the best one then.
constexpr int kTries = 2;
constexpr int kMoreTries = 3;

// How long one try of arithmetic takes: far longer than waking a worker.
constexpr double kArithmeticSeconds = 0.01;
constexpr int kArithmeticTries = 10;

double SecondsOf(absl::FunctionRef<void()> f) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  f();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void CpuProbe::FreeDeleter::operator()(std::byte* p) const { std::free(p); }

absl::StatusOr<std::unique_ptr<Probe>> CpuProbe::Make(TargetMask targets,
                                                      int threads,
                                                      int64_t bytes) {
  if (bytes < kPiece)
    return absl::InvalidArgumentError(absl::StrCat(
        "a probe over ", bytes, " bytes; expected at least ", kPiece));
  std::unique_ptr<CpuProbe> probe(
      new CpuProbe(targets, threads, bytes / kPiece * kPiece));
  WEFT_RETURN_IF_ERROR(probe->Allocate());
  return probe;
}

absl::Status CpuProbe::Allocate() {
  void* p = nullptr;
  if (posix_memalign(&p, kReadGranule, static_cast<size_t>(bytes_)) != 0)
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate ", bytes_, " bytes to read"));
  memory_.reset(static_cast<std::byte*>(p));
  // Memory that was never written is one page of zeros, read from the cache.
  pool_.Run(bytes_ / kPiece, [this](int64_t piece, int) {
    std::memset(memory_.get() + piece * kPiece, static_cast<int>(piece) | 1,
                static_cast<size_t>(kPiece));
  });
  return absl::OkStatus();
}

double CpuProbe::TimeRead(const ReadLoop& loop) {
  std::atomic<uint64_t> all{0};
  return SecondsOf([&] {
    pool_.Run(bytes_ / kPiece, [&](int64_t piece, int) {
      all.fetch_xor(loop.run(memory_.get() + piece * kPiece, kPiece),
                    std::memory_order_relaxed);
    });
  });
}

ReadRate CpuProbe::Read() {
  double least = 0;
  const auto try_loop = [&](const ReadLoop& loop) {
    const double seconds = TimeRead(loop);
    if (least > 0 && seconds >= least) return;
    least = seconds;
    best_ = &loop;
  };
  if (best_ == nullptr)
    for (int i = 0; i < kTries; ++i)
      for (const ReadLoop& loop : loops_.read) try_loop(loop);
  for (int i = 0; i < kMoreTries; ++i) try_loop(*best_);
  return {static_cast<double>(bytes_) / least, best_->name};
}

double CpuProbe::OperationsPerSecond(const ArithmeticLoop& loop) {
  std::atomic<double> sink{0};  // the results are wanted
  const auto run = [&](int64_t rounds) {
    sink.store(loop.run(rounds), std::memory_order_relaxed);
  };
  int64_t rounds = 1024;
  double seconds = 0;
  while ((seconds = SecondsOf([&] { run(rounds); })) < kArithmeticSeconds / 8)
    rounds *= 2;
  rounds = static_cast<int64_t>(static_cast<double>(rounds) *
                                kArithmeticSeconds / seconds);
  double least = 0;
  for (int i = 0; i < kArithmeticTries; ++i) {
    const double s = SecondsOf([&] {
      pool_.Run(pool_.threads(), [&](int64_t, int) { run(rounds); });
    });
    if (i == 0 || s < least) least = s;
  }
  return loop.operations * static_cast<double>(rounds) * pool_.threads() /
         least;
}

std::vector<Peak> CpuProbe::Peaks() {
  std::vector<Peak> peaks;
  for (const ArithmeticLoop& loop : loops_.arithmetic)
    peaks.push_back(
        {loop.arithmetic, OperationsPerSecond(loop), loop.name, loop.tiles});
  return peaks;
}

}  // namespace cpu
}  // namespace weft::inline v0
