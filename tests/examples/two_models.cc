// Two models in one program, a thread for each: how likely does each think a
// text is? Prints the mean of -log(probability) of the tokens.
//
//   two_models FIRST.gguf SECOND.gguf "a text"
#include <cmath>
#include <iostream>
#include <string>
#include <thread>

#include <weft/models/engine.h>

namespace {

double LogProbability(absl::Span<const float> logits, weft::Token token) {
  double most = logits[0], sum = 0;
  for (const float x : logits) most = std::max<double>(most, x);
  for (const float x : logits) sum += std::exp(x - most);
  return logits[static_cast<size_t>(token)] - most - std::log(sum);
}

absl::StatusOr<double> Surprise(const char* path, const std::string& text) {
  const auto model = weft::Model::Load(path);
  if (!model.ok()) return model.status();
  const auto tokens = (*model)->tokenizer().Encode(text, {.add_special = true});
  if (!tokens.ok()) return tokens.status();
  if (tokens->size() < 2) return absl::InvalidArgumentError("no text");
  weft::SessionOptions options;
  options.logits_rows = options.batch;
  options.backend_options.threads = 1;
  auto session = (*model)->NewSession(options);
  if (!session.ok()) return session.status();
  double sum = 0;
  weft::PrefillOptions prefill;
  prefill.on_logits = [&](int64_t i, absl::Span<const float> logits) {
    const auto next = static_cast<size_t>(i) + 1;
    if (next < tokens->size()) sum -= LogProbability(logits, (*tokens)[next]);
  };
  const auto last = (*session)->Prefill(0, *tokens, prefill);
  if (!last.ok()) return last.status();
  return sum / static_cast<double>(tokens->size() - 1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: two_models FIRST.gguf SECOND.gguf TEXT\n";
    return 2;
  }
  absl::StatusOr<double> surprise[2];
  std::thread other([&] { surprise[1] = Surprise(argv[2], argv[3]); });
  surprise[0] = Surprise(argv[1], argv[3]);
  other.join();
  for (const auto& s : surprise) {
    if (!s.ok()) {
      std::cerr << "two_models: " << s.status().message() << "\n";
      return 1;
    }
    std::cout << *s << "\n";
  }
  return 0;
}
