#include "backends/cpu/cpu_backend.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/cpu/bind.h"
#include "backends/cpu/executable.h"
#include "backends/cpu/probe.h"
#include "backends/cpu/target_names.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace cpu {
namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend(TargetMask target, int threads, const BackendOptions& options,
             const CpuHooks& hooks)
      : target_(target),
        threads_(threads),
        options_(options),
        kernels_(AllKernels(target)),
        hooks_(hooks) {
    if (hooks_.kernels) hooks_.kernels(kernels_);
  }

  absl::string_view name() const override { return "cpu"; }

  std::vector<std::string> Targets() const override {
    return RunnableTargets();
  }

  std::vector<std::string> KernelsOf(const OpDef& op) const override {
    std::vector<std::string> names;
    for (const Kernel& kernel : kernels_)
      if (kernel.op == &op) names.emplace_back(kernel.name);
    return names;
  }

  // On tile registers prompts are 3 to 5 (bf16) and 2 to 3 (f16) times as fast;
  // on vectors packed rows are about as fast as a file's.
  bool PacksHalves() const override { return (target_ & kAmxTarget) != 0; }

  absl::StatusOr<BackendPlan> Plan(const Graph& graph) const override {
    WEFT_ASSIGN_OR_RETURN(CpuPlan cpu, MakeCpuPlan(graph));
    return std::move(cpu.plan);
  }

  absl::StatusOr<std::unique_ptr<Executable>> Compile(
      std::shared_ptr<const Graph> graph,
      const WeightSource& weights) const override {
    WEFT_ASSIGN_OR_RETURN(CpuPlan plan, MakeCpuPlan(*graph));
    auto executable = std::make_unique<CpuExecutable>(
        std::move(graph), std::move(plan), threads_, options_);
    WEFT_RETURN_IF_ERROR(executable->Bind(kernels_, weights));
    return executable;
  }

  absl::StatusOr<std::unique_ptr<Probe>> MakeProbe(
      int64_t bytes) const override {
    return CpuProbe::Make(target_, threads_, bytes);
  }

 private:
  absl::StatusOr<CpuPlan> MakeCpuPlan(const Graph& graph) const {
    auto plan = PlanForCpu(graph, kernels_, target_, threads_);
    if (plan.ok() && hooks_.plan) hooks_.plan(graph, plan->plan.plan);
    return plan;
  }

  TargetMask target_;
  int threads_;
  BackendOptions options_;
  KernelList kernels_;
  CpuHooks hooks_;
};

// Beyond this, splitting a step costs more than it gives on any machine that
// we know; a larger number is a slip of the keyboard.
constexpr int kMaxThreads = 1024;

}  // namespace
}  // namespace cpu

absl::StatusOr<std::unique_ptr<Backend>> MakeCpuBackend(
    const BackendOptions& options) {
  return MakeHookedCpuBackend(options, {});
}

absl::StatusOr<std::unique_ptr<Backend>> MakeHookedCpuBackend(
    const BackendOptions& options, const CpuHooks& hooks) {
  if (options.threads < 0 || options.threads > cpu::kMaxThreads)
    return absl::InvalidArgumentError(absl::StrCat("threads is ",
                                                   options.threads,
                                                   "; expected 0 (one per "
                                                   "core) to ",
                                                   cpu::kMaxThreads));
  if (options.max_bytes < 0)
    return absl::InvalidArgumentError(absl::StrCat(
        "max_bytes is ", options.max_bytes, "; expected 0 (no limit) or more"));
  if ((options.memory.allocate == nullptr) !=
      (options.memory.release == nullptr))
    return absl::InvalidArgumentError(
        "memory: allocate and release have to be given together");
  WEFT_ASSIGN_OR_RETURN(const cpu::TargetMask target,
                        cpu::ParseTarget(options.target));
  const int threads =
      options.threads == 0 ? cpu::AvailableCores() : options.threads;
  return std::make_unique<cpu::CpuBackend>(target, threads, options, hooks);
}

}  // namespace weft::inline v0
