// Reference values that an independent engine computed, where they are there.
#ifndef WEFT_TESTS_GOLDEN_H_
#define WEFT_TESTS_GOLDEN_H_

#include <string>
#include <vector>

#include "models/engine.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// A path below the shared folder, "" when it does not exist.
std::string SharedPath(const std::string& relative);

// All of a file of little-endian f32.
std::vector<float> ReadFloats(const std::string& path);
std::string ReadText(const std::string& path);

// One prompt of a golden evaluation.
struct GoldenPrompt {
  std::string name;
  std::vector<Token> tokens;
  std::vector<float> logits;  // [tokens][n_vocab]
  std::vector<Token> greedy;
  std::vector<float> greedy_margin;  // best minus second-best logit
};

// One variant ("exact", or "file" where there is no other) of one model.
struct GoldenModel {
  std::string path;  // of the GGUF file
  int n_vocab = 0;
  int64_t context = 0;  // what the reference was run with
  std::vector<GoldenPrompt> prompts;
  // Of stories260K alone: story.txt, how surprising each of its tokens is (see
  // EvalPerplexity), and its perplexity.
  std::vector<Token> story;
  std::vector<float> nll;
  double perplexity = 0;
};

// "f32", "q8_0" or "q4_0" of stories260K; empty prompts when it is absent.
GoldenModel LoadStories(const std::string& tag);
// One of the small random models, one per architecture or variant, as it is
// (tag "") or requantised ("q4_k"); empty prompts when it is absent. `variant`
// is "exact", or "file": with the rounding of the engine that made the values.
GoldenModel LoadOpen(const std::string& model, const std::string& tag,
                     const std::string& variant = "exact");

// One text of an encoder's evaluation.
struct GoldenText {
  std::vector<Token> tokens;
  std::vector<float> hidden;       // [tokens][width]
  std::vector<float> mean, first;  // [width], not normalised
};
struct GoldenEncoder {
  std::string path;
  int64_t context = 0;
  std::vector<GoldenText> texts;
};
// The exact variant of one of the small random encoders; empty texts when it is
// absent.
GoldenEncoder LoadEncoder(const std::string& model);

// Logits of every token of a prompt in slot 0, [tokens][n_vocab], in chunks of
// `chunk` (0 = the session's batch).
std::vector<float> AllLogits(Session& session, const std::vector<Token>& tokens,
                             int64_t chunk = 0);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_GOLDEN_H_
