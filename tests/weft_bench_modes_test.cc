// weft-bench --cancel and --cold_start: that they measure what they say, not
// how long it takes.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"
#include "tools/cold_start.h"

namespace weft::inline v0 {
namespace {

// The numbers of a line by its name; names may have one blank between words.
std::map<std::string, std::vector<double>> Rows(const std::string& table) {
  std::map<std::string, std::vector<double>> rows;
  for (const absl::string_view line :
       absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts =
        absl::StrSplit(line, "  ", absl::SkipWhitespace());
    std::vector<double>& numbers = rows[parts[0]];
    for (size_t i = 1; i < parts.size(); ++i)
      if (double number; absl::SimpleAtod(parts[i], &number))
        numbers.push_back(number);
  }
  return rows;
}

TEST(WeftBenchCancel, CancelsEveryKindOfWork) {
  const ToolResult result =
      RunTool("weft-bench", {"--model=" + TinyLlamaPath(), "--cancel=5",
                             "--prompt=60", "--generate=60", "--pack=on"});
  ExpectSuccess(result);
  const auto rows = Rows(result.out);
  double cancelled = 0;
  for (const char* name : {"load, touch pages", "load a copy", "pack weights",
                           "prefill 60", "decode", "embed 60"}) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(rows.contains(name)) << result.out;
    const std::vector<double>& row = rows.at(name);
    if (row.size() == 1) continue;  // too short to be met in it
    cancelled += row[0];
    ASSERT_EQ(row.size(), 4u);
    EXPECT_GT(row[0], 0);
    EXPECT_GT(row[1], 0);
    EXPECT_LE(row[1], row[2]);
    EXPECT_LE(row[2], row[3]);
  }
  // Which kinds are met in time depends on what else the machine does.
  EXPECT_GT(cancelled, 0) << result.out;
}

TEST(WeftBenchColdStart, StartsAProcessForEachNumber) {
  const ToolResult result =
      RunTool("weft-bench", {"--model=" + TinyLlamaPath(), "--cold_start=3"});
  ExpectSuccess(result);
  const auto rows = Rows(result.out);
  ASSERT_TRUE(rows.contains("to its first token")) << result.out;
  const std::vector<double>& first = rows.at("to its first token");
  const std::vector<double>& all = rows.at("to its end");
  ASSERT_EQ(first.size(), 4u);
  EXPECT_EQ(first[0], 3);
  EXPECT_GT(first[1], 0);
  EXPECT_LE(first[1], first[2]);
  EXPECT_LE(first[2], first[3]);
  EXPECT_LE(first[1], all[1]);
}

TEST(ColdStarts, EndWithTheErrorOfTheProgram) {
  const auto failed =
      MeasureColdStarts({"/bin/sh", "-c", "echo what is wrong >&2; exit 3"}, 2);
  EXPECT_TRUE(absl::IsInternal(failed.status()));
  EXPECT_NE(failed.status().message().find("/bin/sh failed: what is wrong"),
            absl::string_view::npos)
      << failed.status();
  EXPECT_TRUE(absl::IsNotFound(MeasureColdStarts({"/no/such"}, 1).status()));
}

TEST(WeftBenchModes, RefuseWhatTheyCannotDo) {
  ExpectFailure(RunTool("weft-bench", {"--cancel=0"}), "weft-bench",
                "--cancel is 0");
  ExpectFailure(RunTool("weft-bench", {"--cold_start", "--format=json"}),
                "weft-bench", "--format");
}

}  // namespace
}  // namespace weft::inline v0
