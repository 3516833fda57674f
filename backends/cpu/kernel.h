// What a CPU kernel is: its record, and the bundle that it is called with.
#ifndef WEFT_BACKENDS_CPU_KERNEL_H_
#define WEFT_BACKENDS_CPU_KERNEL_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "backends/cpu/prefetch.h"
#include "graph/graph.h"

namespace weft::inline v0 {
namespace cpu {

// How a state lies in memory; everything else is kRows.
enum class StateLayout : int8_t {
  kRows,        // row-major, as the graph sees it
  kKeyTiles,    // see kv_layout.h
  kValueTiles,
};

// A tensor in memory during one step. Strides are in bytes; the fastest
// dimension is always contiguous (rows of block formats are whole blocks).
struct View {
  std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<int64_t, kMaxRank> dims{};
  std::array<int64_t, kMaxRank> strides{};  // of the fastest: bytes of a value
  bool dense = true;                        // rows follow each other closely
  StateLayout layout = StateLayout::kRows;  // in tiles, see kv_layout.h: rows
                                            // are no runs of bytes
  const int32_t* pages = nullptr;  // of tiles: SlotPages::table(); null: each
                                   // slot lies in its own

  int64_t dim(int axis) const {
    return dims[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
  }
  int64_t stride(int axis) const {
    return strides[static_cast<size_t>(axis < 0 ? axis + rank : axis)];
  }
  int64_t row_length() const { return rank == 0 ? 1 : dim(-1); }
  // Product of all dims but the fastest.
  int64_t rows() const {
    int64_t n = 1;
    for (int axis = 0; axis + 1 < rank; ++axis) n *= dim(axis);
    return n;
  }
  int64_t elements() const { return rows() * row_length(); }

  // Start of row `r`, counting rows in row-major order of the leading dims.
  std::byte* Row(int64_t r) const {
    if (rank < 2) return data;
    if (dense || rank == 2) return data + r * stride(-2);
    int64_t offset = 0;
    for (int axis = rank - 2; axis >= 0; --axis) {
      offset += r % dim(axis) * stride(axis);
      r /= dim(axis);
    }
    return data + offset;
  }
  template <class T>
  T* RowAs(int64_t r) const {
    return reinterpret_cast<T*>(Row(r));
  }
  template <class T>
  T* As() const {
    return reinterpret_cast<T*>(data);
  }
};

// Activations, as an enum so that inner code can switch at compile time.
enum class Activation : int8_t {
  kNone, kSilu, kGelu, kGeluTanh, kGeluQuick, kRelu, kSigmoid, kTanh
};

// A node's attributes, parsed once when kernels are bound; each kernel reads
// those that its op has.
struct KernelParams {
  float eps = 0;
  float factor = 1;     // of scale
  float scale = 1;      // of attention scores
  float softcap = 0;
  float alibi = 0;  // max_bias, of attention
  int64_t window = 0;
  bool causal = false;
  bool has_pos = false, has_slot = false, has_bias = false, has_sinks = false;
  bool adjacent = true;  // rotary pairs
  int query_axis = 0;
  int axis = 0;
  int64_t begin = 0;     // of slice
  int64_t times = 1;     // of repeat
  std::array<int8_t, kMaxRank> perm{};
  Activation activation = Activation::kNone;
  const Attrs* attrs = nullptr;  // the rest, for kernels that prepare tables
};

struct Kernel;

// What a kernel is called with. One call covers tasks [begin, end) of a step.
struct KernelArgs {
  absl::Span<const View> in;
  absl::Span<const View> out;
  const KernelParams* params = nullptr;
  std::byte* scratch = nullptr;  // this worker's, Kernel::scratch_bytes long
  std::byte* shared = nullptr;   // all workers', Kernel::shared_bytes long
  const Kernel* inner = nullptr;  // Kernel::inner
  int threads = 1;                // how many run a step's tasks
  AskOrder ask_order = AskOrder::kNever;  // of weights
  // Set to an index that lies outside its table; the step then fails.
  std::atomic<int64_t>* bad_index = nullptr;
};

// One kernel for one instruction set. Tasks are independent: any worker may run
// any range of them, and no result depends on the split. A kernel may have a
// second stage, of tasks that run when all of the first have ended.
struct Kernel {
  const OpDef* op = nullptr;
  absl::string_view name;  // "qmatmul.q8_0"
  // Whether the kernel can run this node (dtypes, ranks); null: always.
  bool (*supports)(const Graph& graph, const Node& node) = nullptr;
  // Bit i: input i may be strided.
  uint32_t strided = 0;
  // Number of tasks of a step; called at each step with this step's views.
  int64_t (*tasks)(const KernelArgs& args) = nullptr;
  // About how many nanoseconds one thread needs per task, to decide whether to
  // wake workers. Null: the step always runs on the calling thread.
  double (*task_ns)(const KernelArgs& args) = nullptr;
  // tasks and task_ns depend on what inputs hold (positions), not on dims
  // alone: they are asked again at each step.
  bool work_depends_on_data = false;
  // Bytes of scratch per worker, from views at their bounds.
  int64_t (*scratch_bytes)(const KernelArgs& args) = nullptr;
  // Bytes that all workers share, from views at their bounds: what the first
  // stage leaves for the second.
  int64_t (*shared_bytes)(const KernelArgs& args) = nullptr;
  void (*run)(const KernelArgs& args, int64_t begin, int64_t end) = nullptr;
  // The second stage; null: there is none. finish_tasks may give 0.
  int64_t (*finish_tasks)(const KernelArgs& args) = nullptr;
  double (*finish_ns)(const KernelArgs& args) = nullptr;  // per task
  void (*finish)(const KernelArgs& args, int64_t begin, int64_t end) = nullptr;
  // Writes or reads states of rank 4 in tiles too (kv_layout.h).
  bool tiled_states = false;
  // Adds up what it reads from tiles in another order than what it reads from
  // rows: results may differ in their last bits.
  bool tiles_have_own_order = false;
  // Of products with a weight: rows of the weight that are a task.
  int64_t (*rows_per_task)(const KernelArgs& args) = nullptr;
  // And rows that it computes together when a call has as many.
  int64_t rows_together = 0;
  // A kernel that this one calls for its parts, and which must support the node
  // as well; args.inner when it runs.
  std::shared_ptr<const Kernel> inner = nullptr;
};

using KernelList = std::vector<Kernel>;

// Bits of HWY_TARGETS; the instruction set that kernels are taken from.
using TargetMask = int64_t;

// Below the bits of Highway, what CPUs of a target have besides (extensions.h):
// tile registers (with AVX3_ZEN4), or an instruction for products of four bytes
// (AVX-VNNI with AVX2, dotprod with NEON).
inline constexpr TargetMask kAmxTarget = 1, kDotTarget = 2;

// Every kernel of the best instruction set in `targets`.
KernelList AllKernels(TargetMask targets);

// Parses the attributes that kernels use.
KernelParams ParseParams(const Node& node);

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_KERNEL_H_
