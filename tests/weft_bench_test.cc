// weft-bench: what it counts, against the file itself, and that its numbers fit
// together.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/dtype.h"
#include "gtest/gtest.h"
#include "models/gguf.h"
#include "nlohmann/json.hpp"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

ToolResult Bench(const std::string& model, std::vector<std::string> args) {
  args.push_back("--model=" + model);
  return RunTool("weft-bench", args);
}

Json BenchJson(const std::string& model, std::vector<std::string> args) {
  args.push_back("--format=json");
  const ToolResult result = Bench(model, args);
  ExpectSuccess(result);
  const Json json =
      Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(json.is_discarded()) << result.out;
  return json;
}

// Of one run's "prefill" or "decode".
Json TestOf(const Json& run, const std::string& name) {
  for (const Json& test : run["tests"])
    if (test["name"] == name) return test;
  ADD_FAILURE() << "no test " << name << ": " << run;
  return {};
}

// What a file says of a llama, computed without weft's graph.
struct Expected {
  explicit Expected(const GgufFile& file) {
    const GgufTensor& table = *file.FindTensor("token_embd.weight");
    for (const GgufTensor& tensor : file.tensors()) {
      weight_bytes += static_cast<int64_t>(tensor.bytes);
      if (tensor.dims.size() == 2) ParametersOf(tensor) += Size(tensor);
    }
    // Of a table of its own, one row; one that is the output matrix, too, is
    // read anyway.
    if (file.FindTensor("output.weight") != nullptr) {
      row_bytes = static_cast<int64_t>(table.bytes) / table.dims[0];
      weight_bytes -= static_cast<int64_t>(table.bytes);
      ParametersOf(table) -= Size(table);
    }
    const auto number = [&file](const char* key) {
      return *file.GetInt64(absl::StrCat("llama.", key));
    };
    layers = number("block_count");
    width = number("embedding_length");
    kv_width = width / number("attention.head_count") *
               number("attention.head_count_kv");
  }

  static int64_t Size(const GgufTensor& matrix) {
    return matrix.dims[0] * matrix.dims[1];
  }
  int64_t& ParametersOf(const GgufTensor& matrix) {
    return Info(matrix.dtype).block_values > 1 ? quantised : plain;
  }

  // All that every step reads, apart from rows of the table.
  int64_t weight_bytes = 0;
  int64_t row_bytes = 0;
  int64_t quantised = 0, plain = 0;  // parameters of matrices
  int64_t layers = 0, width = 0, kv_width = 0;
};

class WeftBench : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "tiny")
      path_ = TinyLlamaPath();
    else if (GetParam() == "stories260K")
      path_ = SharedPath("models/stories260K.gguf");
    else
      path_ = SharedPath("golden/stories260K/" + GetParam() + ".gguf");
    if (path_.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
  }
  Expected OfFile() const { return Expected(*GgufFile::Open(path_)); }
  std::string path_;
};

TEST_P(WeftBench, CountsTheBytesOfTheFile) {
  const Expected want = OfFile();
  const Json json =
      BenchJson(path_, {"--prompt=24", "--generate=5", "--depth=7", "--reps=2",
                        "--noprobe", "--kv=f16", "--numerics=fast"});
  const Json& run = json["runs"][0];
  const Json decode = TestOf(run, "decode");
  // Five steps at positions 7 to 11 see 8 to 12 keys each.
  constexpr int64_t kKeys = 8 + 9 + 10 + 11 + 12;
  EXPECT_EQ(decode["work"]["weight_bytes"],
            5 * (want.weight_bytes + want.row_bytes));
  EXPECT_EQ(decode["work"]["state_bytes"],
            kKeys * want.layers * want.kv_width * 2 * 2);
  const Json& operations = decode["work"]["operations"];
  EXPECT_EQ(operations.value("int8", int64_t{0}), 2 * 5 * want.quantised);
  EXPECT_EQ(operations["f32"],
            2 * 5 * want.plain + kKeys * want.layers * want.width * 4);
  EXPECT_DOUBLE_EQ(decode["bytes_per_token"],
                   (decode["work"]["weight_bytes"].get<double>() +
                    decode["work"]["state_bytes"].get<double>()) /
                       5);

  // One step: weights once, 24 rows of the table, the last token's logits.
  const Json prefill = TestOf(run, "prefill");
  EXPECT_EQ(prefill["work"]["weight_bytes"],
            want.weight_bytes + 24 * want.row_bytes);
  EXPECT_EQ(prefill["work"]["state_bytes"],
            (7 + 24) * want.layers * want.kv_width * 2 * 2);
}

TEST_P(WeftBench, ReadsWeightsOncePerChunk) {
  const Expected want = OfFile();
  const Json json = BenchJson(path_, {"--prompt=20", "--generate=1", "--reps=1",
                                      "--noprobe", "--batch=8", "--kv=f32"});
  const Json prefill = TestOf(json["runs"][0], "prefill");
  EXPECT_EQ(prefill["work"]["weight_bytes"],
            3 * want.weight_bytes + 20 * want.row_bytes);
  // 8, 16 and 20 keys.
  EXPECT_EQ(prefill["work"]["state_bytes"],
            (8 + 16 + 20) * want.layers * want.kv_width * 2 * 4);
}

TEST_P(WeftBench, ExactNumericsMultiplyInF32) {
  const Expected want = OfFile();
  const Json json = BenchJson(path_, {"--prompt=1", "--generate=3", "--reps=1",
                                      "--noprobe", "--numerics=exact"});
  const Json decode = TestOf(json["runs"][0], "decode");
  EXPECT_EQ(decode["work"]["operations"],
            Json({{"f32", 2 * 3 * (want.quantised + want.plain) +
                              (1 + 2 + 3) * want.layers * want.width * 4}}));
  EXPECT_EQ(decode["work"]["weight_bytes"],
            3 * (want.weight_bytes + want.row_bytes));
}

INSTANTIATE_TEST_SUITE_P(Models, WeftBench,
                         testing::Values("tiny", "stories260K",
                                         "stories260K-q8_0",
                                         "stories260K-q4_0"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// ---- Numbers that fit together ----

const std::vector<std::string> kQuick = {"--prompt=8", "--generate=4",
                                         "--reps=3"};

std::vector<std::string> Quick(std::vector<std::string> more) {
  more.insert(more.end(), kQuick.begin(), kQuick.end());
  return more;
}

TEST(WeftBenchJson, DescribesWhatWasDone) {
  const Json json = BenchJson(
      TinyLlamaPath(), Quick({"--noprobe", "--threads=1,2", "--seed=9"}));
  EXPECT_EQ(json["seed"], 9);
  EXPECT_TRUE(
      absl::EndsWith(json["command"][0].get<std::string>(), "weft-bench"));
  EXPECT_EQ(json["command"].size(), 9u);
  for (const char* key : {"cpu", "system", "compiler"})
    EXPECT_FALSE(json["machine"][key].get<std::string>().empty()) << key;
  EXPECT_GT(json["machine"]["cores"], 0);
  EXPECT_EQ(json["model"]["file"], TinyLlamaPath());
  EXPECT_EQ(json["model"]["architecture"], "llama");
  EXPECT_EQ(json["options"]["prompt"], 8);
  EXPECT_EQ(json["options"]["kv_v"], "f16");
  ASSERT_EQ(json["runs"].size(), 2u);
  for (int i : {0, 1}) {
    const Json& run = json["runs"][i];
    EXPECT_EQ(run["threads"], i + 1);
    EXPECT_FALSE(run["target"].get<std::string>().empty());
    EXPECT_EQ(run["context"], 8);
    EXPECT_TRUE(run["limits"].is_null());
    EXPECT_EQ(run["on_reference"], Json::array());
    EXPECT_EQ(run["tests"].size(), 2u);
    // The work does not depend on threads.
    for (const char* name : {"prefill", "decode"})
      EXPECT_EQ(TestOf(run, name)["work"],
                TestOf(json["runs"][0], name)["work"]);
  }
}

TEST(WeftBenchJson, SpeedsAreTokensOverSeconds) {
  const Json json = BenchJson(TinyLlamaPath(), Quick({"--noprobe"}));
  for (const Json& test : json["runs"][0]["tests"]) {
    const Json& speed = test["tokens_per_second"];
    ASSERT_EQ(test["seconds"].size(), 3u);
    ASSERT_EQ(speed["samples"].size(), 3u);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(
          speed["samples"][i].get<double>() * test["seconds"][i].get<double>(),
          test["tokens"].get<double>(), 1e-6);
    std::vector<double> sorted = speed["samples"];
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(speed["min"], sorted[0]);
    EXPECT_EQ(speed["median"], sorted[1]);
    EXPECT_EQ(speed["max"], sorted[2]);
    EXPECT_NEAR(speed["spread"], (sorted[2] - sorted[0]) / sorted[1], 1e-9);
    EXPECT_NEAR(test["bytes_per_second"].get<double>(),
                test["bytes_per_token"].get<double>() * sorted[1],
                1e-6 * test["bytes_per_second"].get<double>());
    EXPECT_TRUE(test["share"].is_null());
    EXPECT_FALSE(test.contains("profile"));
  }
}

TEST(WeftBenchJson, SharesAreOfTheLimitsMeasured) {
  const Json json =
      BenchJson(TinyLlamaPath(), Quick({"--probe_mib=8", "--threads=1"}));
  const Json& run = json["runs"][0];
  const Json& limits = run["limits"];
  const std::vector<double> reads = limits["read_bytes_per_second"];
  ASSERT_EQ(reads.size(), 3u);
  std::map<std::string, double> peaks;
  for (const Json& peak : limits["peaks"])
    peaks[peak["arithmetic"]] = peak["operations_per_second"];
  for (size_t i = 0; i < 2; ++i) {
    const Json& test = run["tests"][i];
    const double read = std::max(reads[i], reads[i + 1]);
    EXPECT_NEAR(test["share"]["read"].get<double>(),
                test["bytes_per_second"].get<double>() / read, 1e-6);
    double operations = 0, least_seconds = 0;
    for (const auto& [name, n] : test["work"]["operations"].items()) {
      ASSERT_GT(peaks[name], 0) << name;
      operations += n.get<double>();
      least_seconds += n.get<double>() / peaks[name];
    }
    const double seconds =
        operations / test["operations_per_second"].get<double>();
    EXPECT_NEAR(test["share"]["arithmetic"].get<double>(),
                least_seconds / seconds, 1e-6);
  }
}

double Sum(const Json& rows, const char* key) {
  double sum = 0;
  for (const Json& row : rows) sum += row[key].get<double>();
  return sum;
}

double OperationsOf(const Json& row) {
  double sum = 0;
  for (const auto& [name, n] : row["work"]["operations"].items())
    sum += n.get<double>();
  return sum;
}

double SumOfOperations(const Json& rows) {
  double sum = 0;
  for (const Json& row : rows) sum += OperationsOf(row);
  return sum;
}

TEST(WeftBenchJson, ProfilesAddUp) {
  const Json json = BenchJson(
      TinyLlamaPath(),
      {"--noprobe", "--profile", "--reps=5", "--prompt=64", "--generate=32"});
  for (const Json& test : json["runs"][0]["tests"]) {
    const Json& profile = test["profile"];
    EXPECT_EQ(profile["runs"], test["name"] == "prefill" ? 5 : 5 * 32);
    const double seconds = profile["seconds"];
    for (const char* group : {"kernels", "layers"}) {
      const Json& rows = profile[group];
      // Steps follow each other without a gap.
      EXPECT_NEAR(Sum(rows, "seconds"), seconds, 1e-6 * seconds) << group;
      EXPECT_LE(Sum(rows, "mean_seconds"), seconds * (1 + 1e-6));
      EXPECT_EQ(SumOfOperations(rows), 5 * OperationsOf(test));
    }
    EXPECT_EQ(Sum(profile["kernels"], "steps"),
              Sum(profile["layers"], "steps"));
    // Two layers and the rest.
    ASSERT_EQ(profile["layers"].size(), 3u);
    EXPECT_EQ(profile["layers"][0]["layer"], "0");
    EXPECT_EQ(profile["layers"][2]["layer"], "rest");
    // What is no step (inputs, views for another number of tokens) is the rest.
    EXPECT_LE(seconds, profile["wall_seconds"]);
    EXPECT_GT(seconds, 0);
  }
}

// Names of all members, of members and array elements too.
void AddNames(const Json& json, std::set<std::string>& names) {
  for (const auto& [key, value] : json.items()) {
    if (json.is_object()) names.insert(key);
    if (value.is_structured()) AddNames(value, names);
  }
}

TEST(WeftBenchJson, IsDocumented) {
  Json json = BenchJson(TinyLlamaPath(), Quick({"--probe_mib=4", "--profile"}));
  json["model"]["bytes"] = Json::object();  // formats are members there
  std::set<std::string> names;
  AddNames(json, names);
  EXPECT_GE(names.size(), 50u);
  const std::string doc =
      ReadText(absl::StrCat(WEFT_SOURCE_DIR, "/tools/weft_bench.md"));
  for (const std::string& name : names)
    EXPECT_TRUE(absl::StrContains(doc, absl::StrCat("`", name, "`")) ||
                absl::StrContains(doc, absl::StrCat("`", name, "[]`")))
        << name << " is not in tools/weft_bench.md";
}

// ---- Other formats ----

TEST(WeftBenchCsv, HasALineForEachTest) {
  const ToolResult result = Bench(
      TinyLlamaPath(), Quick({"--noprobe", "--threads=1,2", "--format=csv"}));
  ExpectSuccess(result);
  const std::vector<std::string> lines =
      absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 5u) << result.out;
  const std::vector<std::string> names = absl::StrSplit(lines[0], ',');
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<std::string> fields = absl::StrSplit(lines[i], ',');
    ASSERT_EQ(fields.size(), names.size()) << lines[i];
    EXPECT_EQ(fields[0], absl::StrCat("\"", TinyLlamaPath(), "\""));
    const auto of = [&](const char* name) {
      return fields[static_cast<size_t>(
          std::find(names.begin(), names.end(), name) - names.begin())];
    };
    EXPECT_EQ(of("threads"), i < 3 ? "1" : "2");
    EXPECT_EQ(of("test"), i % 2 == 1 ? "prefill" : "decode");
    double speed = 0;
    EXPECT_TRUE(absl::SimpleAtod(of("median_tps"), &speed));
    EXPECT_GT(speed, 0);
    EXPECT_EQ(of("read_share"), "");
  }
}

TEST(WeftBenchTable, ShowsLimitsTestsAndProfiles) {
  const ToolResult result = Bench(
      TinyLlamaPath(), Quick({"--probe_mib=8", "--threads=1,2", "--profile"}));
  ExpectSuccess(result);
  for (const char* part :
       {"1 thread on ", "2 threads on ", "GB/s", "peaks f32 ", "int8 ",
        "tokens/s", "\nprefill 8 ", "\ndecode 4 ", "of read", "of peak",
        "Profile of decode 4, 2 threads", "qmatmul.", "imbalance", "rest"})
    EXPECT_TRUE(absl::StrContains(result.out, part)) << part << result.out;
  EXPECT_EQ(result.err, "");
}

TEST(WeftBenchTable, SaysThatTheContextIsLongerThanTheModels) {
  const ToolResult result =
      Bench(TinyLlamaPath(), Quick({"--noprobe", "--depth=100"}));
  ExpectSuccess(result);
  EXPECT_EQ(CountLines(result.err), 1) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "trained for 64 positions"));
  EXPECT_TRUE(absl::StrContains(result.out, "prefill 8 at 100"));
}

// ---- Wrong input ----

TEST(WeftBenchErrors, AreOneLine) {
  const auto expect = [](const char* flag, const char* what) {
    ExpectFailure(Bench(TinyLlamaPath(), Quick({"--noprobe", flag})),
                  "weft-bench", what);
  };
  expect("--threads=abc", "--threads is \"abc\"");
  expect("--threads=1,,2", "--threads is");
  expect("--threads=-1", "--threads is");
  expect("--threads=5000", "--threads is");
  expect("--depth=-1", "--depth is -1");
  expect("--batch=0", "--batch is 0");
  expect("--context=7", "make 8 positions, the context has 7");
  expect("--kv=q3", "--kv is \"q3\"");
  expect("--format=xml", "expected table, json or csv");
  expect("--target=Z80", "Z80");
  expect("--probe_mib=1", "--probe_mib is 1");
  for (const char* flag : {"--prompt", "--generate", "--reps"})
    for (const char* value : {"0", "-3", "many", "99999999999"})
      ExpectFailure(
          Bench(TinyLlamaPath(), {"--noprobe", absl::StrCat(flag, "=", value)}),
          "weft-bench", flag + 2);
  ExpectFailure(
      Bench(TinyLlamaPath(), Quick({"--noprobe", "--format=csv", "--profile"})),
      "weft-bench", "profile");
  ExpectFailure(Bench("/no/such.gguf", kQuick), "weft-bench", "/no/such.gguf");
}

}  // namespace
}  // namespace weft::inline v0
