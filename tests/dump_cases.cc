#include "tests/dump_cases.h"

#include "backends/dump_plan.h"
#include "graph/dump/recorder.h"
#include "gtest/gtest.h"

namespace weft::inline v0 {

Dump WholeDump(const LlamaGraphOptions& options, Numerics numerics) {
  Graph graph;
  BuildLlamaGraph(graph, options);
  DumpRecorder recorder;
  const auto report =
      Optimize(graph, {.numerics = numerics, .observer = recorder.observer()});
  EXPECT_TRUE(report.ok()) << report.status();
  Dump dump = recorder.Take();
  dump.title = "llama of tests";
  AddRules(graph, *report, dump);
  const auto plans = PlanForTargets(graph, "cpu", {.threads = 1, .target = ""});
  EXPECT_TRUE(plans.ok()) << plans.status();
  DumpLimits limits;
  limits.bytes_per_second = 1e10;
  AddPlan(graph, *plans, UsualSizes(graph), limits, dump);
  Profile profile;
  profile.threads = 1;
  profile.runs = 2;
  for (size_t i = 0; i < dump.plan.steps.size(); ++i) {
    const double t = 1e-6 * static_cast<double>(i % 7 + 1);
    profile.steps.push_back({t, t, t, 0});
    profile.elapsed += t;
  }
  const absl::Status added =
      AddProfile(profile, "decode, 1 thread", "decode", dump);
  EXPECT_TRUE(added.ok()) << added;
  return dump;
}

std::string NastyName() {
  std::string name;
  for (int c = 0; c < 256; ++c) name.push_back(static_cast<char>(c));
  return name +
         "\xE2\x82\xAC \xF0\x9F\xA6\x99 \xC0\x80 \xED\xA0\x80 \xE2\x80\xA8"
         "</script><b> ]]> -- ;\" #quot; \\n \\\" %% {x|y} \xE2\x82";
}

}  // namespace weft::inline v0
