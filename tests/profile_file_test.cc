// Files of --profile and --trace: that they are whole, and that they add up.
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

Json ReadJson(const std::string& path) {
  const Json json = Json::parse(ReadText(path), nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << path;
  return json;
}

// Slices by thread follow each other, and are of steps that there are.
void ExpectTrace(const Json& trace, int threads) {
  std::map<int, double> end;  // by thread
  size_t slices = 0;
  for (const Json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    ++slices;
    const int thread = event["tid"];
    EXPECT_LT(thread, threads);
    EXPECT_GE(event["dur"], 0.0);
    // Rounded to nanoseconds.
    EXPECT_GE(event["ts"].get<double>(), end[thread] - 0.002);
    end[thread] = event["ts"].get<double>() + event["dur"].get<double>();
    EXPECT_FALSE(event["name"].get<std::string>().empty());
  }
  EXPECT_GT(slices, 20u);
}

void ExpectProfile(const Json& profile, int threads) {
  EXPECT_EQ(profile["threads"], threads);
  double sum = 0;
  for (const Json& node : profile["nodes"]) {
    sum += node["seconds"].get<double>();
    ASSERT_EQ(node["busy"].size(), static_cast<size_t>(threads));
    double busy = 0;
    for (const double b : node["busy"]) busy += b;
    EXPECT_LE(busy, threads * node["slowest"].get<double>() + 1e-9);
    EXPECT_GT(node["bytes"], 0);
  }
  EXPECT_NEAR(sum, profile["seconds"].get<double>(), 1e-6 * sum + 1e-9);
}

TEST(ProfileFiles, OfWeftRun) {
  const std::string profile = ScratchPath("p.json"),
                    trace = ScratchPath("t.json");
  const std::vector<std::string> args = {"--model=" + TinyLlamaPath(),
                                         "--prompt=the cat", "--max_tokens=8",
                                         "--threads=2"};
  std::vector<std::string> timed = args;
  timed.push_back("--profile=" + profile);
  timed.push_back("--trace=" + trace);
  const ToolResult result = RunTool("weft-run", timed);
  ExpectSuccess(result);
  // Times change nothing of the text.
  EXPECT_EQ(result.out, RunTool("weft-run", args).out);
  const Json json = ReadJson(profile);
  EXPECT_EQ(json["format"], "weft-profile");
  ASSERT_EQ(json["profiles"].size(), 2u);
  EXPECT_EQ(json["profiles"][0]["name"], "decode, 2 threads");
  EXPECT_EQ(json["profiles"][1]["name"], "prefill, 2 threads");
  for (const Json& one : json["profiles"]) ExpectProfile(one, 2);
  ExpectTrace(ReadJson(trace), 2);
}

TEST(ProfileFiles, OfWeftBench) {
  const std::string profile = ScratchPath("bp.json"),
                    trace = ScratchPath("bt.json");
  ExpectSuccess(RunTool(
      "weft-bench", {"--model=" + TinyLlamaPath(), "--threads=1,2", "--noprobe",
                     "--prompt=16", "--generate=8", "--reps=2",
                     "--profile=" + profile, "--trace=" + trace}));
  const Json json = ReadJson(profile);
  ASSERT_EQ(json["profiles"].size(), 4u);
  for (size_t i = 0; i < 4; ++i)
    ExpectProfile(json["profiles"][i], i < 2 ? 1 : 2);
  ExpectTrace(ReadJson(trace), 2);
}

TEST(ProfileFiles, OfWeftRunNeedAPlace) {
  const ToolResult result =
      RunTool("weft-run", {"--model=" + TinyLlamaPath(), "--prompt=a",
                           "--max_tokens=1", "--profile=/nowhere/p.json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(result.err, "/nowhere/p.json")) << result.err;
}

}  // namespace
}  // namespace weft::inline v0
