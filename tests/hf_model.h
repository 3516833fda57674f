// Models as directories of safetensors, made from GGUF files: what a converter
// does, backwards.
#ifndef WEFT_TESTS_HF_MODEL_H_
#define WEFT_TESTS_HF_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "models/gguf.h"
#include "nlohmann/json.hpp"

namespace weft::inline v0 {

struct SafeSpec {
  std::string name;
  std::string dtype;  // "F16"
  std::vector<int64_t> shape;
  std::string data;
};

// Length, header and data; `header` is changed before it is written.
nlohmann::json SafeHeader(const std::vector<SafeSpec>& tensors);
std::string SafeBytes(const nlohmann::json& header, const std::string& data);
std::string SafeBytes(const std::vector<SafeSpec>& tensors);

struct HfModel {
  nlohmann::json config, tokenizer, tokenizer_config;
  std::vector<SafeSpec> tensors;

  // Writes all into a new folder of this process, in so many shards.
  std::string Write(const std::string& name, size_t shards = 1) const;
};

// A qwen2 of one layer, 8 wide, of zeros, without a tokenizer: small enough to
// break in many ways.
HfModel SmallHfModel();
// Of llama, qwen2, qwen3, gemma2 and gemma3, with matrices as they are (f16,
// bf16 or f32).
HfModel HfModelFrom(const GgufFile& file);
// tokenizer.json alone; for SentencePiece with the merges that its scores mean.
nlohmann::json HfTokenizerFrom(const GgufFile& file);

}  // namespace weft::inline v0

#endif  // WEFT_TESTS_HF_MODEL_H_
