// Text from a model: prompt in, continuation out, token by token.
#ifndef WEFT_TOOLS_GENERATOR_H_
#define WEFT_TOOLS_GENERATOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/sampler.h"
#include "models/utf8.h"
#include "tools/text_model.h"

namespace weft::inline v0 {

struct GeneratorOptions {
  int64_t max_tokens = 256;  // of each call; 0: until the context is full
  SamplerOptions sampler = {};
  const std::atomic<bool>* cancel = nullptr;
  // Gets the text as it is made, in valid UTF-8.
  std::function<absl::Status(absl::string_view)> write = nullptr;
  // See PrefillOptions.
  std::function<void(int64_t done, int64_t total)> progress = nullptr;
};

enum class StopReason {
  kEndOfText,  // the model ended the text
  kMaxTokens,
  kContextFull,
  kInterrupted,  // *cancel was set
};

// Of one call.
struct GeneratorStats {
  int64_t prompt_tokens = 0;
  double prompt_seconds = 0;
  int64_t tokens = 0;         // generated
  int64_t decode_steps = 0;   // of one token each; the first token needs none
  double decode_seconds = 0;  // sampling included, writing not
};

// InvalidArgument for a prompt that has nothing to go on with.
absl::Status CheckPrompt(absl::string_view prompt);

// One text at a time. Not thread-safe.
class Generator {
 public:
  // `model` outlives this. InvalidArgument for sampler options out of range.
  static absl::StatusOr<Generator> Make(TextModel* model,
                                        GeneratorOptions options);

  // A new text that begins with `prompt`, whose special tokens are added as the
  // model asks. InvalidArgument when the prompt is empty or longer than the
  // context.
  absl::StatusOr<StopReason> Begin(absl::string_view prompt);
  // More of the same text. FailedPrecondition when it is at its end.
  absl::StatusOr<StopReason> Continue();
  // A text that goes on behind `kept` positions of what the model has seen,
  // with `tokens`. InvalidArgument where there is no token or no room.
  absl::StatusOr<StopReason> Answer(int64_t kept,
                                    absl::Span<const Token> tokens);

  const GeneratorStats& stats() const { return stats_; }
  // What the last call generated. The model has not seen the last of them
  // where the call ended for another reason than the text's end.
  absl::Span<const Token> generated() const { return generated_; }

 private:
  Generator(TextModel* model, GeneratorOptions options, Sampler sampler)
      : model_(model),
        options_(std::move(options)),
        sampler_(std::move(sampler)) {}

  absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view prompt) const;
  // Evaluates the tokens and generates what follows them.
  absl::StatusOr<StopReason> Run(absl::Span<const Token> tokens);
  absl::StatusOr<StopReason> Generate(absl::Span<const float> logits);
  // Takes the next token; false at the end of the text.
  absl::StatusOr<bool> Take(absl::Span<const float> logits);
  bool Cancelled() const;

  TextModel* model_;
  GeneratorOptions options_;
  Sampler sampler_;
  Utf8Stream utf8_;
  GeneratorStats stats_;
  std::vector<Token> generated_;
  // The last token taken, which the model has not seen yet.
  Token last_ = kNoToken;
};

// "generated 200 tokens, 5714.3 tokens/s": a line each for prompt and text.
std::string Describe(const GeneratorStats& stats);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_GENERATOR_H_
