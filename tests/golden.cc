#include "tests/golden.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"
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

namespace {

using Json = nlohmann::json;

// The exact variant, or the file's where that is exact.
const Json& Exact(const Json& variants) {
  return variants.contains("exact") ? variants["exact"] : variants["file"];
}

// `folder` is the variant's, below the shared folder, with a slash.
void ReadPrompts(const Json& variant, const std::string& folder,
                 GoldenModel& golden) {
  golden.n_vocab = variant["n_vocab"];
  golden.context = variant["n_ctx"];
  const std::string logits_file = variant["logits_file"];
  const std::vector<float> logits =
      ReadFloats(SharedPath(folder + logits_file));
  for (const auto& p : variant["prompts"]) {
    GoldenPrompt prompt;
    prompt.name = p["name"];
    prompt.tokens = p["tokens"].get<std::vector<Token>>();
    prompt.greedy = p["greedy"].get<std::vector<Token>>();
    prompt.greedy_margin = p["greedy_margin"].get<std::vector<float>>();
    const auto first = logits.begin() + p["offset"].get<int64_t>();
    prompt.logits.assign(
        first,
        first + static_cast<int64_t>(prompt.tokens.size()) * golden.n_vocab);
    golden.prompts.push_back(std::move(prompt));
  }
}

}  // namespace

GoldenModel LoadStories(const std::string& tag) {
  GoldenModel golden;
  const std::string folder = "golden/stories260K/";
  const std::string index = SharedPath(folder + "index.json");
  if (index.empty()) return golden;
  const Json all = Json::parse(ReadText(index));
  const Json& model = all["models"][tag];
  const std::string file = model["model"];
  golden.path = SharedPath(folder + file);
  if (golden.path.empty()) golden.path = SharedPath("models/" + file);
  const Json& variant = Exact(model["variants"]);
  golden.story = all["story_tokens"].get<std::vector<Token>>();
  golden.nll = ReadFloats(
      SharedPath(folder + variant["nll"]["file"].get<std::string>()));
  golden.perplexity = variant["nll"]["perplexity"];
  ReadPrompts(variant, folder, golden);
  return golden;
}

GoldenModel LoadOpen(const std::string& model, const std::string& tag,
                     const std::string& variant) {
  GoldenModel golden;
  const std::string folder = "golden/open/";
  const std::string index = SharedPath(folder + "index.json");
  if (index.empty()) return golden;
  Json entry = Json::parse(ReadText(index))["models"][model];
  if (!tag.empty()) entry = Json(entry["quants"][tag]);
  const std::string file = entry["model"];
  golden.path = SharedPath(folder + file);
  const Json& variants = entry["variants"];
  ReadPrompts(variant == "file" ? variants["file"] : Exact(variants), folder,
              golden);
  return golden;
}

GoldenEncoder LoadEncoder(const std::string& model) {
  GoldenEncoder golden;
  const std::string folder = "golden/open/";
  const std::string index = SharedPath(folder + "index.json");
  if (index.empty()) return golden;
  const Json entry = Json::parse(ReadText(index))["models"][model];
  golden.path = SharedPath(folder + entry["model"].get<std::string>());
  const Json& variant = Exact(entry["variants"]);
  golden.context = variant["n_ctx"];
  const int64_t width = variant["n_embd"];
  const auto read = [&](const char* key) {
    return ReadFloats(SharedPath(folder + variant[key].get<std::string>()));
  };
  const std::vector<float> hidden = read("tokens_file"),
                           pooled = read("pooled_file");
  const auto part = [](const std::vector<float>& all, const Json& at,
                       int64_t n) {
    const auto first = all.begin() + at.get<int64_t>();
    return std::vector<float>(first, first + n);
  };
  for (const Json& p : variant["prompts"]) {
    GoldenText text;
    text.tokens = p["tokens"].get<std::vector<Token>>();
    const auto n = static_cast<int64_t>(text.tokens.size());
    text.hidden = part(hidden, p["token_offset"], n * width);
    text.mean = part(pooled, p["mean_offset"], width);
    text.first = part(pooled, p["cls_offset"], width);
    golden.texts.push_back(std::move(text));
  }
  return golden;
}

std::vector<float> AllLogits(Session& session, const std::vector<Token>& tokens,
                             int64_t chunk) {
  std::vector<float> all;
  PrefillOptions options;
  options.chunk = chunk;
  options.on_logits = [&](int64_t, absl::Span<const float> row) {
    all.insert(all.end(), row.begin(), row.end());
  };
  const auto last = session.Prefill(0, tokens, options);
  EXPECT_TRUE(last.ok()) << last.status();
  return all;
}

}  // namespace weft::inline v0
