#include "backends/cpu/executable.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/cpu/bind.h"
#include "backends/cpu/extensions.h"
#include "graph/cancel.h"
#include "graph/status_macros.h"
#include "ops/fused.h"
#include "ops/gather.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

// A step shorter than this stays on one thread. A fork and join over spinning
// workers costs 0.25 to 0.35 us when every core is ours, but far more when
// another program has one of them; small models then run best alone.
constexpr double kMinParallelNs = 8000;
// Chunks per worker of long steps, so that a worker which loses its core to
// another process does not hold up the rest.
constexpr int64_t kChunksPerWorker = 4;
// A chunk should not become shorter than the fork-join it causes.
constexpr double kMinChunkNs = 2000;
// Nor much longer than this: a cancelled step ends between two chunks. (3 ms
// were no faster; a prefill of TinyLlama's shape then ended after 6 to 12 ms on
// a busy machine, now after 4. A task of `gated_qmatmul` may take longer: 512
// tokens of TinyLlama's shape 3 ms; and so may rows that a kernel computes
// together.)
constexpr double kMaxChunkNs = 1e6;

// Pieces in which to hand out tasks that take that long; 1 = stay on this
// thread. As many for each thread: of 9 pieces one of two threads gets 5 (512
// tokens times 2048 x 2048 of q4_k: 4.15 ms, with 10 pieces 3.93). Not more
// than `most` for the sake of kMaxChunkNs.
int64_t CountChunks(int64_t tasks, double task_ns, int threads, int64_t most) {
  const double total = static_cast<double>(tasks) * task_ns;
  if (tasks < 2 || total < kMinParallelNs) return 1;
  const int64_t pollable =
      std::min(static_cast<int64_t>(total / kMaxChunkNs) + 1, most);
  if (threads == 1) return std::min(tasks, pollable);
  const int64_t useful = static_cast<int64_t>(total / kMinChunkNs);
  const int64_t wanted =
      std::clamp<int64_t>(useful, threads, threads * kChunksPerWorker);
  const int64_t least = std::max(wanted, pollable);
  const int64_t even = (least + threads - 1) / threads * threads;
  return std::min({tasks, even, WorkerPool::kMaxChunks});
}

int64_t CountChunks(const Kernel& kernel, const KernelArgs& args, int64_t tasks,
                    int threads) {
  if (tasks < 2 || kernel.task_ns == nullptr) return 1;
  // In pieces of fewer rows than a kernel computes together all of them take
  // longer: with tile registers, of 256 rows, prefill of 512 tokens is 1.11
  // times as fast for this with q4_k, 1.15 times with q8_0.
  int64_t most = tasks;
  if (kernel.rows_together > 0)
    most = (tasks * kernel.rows_per_task(args) + kernel.rows_together - 1) /
           kernel.rows_together;
  return CountChunks(tasks, kernel.task_ns(args), threads, most);
}

// The first of the tasks in that chunk.
int64_t FirstTask(int64_t tasks, int64_t chunk, int64_t chunks) {
  return tasks * chunk / chunks;
}

// Whether it multiplies the rows of its input 1, in their order.
bool ReadsRows(const Node& node) {
  return node.op == &kQMatMul || node.op == &kGatedQMatMul;
}

// Of the weights of BoundStep::next each worker asks for a quarter of what its
// second cache holds, from the end of its part of one step on: while it waits
// for the others, while norms and gates run on one thread, and while the next
// step begins. Q4_K_M, two threads of Zen 5, tokens/s in alternation, without,
// 128, 256 KB: 88.8, 92.5, 94.4 on a quick minute, 75.1, 75.1, 76.8 on a slow
// one. For one token, which waits for memory: 8, which do not, lose by it, 280
// -> 230 tokens/s.
size_t NextBytes() {
  long cache = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
  cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
  constexpr long kUnknown = 512 << 10;
  return static_cast<size_t>(cache > 0 ? cache : kUnknown) / 4;
}

// Large pieces are mapped: the system gives pages of zeros when they are
// touched first, so that positions of a cache and tokens of a step that never
// come take neither memory nor, in a process that has just begun, time. Not in
// large pages, which would take all of it at once: decoding from a cache is
// slower there (README.md).
constexpr size_t kMappedBytes = size_t{128} << 10;

}  // namespace

void CpuExecutable::FreeDeleter::operator()(std::byte* p) const {
  if (memory.allocate != nullptr) {
    memory.release(memory.user, p, bytes);
  } else if (bytes >= kMappedBytes) {
    munmap(p, bytes);
  } else {
    std::free(p);
  }
}

CpuExecutable::CpuExecutable(std::shared_ptr<const Graph> graph, CpuPlan plan,
                             int threads, const BackendOptions& options)
    : graph_(std::move(graph)),
      plan_(std::move(plan.plan)),
      state_places_(std::move(plan.states)),
      worker_scratch_(plan.worker_scratch),
      max_bytes_(options.max_bytes),
      memory_(options.memory),
      ask_order_(AskOrderOfCpu()),
      next_bytes_(NextBytes()),
      pool_(threads, options.executor),
      arena_(nullptr, FreeDeleter{}),
      states_(nullptr, FreeDeleter{}),
      scratch_(nullptr, FreeDeleter{}) {}

absl::StatusOr<CpuExecutable::Memory> CpuExecutable::Allocate(
    int64_t bytes) const {
  if (bytes == 0) return Memory(nullptr, FreeDeleter{});
  const auto size = static_cast<size_t>(bytes);
  const bool map = memory_.allocate == nullptr && size >= kMappedBytes;
  void* p = nullptr;
  if (memory_.allocate != nullptr) {
    p = memory_.allocate(memory_.user, size, kArenaAlignment);
  } else if (map) {
    p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
             -1, 0);
    if (p == MAP_FAILED) p = nullptr;
    if (p != nullptr) static_cast<void>(madvise(p, size, MADV_NOHUGEPAGE));
  } else if (posix_memalign(&p, kArenaAlignment, size) != 0) {
    p = nullptr;
  }
  if (p == nullptr)
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot allocate ", bytes, " bytes"));
  Memory memory(static_cast<std::byte*>(p), FreeDeleter{memory_, size});
  // Zeroed: states start so, and no result may depend on old memory.
  if (!map) std::memset(p, 0, size);
  return memory;
}

absl::Status CpuExecutable::BindSources(const WeightSource& weights) {
  const Plan& plan = plan_.plan;
  bases_.resize(static_cast<size_t>(graph_->num_values()), nullptr);
  int64_t state_offset = 0;
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    for (const ValueId v : node.outputs) {
      const Placement& place = plan.values[static_cast<size_t>(v)];
      std::byte*& base = bases_[static_cast<size_t>(v)];
      if (place.storage == Storage::kArena) {
        base = arena_.get() + place.offset;
      } else if (place.storage == Storage::kState) {
        base = states_.get() + state_offset;
        state_offset += AlignUp(place.bytes);
      } else if (place.storage == Storage::kConstant) {
        base = const_cast<std::byte*>(node.constant->bytes.data());
      } else if (place.storage == Storage::kWeight) {
        WEFT_ASSIGN_OR_RETURN(const auto bytes, weights(node));
        if (static_cast<int64_t>(bytes.size()) < place.bytes)
          return absl::InvalidArgumentError(absl::StrCat(
              "weight ", node.name, " has ", bytes.size(), " bytes; ",
              graph_->value(v).type.ToString(), " needs ", place.bytes));
        base = const_cast<std::byte*>(bytes.data());
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CpuExecutable::Bind(const KernelList& kernels,
                                 const WeightSource& weights) {
  if (max_bytes_ > 0 && plan_.memory.total() > max_bytes_)
    return absl::ResourceExhaustedError(absl::StrCat(
        "needs ", plan_.memory.total(), " bytes (activations ",
        plan_.memory.arena, ", states ", plan_.memory.state, ", scratch ",
        plan_.memory.scratch, "); max_bytes allows ", max_bytes_));
  WEFT_ASSIGN_OR_RETURN(arena_, Allocate(plan_.memory.arena));
  WEFT_ASSIGN_OR_RETURN(states_, Allocate(plan_.memory.state));
  WEFT_ASSIGN_OR_RETURN(scratch_, Allocate(plan_.memory.scratch));
  WEFT_RETURN_IF_ERROR(BindSources(weights));
  for (const NodeId id : plan_.plan.steps) {
    const Node& node = graph_->node(id);
    BoundStep& step = steps_.emplace_back();
    step.node = &node;
    if (const Kernel* kernel = FindKernel(kernels, *graph_, node))
      step.kernel = *kernel;
    step.params = ParseParams(node);
    step.first_in = step_values_.size();
    step.n_in = node.inputs.size();
    step_values_.insert(step_values_.end(), node.inputs.begin(),
                        node.inputs.end());
    step.first_out = step_values_.size();
    step.n_out = node.outputs.size();
    step_values_.insert(step_values_.end(), node.outputs.begin(),
                        node.outputs.end());
  }
  step_views_.resize(step_values_.size());
  reads_.resize(steps_.size() * static_cast<size_t>(pool_.threads()));
  BindPages();
  BindStates();
  symbols_ = graph_->Symbols();
  current_.resize(symbols_.size(), 0);
  return absl::OkStatus();
}

// Pages for the caches that keep all of the context; others are as small as
// their window.
void CpuExecutable::BindPages() {
  int64_t slots = 0, context = 0;
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    if (node.op->kind != OpKind::kState) continue;
    const ValueId v = node.outputs[0];
    StatePlace& place = state_places_[static_cast<size_t>(v)];
    if (place.layout == StateLayout::kRows || place.kept > 0) continue;
    const Shape& shape = graph_->value(v).type.shape;
    if (!pages_.has_value()) {
      slots = shape.dim(0).bound();
      context = shape.dim(1).bound();
      pages_.emplace(slots, (context + kChunkPositions - 1) / kChunkPositions);
    }
    if (shape.dim(0).bound() == slots && shape.dim(1).bound() == context)
      place.pages = pages_->table();
  }
}

void CpuExecutable::BindStates() {
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    if (node.op->kind != OpKind::kState) continue;
    SlotState state;
    state.view = ViewOf(node.outputs[0], SymbolValues());
    if (state.view.rank < 2) continue;
    for (const NodeId user : graph_->value(node.outputs[0]).users)
      state.by_position |= graph_->node(user).op == &kAppend;
    slot_states_.push_back(state);
  }
}

absl::StatusOr<absl::Span<std::byte>> CpuExecutable::Input(
    absl::string_view name) {
  for (const NodeId id : graph_->order()) {
    const Node& node = graph_->node(id);
    if (node.op->kind != OpKind::kInput || node.name != name) continue;
    const size_t v = static_cast<size_t>(node.outputs[0]);
    return absl::MakeSpan(bases_[v],
                          static_cast<size_t>(plan_.plan.values[v].bytes));
  }
  return absl::NotFoundError(absl::StrCat("no input is named ", name));
}

absl::StatusOr<absl::Span<const std::byte>> CpuExecutable::Output(
    absl::string_view name) {
  for (const Graph::NamedValue& out : graph_->outputs()) {
    if (out.name != name) continue;
    const View view = ViewOf(out.value, SymbolValues());
    return absl::MakeConstSpan(
        view.data,
        static_cast<size_t>(graph_->value(out.value).type.BoundBytes()));
  }
  return absl::NotFoundError(absl::StrCat("no output is named ", name));
}

absl::Status CpuExecutable::CheckSymbols(const SymbolValues& symbols) const {
  for (const Dim& dim : symbols_) {
    const int64_t value = symbols.Of(dim);
    if (value < 1 || value > dim.bound())
      return absl::OutOfRangeError(
          absl::StrCat("symbol ", dim.name(), " is ", value,
                       "; this graph takes 1 to ", dim.bound()));
  }
  return absl::OkStatus();
}

View CpuExecutable::ViewOf(ValueId id, const SymbolValues& symbols) const {
  return MakeView(*graph_, plan_.plan, state_places_, id, symbols, bases_);
}

KernelArgs CpuExecutable::ArgsOf(const BoundStep& step) {
  KernelArgs args;
  args.in = absl::MakeConstSpan(step_views_).subspan(step.first_in, step.n_in);
  args.out =
      absl::MakeConstSpan(step_views_).subspan(step.first_out, step.n_out);
  args.params = &step.params;
  args.inner = step.kernel.inner.get();
  args.threads = pool_.threads();
  args.scratch = scratch_.get();
  args.shared = scratch_.get() + worker_scratch_ * pool_.threads();
  args.bad_index = &bad_index_;
  args.ask_order = ask_order_;
  return args;
}

void CpuExecutable::Resize(const SymbolValues& symbols) {
  bool same = sized_;
  sized_ = true;
  for (size_t i = 0; i < symbols_.size(); ++i) {
    same &= current_[i] == symbols.Of(symbols_[i]);
    current_[i] = symbols.Of(symbols_[i]);
  }
  if (same) return;
  for (size_t i = 0; i < step_values_.size(); ++i)
    step_views_[i] = ViewOf(step_values_[i], symbols);
  for (BoundStep& step : steps_) {
    if (step.kernel.run == nullptr || step.kernel.work_depends_on_data)
      continue;
    const KernelArgs args = ArgsOf(step);
    step.tasks = step.kernel.tasks(args);
    step.chunks = CountChunks(step.kernel, args, step.tasks, pool_.threads());
  }
  FindNext();
}

void CpuExecutable::FindNext() {
  const BoundStep* next = nullptr;
  const BoundStep* between = nullptr;
  // Twice around, since the last step is followed by the next run's first.
  for (int turn = 0; turn < 2; ++turn) {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      step->next = next, step->between = between;
      if (step->kernel.work_depends_on_data) {
        if (between == nullptr) between = &*step;
      } else if (step->chunks > 1) {
        const bool one =
            ReadsRows(*step->node) && step_views_[step->first_in].rows() == 1;
        next = one ? &*step : nullptr;
        between = nullptr;
      }
    }
  }
  const int threads = pool_.threads();
  for (size_t i = 0; i < steps_.size(); ++i) {
    const BoundStep& step = steps_[i];
    if (!ReadsRows(*step.node) || step.chunks <= 1) continue;
    const View& w = step_views_[step.first_in + 1];
    const auto Begin = [&](int64_t worker) {  // where that one's share begins
      const int64_t chunk = pool_.FirstChunk(step.chunks, worker);
      const int64_t task = FirstTask(step.tasks, chunk, step.chunks);
      return w.stride(0) * (w.dim(0) * task / step.tasks);
    };
    for (int worker = 0; worker < threads; ++worker) {
      const auto share = static_cast<size_t>(Begin(worker + 1) - Begin(worker));
      reads_[i * static_cast<size_t>(threads) + static_cast<size_t>(worker)] = {
          w.data + Begin(worker), std::min(next_bytes_, share)};
    }
  }
}

void CpuExecutable::SetNext(const BoundStep& step) {
  const auto threads = static_cast<size_t>(pool_.threads());
  const BoundStep* next = step.next;
  // Caches from which attention has read much hold nothing else afterwards.
  if (step.between != nullptr && step.between->chunks > 1) next = nullptr;
  for (size_t worker = 0; worker < threads; ++worker) {
    FirstRead read;
    if (next != nullptr) {
      const auto index = static_cast<size_t>(next - steps_.data());
      read = reads_[index * threads + worker];
    }
    pool_.SetNext(static_cast<int>(worker), read.at, read.bytes);
  }
}

int CpuExecutable::RunTasks(const KernelArgs& args,
                            void (*run)(const KernelArgs&, int64_t, int64_t),
                            int64_t tasks, int64_t chunks) {
  if (chunks <= 1) {
    run(args, 0, tasks);
    return 1;
  }
  pool_.Run(chunks, [&](int64_t chunk, int worker) {
    KernelArgs mine = args;
    mine.scratch = scratch_.get() + worker * worker_scratch_;
    const auto body = [&] {
      if (IsSet(cancel_)) {
        skipped_.store(true, std::memory_order_relaxed);
        return;
      }
      run(mine, FirstTask(tasks, chunk, chunks),
          FirstTask(tasks, chunk + 1, chunks));
    };
    if (timer_ == nullptr)
      body();
    else
      timer_->Chunk(worker, body);
  });
  return static_cast<int>(std::min<int64_t>(chunks, pool_.threads()));
}

int CpuExecutable::RunStep(BoundStep& step) {
  const KernelArgs args = ArgsOf(step);
  const Kernel& kernel = step.kernel;
  const int threads = pool_.threads();
  if (kernel.work_depends_on_data) {
    step.tasks = kernel.tasks(args);
    step.chunks = CountChunks(kernel, args, step.tasks, threads);
  }
  if (step.chunks > 1 && threads > 1) SetNext(step);
  const int workers = RunTasks(args, kernel.run, step.tasks, step.chunks);
  // A second stage relies on all of the first.
  if (kernel.finish == nullptr || skipped_.load(std::memory_order_relaxed))
    return workers;
  const int64_t rest = kernel.finish_tasks(args);
  if (rest == 0) return workers;
  const int64_t chunks =
      CountChunks(rest, kernel.finish_ns(args), threads, rest);
  return std::max(workers, RunTasks(args, kernel.finish, rest, chunks));
}

absl::Status CpuExecutable::Run(const SymbolValues& symbols,
                                const std::atomic<bool>* cancel) {
  WEFT_RETURN_IF_ERROR(CheckSymbols(symbols));
  Resize(symbols);
  bad_index_.store(kNoBadIndex, std::memory_order_relaxed);
  cancel_ = cancel;
  skipped_.store(false, std::memory_order_relaxed);
  if (timer_ != nullptr) timer_->BeginRun();
  for (BoundStep& step : steps_) {
    WEFT_RETURN_IF_ERROR(CheckCancel(cancel));
    const size_t index = static_cast<size_t>(&step - steps_.data());
    if (observer_) Observe(index, false, symbols);
    int workers = 1;
    if (step.kernel.run == nullptr) {
      WEFT_RETURN_IF_ERROR(RunOnReference(step, symbols));
    } else {
      workers = RunStep(step);
    }
    if (timer_ != nullptr) timer_->EndStep(index, workers);
    if (observer_) Observe(index, true, symbols);
    if (skipped_.load(std::memory_order_relaxed))
      return absl::CancelledError("cancelled");
    const int64_t bad = bad_index_.load(std::memory_order_relaxed);
    if (bad != kNoBadIndex)
      return absl::OutOfRangeError(absl::StrCat(graph_->Describe(*step.node),
                                                ": index ", bad,
                                                " lies outside its table"));
  }
  if (timer_ != nullptr) timer_->EndRun();
  return absl::OkStatus();
}

absl::Status CpuExecutable::SetProfile(Profile* profile) {
  timer_ = profile == nullptr ? nullptr
                              : std::make_unique<StepTimer>(
                                    profile, steps_.size(), pool_.threads());
  return absl::OkStatus();
}

absl::Status CpuExecutable::SetObserver(StepObserver observer) {
  observer_ = std::move(observer);
  return absl::OkStatus();
}

void CpuExecutable::ResetStates() {
  if (states_)
    std::memset(states_.get(), 0, static_cast<size_t>(plan_.memory.state));
}

}  // namespace cpu
}  // namespace weft::inline v0
