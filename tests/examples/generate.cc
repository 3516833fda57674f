// Text from a model: generate MODEL.gguf "Once upon a time"
//
// README.md shows the middle of it; readme_test checks that the two are equal.
#include <iostream>

#include <weft/models/engine.h>
#include <weft/models/sampler.h>

// [readme]
absl::Status Generate(const char* path, const char* prompt, int count) {
  auto model = weft::Model::Load(path);  // mapped, not copied
  if (!model.ok()) return model.status();
  auto session = (*model)->NewSession({});  // caches, activations, threads
  if (!session.ok()) return session.status();
  auto sampler = weft::Sampler::Make({.temperature = 0});
  if (!sampler.ok()) return sampler.status();

  const weft::Tokenizer& text = (*model)->tokenizer();
  auto tokens = text.Encode(prompt, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  auto logits = (*session)->Prefill(0, *tokens);
  for (int i = 0; i < count && logits.ok(); ++i) {
    auto next = sampler->Sample(*logits);
    if (!next.ok()) return next.status();
    if (text.IsEndOfGeneration(*next)) break;
    std::cout << text.Piece(*next).value_or("") << std::flush;
    logits = (*session)->Decode(0, *next);
  }
  std::cout << "\n";
  return logits.status();
}
// [/readme]

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: generate MODEL.gguf PROMPT\n";
    return 2;
  }
  const absl::Status status = Generate(argv[1], argv[2], 40);
  if (!status.ok()) std::cerr << "generate: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
