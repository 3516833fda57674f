#include "models/char_map.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/vocab.h"

namespace weft::inline v0 {
namespace {

constexpr absl::string_view kKey = "tokenizer.ggml.precompiled_charsmap";

absl::Status MapError(const GgufFile& file, absl::string_view value,
                      absl::string_view expected) {
  return MakeVocabError(absl::StatusCode::kInvalidArgument, file,
                        {"TOK-V13", kKey, value, expected});
}

uint32_t ReadUnit(absl::string_view bytes) {
  uint32_t unit = 0;
  for (size_t i = 4; i-- > 0;)
    unit = unit << 8 | static_cast<unsigned char>(bytes[i]);
  return unit;
}

}  // namespace

absl::StatusOr<CharMap> CharMap::Read(const GgufFile& file) {
  CharMap map;
  if (!file.Has(kKey)) return map;
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo info,
                        file.GetArrayInfo(kKey));
  if (info.element != GgufType::kInt8 && info.element != GgufType::kUint8) {
    return MapError(file, absl::StrCat("an array of ", Name(info.element)),
                    "element type uint8 or int8");
  }
  if (info.count == 0) return map;
  WEFT_ASSIGN_OR_RETURN(absl::string_view bytes, file.GetRaw(kKey));
  bytes.remove_prefix(bytes.size() - info.count);
  if (bytes.size() < 4) {
    return MapError(file, absl::StrCat(bytes.size(), " bytes"),
                    "at least 4, the size of its trie");
  }
  const uint32_t size = ReadUnit(bytes);
  bytes.remove_prefix(4);
  if (size % 4 != 0 || size == 0 || size >= bytes.size()) {
    return MapError(
        file, absl::StrCat("a trie of ", size, " bytes in ", bytes.size()),
        "a multiple of 4 that leaves room for the replacements");
  }
  for (size_t i = 0; i < size; i += 4)
    map.units_.push_back(ReadUnit(bytes.substr(i)));
  bytes.remove_prefix(size);
  map.replacements_.assign(bytes.data(), bytes.size());
  if (map.replacements_.back() != '\0') {
    return MapError(file, "without a NUL after the last replacement",
                    "a NUL after each");
  }
  WEFT_RETURN_IF_ERROR(map.Check(file));
  return map;
}

// Visits every node that a text can lead to, so that Find needs no checks.
absl::Status CharMap::Check(const GgufFile& file) const {
  const auto out_of_range = [&](uint64_t index, absl::string_view what) {
    return MapError(
        file, absl::StrCat("a trie that refers to ", what, " ", index),
        absl::StrCat("less than ",
                     what == "unit" ? units_.size() : replacements_.size()));
  };
  std::vector<bool> seen(units_.size());
  std::vector<uint32_t> open = {Offset(units_[0])};  // where children begin
  while (!open.empty()) {
    const uint32_t children = open.back();
    open.pop_back();
    if (children >= units_.size()) return out_of_range(children, "unit");
    for (uint32_t byte = 1; byte < 256; ++byte) {
      const uint32_t child = children ^ byte;
      // A block of the array may be cut off behind its last child.
      if (child >= units_.size()) continue;
      const uint32_t unit = units_[child];
      if (Label(unit) != byte || seen[child]) continue;
      seen[child] = true;
      const uint32_t next = child ^ Offset(unit);
      if (next >= units_.size()) return out_of_range(next, "unit");
      if (HasValue(unit) && Value(units_[next]) >= replacements_.size())
        return out_of_range(Value(units_[next]), "byte of replacements");
      open.push_back(next);
    }
  }
  return absl::OkStatus();
}

CharMap::Match CharMap::Find(absl::string_view text) const {
  Match match;
  if (units_.empty()) return match;
  uint32_t at = Offset(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || Label(units_[at]) != byte) break;
    const uint32_t unit = units_[at];
    at ^= Offset(unit);
    if (!HasValue(unit)) continue;
    // Up to its NUL.
    match = {i + 1, replacements_.c_str() + Value(units_[at])};
  }
  return match;
}

}  // namespace weft::inline v0
