// weft-run --embed: the same vectors as the engine's, a line for each text.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "models/engine.h"
#include "nlohmann/json.hpp"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"

namespace weft::inline v0 {
namespace {

class EmbedTool {
 public:
  explicit EmbedTool(const std::string& path) : path_(path) {
    auto model = Model::Load(path);
    EXPECT_TRUE(model.ok()) << model.status();
    model_ = *std::move(model);
    SessionOptions options;
    options.embeddings = true;
    options.pack_weights = true;  // as the program is told below
    auto session = model_->NewSession(options);
    EXPECT_TRUE(session.ok()) << session.status();
    session_ = *std::move(session);
  }

  // The engine's vector of a text.
  std::vector<float> Want(const std::string& text,
                          const EmbedOptions& options) {
    const auto tokens = model_->tokenizer().Encode(text, {.add_special = true});
    EXPECT_TRUE(tokens.ok()) << tokens.status();
    return session_->Embed(*tokens, options).value();
  }

  // What the program prints for `texts`, a line each.
  std::vector<std::string> Run(const std::string& texts,
                               std::vector<std::string> flags) {
    flags.insert(flags.begin(),
                 {absl::StrCat("--model=", path_), "--embed", "--pack=on"});
    const ToolResult result = RunTool("weft-run", flags, {.input = texts});
    ExpectSuccess(result);
    return absl::StrSplit(result.out, '\n', absl::SkipEmpty());
  }

 private:
  std::string path_;
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
};

std::vector<float> FromJson(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  EXPECT_TRUE(json.is_object()) << line;
  return json["embedding"].get<std::vector<float>>();
}

TEST(WeftRunEmbed, GivesTheEnginesVectors) {
  EmbedTool tool(TinyLlamaPath());
  const auto json =
      tool.Run("ab\n\ncd ab\n", {"--embed_format=json", "--pooling=mean"});
  ASSERT_EQ(json.size(), 2u);
  EmbedOptions options;
  options.pooling = Pooling::kMean;
  EXPECT_EQ(FromJson(json[0]), tool.Want("ab", options));
  EXPECT_EQ(FromJson(json[1]), tool.Want("cd ab", options));
  EXPECT_EQ(json[1].find("{\"index\":1,\"tokens\":"), 0u) << json[1];

  const auto text = tool.Run("cd\n", {"--nonormalize"});
  ASSERT_EQ(text.size(), 1u);
  options = {};
  options.normalize = false;
  std::vector<float> numbers;
  for (const absl::string_view number : absl::StrSplit(text[0], ' '))
    numbers.push_back(std::stof(std::string(number)));
  EXPECT_EQ(numbers, tool.Want("cd", options));
}

// embed_test holds the engine to the reference values of this model.
TEST(WeftRunEmbed, AnEncoder) {
  const GoldenEncoder golden = LoadEncoder("bert");
  if (golden.texts.empty())
    GTEST_SKIP() << "no reference values in " << WEFT_SHARED_DIR;
  EmbedTool tool(golden.path);
  const auto lines =
      tool.Run("someone had a room\nhungry eyes\n", {"--embed_format=json"});
  ASSERT_EQ(lines.size(), 2u);
  const std::vector<float> vector = FromJson(lines[1]);
  EXPECT_EQ(vector, tool.Want("hungry eyes", {}));
  double squares = 0;
  for (const float x : vector) squares += static_cast<double>(x) * x;
  EXPECT_NEAR(squares, 1, 1e-5);  // rounded to f32, 128 of them
}

TEST(WeftRunEmbed, Refuses) {
  const std::string model = absl::StrCat("--model=", TinyLlamaPath());
  ExpectFailure(RunTool("weft-run", {model, "--prompt=a", "--pooling=mean"}),
                "weft-run", "--pooling goes with --embed");
  ExpectFailure(RunTool("weft-run", {model, "--embed", "--pooling=max"}),
                "weft-run", "expected model, mean, cls or last");
  ExpectFailure(RunTool("weft-run", {model, "--embed", "--embed_format=xml"}),
                "weft-run", "expected text or json");
  ExpectFailure(RunTool("weft-run", {model, "--embed", "--chat"}), "weft-run",
                "without --chat");
  const ToolResult full =
      RunTool("weft-run", {model, "--embed", "--context=8",
                           absl::StrCat("--prompt=", std::string(99, 'x'))});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_NE(full.err.find("the context 8 positions"), std::string::npos)
      << full.err;
}

}  // namespace
}  // namespace weft::inline v0
