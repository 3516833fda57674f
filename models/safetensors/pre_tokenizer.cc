#include "models/safetensors/pre_tokenizer.h"

#include "absl/strings/str_cat.h"

namespace weft::inline v0 {
namespace {

std::string DescribeStep(const JsonValue& step) {
  const JsonValue* type = step.Find("type");
  if (type == nullptr || !type->is_string()) return "?";
  const std::string& name = type->string();
  if (name == "ByteLevel") {
    const JsonValue* split = step.Find("use_regex");
    return split == nullptr || split->is_true() ? "ByteLevel*" : "ByteLevel";
  }
  if (name != "Split") return name;
  const JsonValue* pattern = step.Find("pattern");
  const JsonValue* regex =
      pattern == nullptr ? nullptr : pattern->Find("Regex");
  if (regex == nullptr || !regex->is_string()) return name;
  return absl::StrCat(name, ":", regex->string());
}

struct Known {
  absl::string_view steps;
  absl::string_view pre;
  bool ignore_merges = false;
};
constexpr absl::string_view kLlama3 =
    R"(Split:(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s++ByteLevel)";
constexpr absl::string_view kQwen2 =
    R"(Split:(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s++ByteLevel)";
constexpr absl::string_view kTekken =
    R"(Split:[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s++ByteLevel)";
constexpr absl::string_view kGpt4o =
    R"(Split:[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s++ByteLevel)";
// Where a name is there twice, its first line is taken when neither fits.
constexpr Known kKnown[] = {{kLlama3, "llama-bpe", true},
                            {kLlama3, "smaug-bpe"},
                            {kQwen2, "qwen2"},
                            {kTekken, "tekken", true},
                            {kGpt4o, "gpt-4o"},
                            {"ByteLevel*", "gpt-2"},
                            {"Digits+ByteLevel*", "smollm"}};

}  // namespace

std::string DescribeSteps(const JsonValue* steps) {
  if (steps == nullptr || !steps->is_object()) return "";
  // A sequence lists its steps under a name that depends on what it is of.
  for (const char* name : {"pretokenizers", "normalizers"}) {
    const JsonValue* list = steps->Find(name);
    if (list == nullptr || !list->is_list()) continue;
    std::string all;
    for (const JsonValue& step : list->items())
      absl::StrAppend(&all, all.empty() ? "" : "+", DescribeStep(step));
    return all;
  }
  return DescribeStep(*steps);
}

absl::string_view PreTokenizerOf(absl::string_view steps, bool ignore_merges) {
  absl::string_view found;
  for (const Known& known : kKnown) {
    if (known.steps != steps) continue;
    if (known.ignore_merges == ignore_merges) return known.pre;
    if (found.empty()) found = known.pre;
  }
  return found;
}

}  // namespace weft::inline v0
