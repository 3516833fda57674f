// What models/embedding.md shows of the engine is compiled here: its first C++
// block is the marked part of this file.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "models/chat_template.h"
#include "models/engine.h"
#include "models/gguf.h"
#include "models/grammar/grammar.h"
#include "models/sampler.h"
#include "tests/golden.h"

namespace weft::inline v0 {
namespace {

void Show(double) {}
absl::Status Look(absl::string_view, const weft::HostTensor&) {
  return absl::OkStatus();
}

// Compiled and not called: there are no files of these names.
[[maybe_unused]] bool MoreOfTheEngine(int fd) {
  // clang-format off
  // [more]
  // A file that is open already, in a package say; or GgufFile::Parse for bytes in
  // memory, GgufFile::Read for a function that gives them.
  auto file = weft::GgufFile::OpenDescriptor(fd, "model in package");
  weft::LoadOptions load;
  load.adapters = {{"style.gguf", 0.8f}};       // LoRA, and how much of it
  load.progress = [](double share) { Show(share); };  // reads all pages now
  auto model = weft::Model::FromFile(*std::move(file), load);

  // A conversation as the text that the model was trained on.
  auto chat = weft::ChatTemplate::FromFile((*model)->file(), (*model)->tokenizer());
  const std::vector<weft::ChatMessage> said = {{"user", "A haiku, please."}};
  auto prompt = chat->Render(said, {});
  auto tokens = (*model)->tokenizer().Encode(*prompt, {.parse_special = true});

  // The output of each layer, as it is computed.
  weft::SessionOptions options;
  options.taps = {"layer.*"};
  auto session = (*model)->NewSession(options);
  (*session)->SetTapSink([](absl::string_view name, weft::HostTensor value) {
    return Look(name, value);                   // an error ends the step
  });

  // Tokens that keep to a grammar.
  weft::SamplerOptions choose = {.temperature = 0.7f};
  choose.grammar = *weft::Grammar::Parse("root ::= [a-z ]+");
  auto pieces = std::make_shared<const weft::TokenPieces>((*model)->tokenizer());
  auto sampler = weft::Sampler::Make(std::move(choose), std::move(pieces));
  // [/more]
  // clang-format on
  return tokens.ok() && sampler.ok();
}

TEST(EmbeddingDoc, ShowsWhatIsCompiled) {
  const std::string root = WEFT_SOURCE_DIR;
  const std::string doc = ReadText(root + "/models/embedding.md");
  const std::vector<std::string> parts = absl::StrSplit(doc, "```cpp\n");
  ASSERT_GE(parts.size(), 2u);
  const std::string shown = parts[1].substr(0, parts[1].find("```"));
  const std::string here = ReadText(root + "/tests/embedding_doc_test.cc");
  const std::string begin = "  // [more]\n", end = "  // [/more]\n";
  const size_t from = here.find(begin) + begin.size();
  std::string code;
  for (absl::string_view line :
       absl::StrSplit(here.substr(from, here.find(end) - from), '\n')) {
    if (line.substr(0, 2) == "  ") line.remove_prefix(2);
    absl::StrAppend(&code, line, "\n");
  }
  code.pop_back();  // what follows the last line's end
  EXPECT_EQ(shown, code);
}

}  // namespace
}  // namespace weft::inline v0
