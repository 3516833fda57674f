// What each architecture's files hold: metadata and tensors for made-up models.
#ifndef WEFT_TOOLS_SYNTH_SHAPES_H_
#define WEFT_TOOLS_SYNTH_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/gguf_key_values.h"

namespace weft::inline v0 {

struct SynthModel {
  std::string name;
  int64_t layers = 0;
  int64_t width = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t ff = 0;  // width of the feed-forward part
  int64_t context = 0;
  int64_t vocab = 0;    // tokens
  int64_t experts = 0;  // of each layer; 0: as many as ShapeOf() has by itself
  float rope_base = 10000;
  std::string arch = "llama";  // general.architecture

  int64_t head_size() const { return width / heads; }
};

// Values are N(mean, spread^2).
struct SynthTensor {
  std::string name;
  std::vector<int64_t> dims;  // slowest first
  float mean = 0;
  float spread = 1;
};

struct SynthShape {
  GgufKeyValues keys;  // of the architecture, without general.* and tokenizer.*
  std::vector<SynthTensor> tensors;
  int64_t experts = 0;
};

// The architectures that can be made up: "bert, deepseek2, ...".
std::string SynthArchitectures();

// InvalidArgument lists the architectures when the model's is none of them, or
// says that it has no experts. A llama that has some is what Mixtral is.
absl::StatusOr<SynthShape> ShapeOf(const SynthModel& model);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_SYNTH_SHAPES_H_
