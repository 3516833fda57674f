#include "tests/kernel_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "backends/cpu/bind.h"
#include "backends/cpu/kv_layout.h"
#include "backends/cpu/target_names.h"
#include "graph/interpret.h"
#include "graph/plan.h"
#include "tests/sample_data.h"

namespace weft::inline v0 {
namespace {

constexpr int64_t kGuardBytes = kArenaAlignment;
constexpr std::byte kGuard{0xA5};
// Fresh memory and padding: NaN as f32, f16 and bf16.
constexpr std::byte kUnset{0xFF};

// One tensor's memory. With guards: for outputs.
class Memory {
 public:
  Memory(const HostTensor& like, bool padded, bool guarded,
         cpu::StateLayout layout = cpu::StateLayout::kRows)
      : guard_(guarded ? kGuardBytes : 0) {
    if (layout == cpu::StateLayout::kRows) {
      SetView(like, padded);
    } else {
      SetTiledView(like, layout);
    }
    const size_t total = static_cast<size_t>(bytes_ + 2 * guard_);
    void* p = nullptr;
    if (posix_memalign(&p, static_cast<size_t>(kArenaAlignment),
                       std::max<size_t>(1, total)) != 0)
      return;
    memory_.reset(static_cast<std::byte*>(p));
    std::fill_n(memory_.get(), total, kGuard);
    view_.data = memory_.get() + guard_;
    std::fill_n(view_.data, bytes_, kUnset);
  }

  const cpu::View& view() const { return view_; }

  void Write(const HostTensor& tensor) {
    for (int64_t r = 0; r < view_.rows(); ++r) {
      const std::byte* row = tensor.bytes.data() + r * row_bytes_;
      if (InTiles()) {
        cpu::WriteTiledRow(view_, SlotOf(r), PosOf(r), HeadOf(r), row);
      } else {
        std::memcpy(view_.Row(r), row, static_cast<size_t>(row_bytes_));
      }
    }
  }
  void Read(HostTensor& tensor) const {
    for (int64_t r = 0; r < view_.rows(); ++r) {
      std::byte* row = tensor.bytes.data() + r * row_bytes_;
      if (InTiles()) {
        cpu::ReadTiledRow(view_, SlotOf(r), PosOf(r), HeadOf(r), row);
      } else {
        std::memcpy(row, view_.Row(r), static_cast<size_t>(row_bytes_));
      }
    }
  }
  bool Intact() const {
    const auto is_guard = [](std::byte b) { return b == kGuard; };
    const std::byte* end = view_.data + bytes_;
    return std::all_of(memory_.get(), memory_.get() + guard_, is_guard) &&
           std::all_of(end, end + guard_, is_guard);
  }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };

  bool InTiles() const { return view_.layout != cpu::StateLayout::kRows; }
  // Of row r of a state [S, C, G, n].
  int64_t SlotOf(int64_t r) const { return r / view_.dim(2) / view_.dim(1); }
  int64_t PosOf(int64_t r) const { return r / view_.dim(2) % view_.dim(1); }
  int64_t HeadOf(int64_t r) const { return r % view_.dim(2); }

  void SetDims(const HostTensor& like) {
    view_.dtype = like.dtype;
    view_.rank = like.rank();
    std::copy(like.dims.begin(), like.dims.end(), view_.dims.begin());
    row_bytes_ = PaddedRowBytes(like.dtype, view_.row_length()).value_or(0);
  }

  void SetTiledView(const HostTensor& like, cpu::StateLayout layout) {
    SetDims(like);
    cpu::SetStateStrides(view_, {layout});
    bytes_ = cpu::StateBytes(view_);
  }

  // Padded: a gap after every row, and after every outer dimension.
  void SetView(const HostTensor& like, bool padded) {
    SetDims(like);
    view_.dense = !padded || like.rank() < 2;
    const int64_t block = Info(like.dtype).block_bytes;
    const int64_t gap = view_.dense ? 0 : 1;
    int64_t stride = row_bytes_ + gap * block;
    bytes_ = row_bytes_;
    if (view_.rank > 0)
      view_.strides[static_cast<size_t>(view_.rank - 1)] = block;
    for (int axis = view_.rank - 2; axis >= 0; --axis) {
      view_.strides[static_cast<size_t>(axis)] = stride;
      bytes_ += (view_.dim(axis) - 1) * stride;
      stride *= view_.dim(axis) + gap;
    }
  }

  cpu::View view_;
  int64_t guard_;
  int64_t row_bytes_ = 0;
  int64_t bytes_ = 0;
  std::unique_ptr<std::byte[], Free> memory_;
};

void RunStage(void (*run)(const cpu::KernelArgs&, int64_t, int64_t),
              const cpu::KernelArgs& args, int64_t tasks, bool one_by_one) {
  if (!one_by_one) {
    run(args, 0, tasks);
    return;
  }
  for (int64_t task = tasks; task > 0; --task) run(args, task - 1, task);
}

void RunTasks(const cpu::Kernel& kernel, const cpu::KernelArgs& args,
              bool one_by_one) {
  RunStage(kernel.run, args, kernel.tasks(args), one_by_one);
  if (kernel.finish != nullptr)
    RunStage(kernel.finish, args, kernel.finish_tasks(args), one_by_one);
}

int64_t BytesOf(int64_t (*size)(const cpu::KernelArgs&),
                const cpu::KernelArgs& args) {
  return size == nullptr ? 0 : size(args);
}

// How input `i` lies in this way of calling.
cpu::StateLayout LayoutOf(const cpu::Kernel& kernel, const HostTensor& input,
                          size_t i, const CallOptions& options) {
  if (!options.tiled || input.rank() != 4) return cpu::StateLayout::kRows;
  if (kernel.op->writes_state)
    return i == 0 ? *options.tiled : cpu::StateLayout::kRows;
  if (i == 1) return cpu::StateLayout::kKeyTiles;
  return i == 2 ? cpu::StateLayout::kValueTiles : cpu::StateLayout::kRows;
}

constexpr int64_t kNoBadIndex = INT64_MIN;

// Infinities and NaNs differ by infinity from anything else.
double Distance(float got, float want) {
  if (got == want || (std::isnan(got) && std::isnan(want))) return 0;
  const double distance = std::abs(static_cast<double>(got) - want);
  return std::isfinite(distance) ? distance : HUGE_VAL;
}

}  // namespace

std::string CallOptions::ToString() const {
  return absl::StrCat(
      strided ? "strided" : "dense",
      in_place >= 0 ? absl::StrCat(", in place of input ", in_place) : "",
      one_by_one ? ", task by task" : "", tiled ? ", in tiles" : "");
}

absl::Status CallKernel(const cpu::Kernel& kernel,
                        const cpu::KernelParams& params,
                        absl::Span<const HostTensor* const> in,
                        absl::Span<HostTensor> out,
                        const CallOptions& options) {
  std::vector<Memory> outputs, inputs;
  std::vector<cpu::View> in_views, out_views;
  const bool state = kernel.op->writes_state;
  for (const HostTensor& tensor : out) {
    outputs.emplace_back(
        tensor, state && options.strided, true,
        state ? LayoutOf(kernel, tensor, 0, options) : cpu::StateLayout::kRows);
    out_views.push_back(outputs.back().view());
  }
  if (state) outputs[0].Write(out[0]);
  for (size_t i = 0; i < in.size(); ++i) {
    if (state && i == 0) {
      in_views.push_back(out_views[0]);
    } else if (static_cast<int>(i) == options.in_place) {
      outputs[0].Write(*in[i]);
      in_views.push_back(out_views[0]);
    } else {
      const bool padded = options.strided && (kernel.strided >> i & 1) != 0;
      inputs
          .emplace_back(*in[i], padded, false,
                        LayoutOf(kernel, *in[i], i, options))
          .Write(*in[i]);
      in_views.push_back(inputs.back().view());
    }
  }
  std::atomic<int64_t> bad_index(kNoBadIndex);
  cpu::KernelArgs args;
  args.in = in_views;
  args.out = out_views;
  args.params = &params;
  args.inner = kernel.inner.get();
  args.bad_index = &bad_index;
  // For what stands beyond the end of most weights; each order in some test.
  args.ask_order =
      options.one_by_one ? cpu::AskOrder::kInOrder : cpu::AskOrder::kByTurns;
  const Memory scratch(
      HostTensor(DType::kI8, {BytesOf(kernel.scratch_bytes, args)}), false,
      true);
  const Memory shared(
      HostTensor(DType::kI8, {BytesOf(kernel.shared_bytes, args)}), false,
      true);
  args.scratch = scratch.view().data;
  args.shared = shared.view().data;
  RunTasks(kernel, args, options.one_by_one);
  if (!scratch.Intact() || !shared.Intact())
    return absl::InternalError("bytes around the scratch were written");
  for (size_t i = 0; i < out.size(); ++i) {
    if (!outputs[i].Intact())
      return absl::InternalError(
          absl::StrCat("bytes around output ", i, " were written"));
    outputs[i].Read(out[i]);
  }
  if (bad_index != kNoBadIndex)
    return absl::OutOfRangeError(absl::StrCat("index ", bad_index.load()));
  return absl::OkStatus();
}

std::string Difference(const HostTensor& got, const HostTensor& want,
                       double tolerance, DType result) {
  if (got.dtype != want.dtype || got.dims != want.dims)
    return "dtypes or dims differ";
  const std::vector<float> a = got.ToFloats();
  const std::vector<float> b = want.ToFloats();
  double largest = 1;
  for (const float v : b)
    if (std::isfinite(v))
      largest = std::max(largest, static_cast<double>(std::abs(v)));
  // Where the reference lies close to the middle of two codes, a kernel that
  // sums in another order may take the other one: a step of 1/127 of 8-bit
  // blocks and what is rounded besides, and of bf16 1/128 of the value.
  // What was made floats before is held to the op's own tolerance, but for
  // products, whose sums differ by more than norms and gates do.
  constexpr double kOfProducts = 2e-5;
  const DType blocks = tolerance >= kOfProducts ? result : want.dtype;
  if (tolerance > 0 && Info(blocks).partial_rows) tolerance = 1.0 / 120;
  const bool is_bf16 = tolerance > 0 && result == DType::kBF16;
  const auto beyond = [&](size_t i) {
    const double code =
        is_bf16 && std::isfinite(b[i]) ? std::abs(double{b[i]}) / 128 : 0;
    return Distance(a[i], b[i]) - code;
  };
  size_t worst = 0;
  for (size_t i = 1; i < a.size(); ++i)
    if (beyond(i) > beyond(worst)) worst = i;
  if (a.empty() || beyond(worst) <= tolerance * largest) return "";
  return absl::StrCat("element ", worst, " is ", a[worst], ", wanted ",
                      b[worst], "; the largest is ", largest,
                      ", the tolerance ", tolerance);
}

const cpu::KernelList& KernelsOfTarget(const std::string& target) {
  static auto& lists = *new std::map<std::string, cpu::KernelList>();
  const auto it = lists.find(target);
  if (it != lists.end()) return it->second;
  const auto mask = cpu::ParseTarget(target);
  return lists[target] = mask.ok() ? cpu::AllKernels(*mask) : cpu::KernelList();
}

namespace {

// The ways to call a kernel that must all give the same bits.
std::vector<CallOptions> WaysToCall(const cpu::Kernel& kernel,
                                    absl::Span<const HostTensor* const> in,
                                    const HostTensor& out) {
  std::vector<CallOptions> ways = {{}, {.one_by_one = true}};
  if (kernel.strided != 0) {
    ways.push_back({.strided = true});
    ways.push_back({.strided = true, .one_by_one = true});
  }
  if (kernel.tiled_states) {
    for (const cpu::StateLayout layout :
         {cpu::StateLayout::kKeyTiles, cpu::StateLayout::kValueTiles}) {
      ways.push_back({.tiled = layout});
      ways.push_back({.one_by_one = true, .tiled = layout});
    }
  }
  for (size_t i = 0; i < in.size(); ++i)
    if ((kernel.op->in_place >> i & 1) != 0 && in[i]->dtype == out.dtype &&
        in[i]->elements() == out.elements())
      ways.push_back({.in_place = static_cast<int>(i), .one_by_one = true});
  return ways;
}

// Calls the node's kernel in every way; `values` are all values of the graph,
// `entry` what an output holds before.
void CheckNode(const Graph& graph, const Node& node,
               const cpu::KernelList& kernels,
               const std::vector<HostTensor>& values,
               const std::vector<HostTensor>& entry) {
  SCOPED_TRACE(graph.Describe(node));
  const cpu::Kernel* kernel = cpu::FindKernel(kernels, graph, node);
  ASSERT_NE(kernel, nullptr);
  std::vector<const HostTensor*> in;
  for (const ValueId v : node.inputs) in.push_back(&values[size_t(v)]);
  const cpu::KernelParams params = cpu::ParseParams(node);
  std::vector<HostTensor> first_of_rows, first_of_tiles;
  for (const CallOptions& way :
       WaysToCall(*kernel, in, values[size_t(node.outputs[0])])) {
    SCOPED_TRACE(way.ToString());
    std::vector<HostTensor> out;
    for (const ValueId v : node.outputs) out.push_back(entry[size_t(v)]);
    const absl::Status status =
        CallKernel(*kernel, params, in, absl::MakeSpan(out), way);
    ASSERT_TRUE(status.ok()) << status;
    std::vector<HostTensor>& first = way.tiled && kernel->tiles_have_own_order
                                         ? first_of_tiles
                                         : first_of_rows;
    for (size_t i = 0; i < out.size(); ++i) {
      const HostTensor& want = values[size_t(node.outputs[i])];
      ASSERT_EQ(Difference(out[i], want, node.op->tolerance, want.dtype), "");
      if (!first.empty()) {
        ASSERT_EQ(out[i].bytes, first[i].bytes) << "not the same bits";
      }
    }
    if (first.empty()) first = std::move(out);
  }
}

}  // namespace

void CheckKernels(const Sample& sample, absl::Span<const std::string> targets,
                  uint64_t seed) {
  SCOPED_TRACE(absl::StrCat(sample.name, ", seed ", seed));
  SampleGraph built;
  int outputs = 0;
  for (const Value y : sample.build(built))
    built.graph().Output(absl::StrCat("y", outputs++), y);
  const absl::Status finished = built.graph().Finish();
  ASSERT_TRUE(finished.ok()) << finished;
  const Graph& graph = built.graph();
  const SampleData data(built, seed);
  const auto run = Interpret(
      graph, SymbolValues(),
      [&](const Graph&, const Node& node) { return data.Of(node.name); });
  ASSERT_TRUE(run.ok()) << run.status();
  std::vector<HostTensor> entry;
  for (const HostTensor& value : run->values)
    entry.emplace_back(value.dtype, value.dims);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op->kind != OpKind::kCompute) continue;
    if (node.op->writes_state)
      entry[size_t(node.outputs[0])] =
          data.Of(graph.producer(node.inputs[0]).name);
    for (const std::string& target : targets) {
      SCOPED_TRACE(target);
      CheckNode(graph, node, KernelsOfTarget(target), run->values, entry);
    }
  }
}

}  // namespace weft::inline v0
