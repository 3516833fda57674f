#include "tests/greedy.h"

#include <algorithm>

#include "gtest/gtest.h"
#include "tests/gguf_builder.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {

std::shared_ptr<const Model> TinyModel() {
  static const std::string bytes = TinyLlama().Build();
  static const std::shared_ptr<const Model> model = [] {
    auto file = GgufFile::Parse(AsBytes(bytes), "tiny");
    auto made = Model::FromFile(*std::move(file));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }();
  return model;
}

Token BestToken(absl::Span<const float> logits) {
  return static_cast<Token>(std::max_element(logits.begin(), logits.end()) -
                            logits.begin());
}

std::vector<Token> Greedy(Session& session, int slot, Token first, int count) {
  std::vector<Token> out;
  Token token = first;
  for (int i = 0; i < count; ++i) {
    const auto logits = session.Decode(slot, token);
    EXPECT_TRUE(logits.ok()) << logits.status();
    if (!logits.ok()) break;
    token = BestToken(*logits);
    out.push_back(token);
  }
  return out;
}

std::vector<Token> GreedyAlone(const Model& model,
                               absl::Span<const Token> prompt, int count,
                               SessionOptions options) {
  options.slots = 1;
  auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  const auto logits = (*session)->Prefill(0, prompt);
  EXPECT_TRUE(logits.ok()) << logits.status();
  std::vector<Token> out = {BestToken(*logits)};
  const auto rest = Greedy(**session, 0, out[0], count - 1);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace weft::inline v0
