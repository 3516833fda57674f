#include "tests/golden.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "nlohmann/json.hpp"

namespace weft::inline v0 {

std::string SharedPath(const std::string& relative) {
  const std::string path = std::string(WEFT_SHARED_DIR) + "/" + relative;
  return std::filesystem::exists(path) ? path : "";
}

std::string ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<float> ReadFloats(const std::string& path) {
  const std::string bytes = ReadText(path);
  std::vector<float> out(bytes.size() / sizeof(float));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(float));
  return out;
}

GoldenModel LoadStories(const std::string& tag) {
  GoldenModel golden;
  const std::string index = SharedPath("golden/stories260K/index.json");
  if (index.empty()) return golden;
  const auto models = nlohmann::json::parse(ReadText(index))["models"];
  const std::string file = models[tag]["model"];
  golden.path = SharedPath("golden/stories260K/" + file);
  if (golden.path.empty()) golden.path = SharedPath("models/" + file);
  const auto& variants = models[tag]["variants"];
  const auto& variant =
      variants.contains("exact") ? variants["exact"] : variants["file"];
  golden.n_vocab = variant["n_vocab"];
  golden.perplexity = variant["nll"]["perplexity"];
  const std::string logits_file = variant["logits_file"];
  const std::vector<float> logits =
      ReadFloats(SharedPath("golden/stories260K/" + logits_file));
  for (const auto& p : variant["prompts"]) {
    GoldenPrompt prompt;
    prompt.name = p["name"];
    prompt.tokens = p["tokens"].get<std::vector<Token>>();
    prompt.greedy = p["greedy"].get<std::vector<Token>>();
    prompt.greedy_margin = p["greedy_margin"].get<std::vector<float>>();
    const auto first = logits.begin() + p["offset"].get<int64_t>();
    prompt.logits.assign(
        first, first + static_cast<int64_t>(prompt.tokens.size()) *
                           golden.n_vocab);
    golden.prompts.push_back(std::move(prompt));
  }
  return golden;
}

}  // namespace weft::inline v0
