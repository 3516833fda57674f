// Eight conversations at once on one model: each is answered by itself, but all
// share every step, so that the weights are read once for all of them.
//
//   conversations MODEL.gguf
#include <array>
#include <iostream>
#include <string>

#include <weft/models/engine.h>
#include <weft/models/scheduler.h>

namespace {

constexpr std::array<const char*, 8> kPrompts = {
    "Once upon a time",    "Lily and Tom", "One day, a cat", "The sun was",
    "There was a big dog", "Mom said",     "In the park",    "A little bird"};

absl::Status Converse(const char* path) {
  auto model = weft::Model::Load(path);
  if (!model.ok()) return model.status();
  weft::SessionOptions options;
  options.slots = options.logits_rows = kPrompts.size();
  options.context = 128;
  auto session = (*model)->NewSession(options);
  if (!session.ok()) return session.status();
  auto scheduler = weft::Scheduler::Make(*std::move(session));
  if (!scheduler.ok()) return scheduler.status();

  const weft::Tokenizer& text = (*model)->tokenizer();
  std::array<std::string, kPrompts.size()> answers;
  for (size_t i = 0; i < kPrompts.size(); ++i) {
    weft::Request request;
    auto tokens = text.Encode(kPrompts[i], {.add_special = true});
    if (!tokens.ok()) return tokens.status();
    request.prompt = *std::move(tokens);
    request.max_tokens = 24;
    request.sampler.temperature = 0;
    request.on_token = [&answers, &text, i](weft::Token token) {
      answers[i] += text.Piece(token).value_or("");
      return true;
    };
    const auto id = (*scheduler)->Submit(std::move(request));
    if (!id.ok()) return id.status();
  }
  while ((*scheduler)->busy()) {
    const absl::Status step = (*scheduler)->Step();
    if (!step.ok()) return step;
  }
  for (size_t i = 0; i < kPrompts.size(); ++i)
    std::cout << kPrompts[i] << answers[i] << "\n";
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: conversations MODEL.gguf\n";
    return 2;
  }
  const absl::Status status = Converse(argv[1]);
  if (!status.ok()) std::cerr << "conversations: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
