#include "models/grammar/code.h"

#include <algorithm>
#include <string>

#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

constexpr uint32_t kLastCodePoint = 0x10FFFF;

int32_t Size(const Code& code) { return static_cast<int32_t>(code.size()); }

// Sorted, without overlaps.
CodePointRanges Merged(CodePointRanges ranges) {
  std::sort(ranges.begin(), ranges.end());
  CodePointRanges merged;
  for (const auto& [low, high] : ranges) {
    if (low > high) continue;
    if (!merged.empty() && low <= merged.back().second + 1)
      merged.back().second = std::max(merged.back().second, high);
    else
      merged.emplace_back(low, high);
  }
  return merged;
}

CodePointRanges Complement(const CodePointRanges& merged) {
  CodePointRanges out;
  uint32_t next = 0;
  for (const auto& [low, high] : merged) {
    if (low > next) out.emplace_back(next, low - 1);
    next = high + 1;
  }
  if (next <= kLastCodePoint) out.emplace_back(next, kLastCodePoint);
  return out;
}

// Ranges of code points of `size` bytes as sequences of ranges of bytes: cut so
// that all bytes but the first differing one span their whole range.
void AppendSequences(uint32_t low, uint32_t high, int size,
                     std::vector<Code>& out) {
  for (int i = 1; i < size; ++i) {
    const uint32_t rest = (1u << (6 * i)) - 1;
    if ((low & ~rest) == (high & ~rest)) continue;
    if ((low & rest) != 0) {
      AppendSequences(low, low | rest, size, out);
      return AppendSequences((low | rest) + 1, high, size, out);
    }
    if ((high & rest) != rest) {
      AppendSequences(low, (high & ~rest) - 1, size, out);
      return AppendSequences(high & ~rest, high, size, out);
    }
  }
  std::string from, to;
  AppendUtf8(low, from);
  AppendUtf8(high, to);
  Code code;
  for (size_t i = 0; i < from.size(); ++i)
    code.push_back({Inst::kByte, static_cast<uint8_t>(from[i]),
                    static_cast<uint8_t>(to[i])});
  out.push_back(std::move(code));
}

}  // namespace

void AppendCode(const Code& more, Code& out) {
  out.insert(out.end(), more.begin(), more.end());
}

void AppendLiteral(absl::string_view bytes, Code& out) {
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    out.push_back({Inst::kByte, byte, byte});
  }
}

Code Alternatives(std::vector<Code> choices) {
  if (choices.size() == 1) return std::move(choices[0]);
  int32_t end = 0;
  for (const Code& code : choices) end += Size(code) + 2;
  end -= 2;  // the last needs neither split nor jump
  Code out;
  out.reserve(static_cast<size_t>(end));
  for (size_t i = 0; i < choices.size(); ++i) {
    const bool last = i + 1 == choices.size();
    if (!last) out.push_back({Inst::kSplit, 0, 0, 1, Size(choices[i]) + 2});
    AppendCode(choices[i], out);
    if (!last) out.push_back({Inst::kJump, 0, 0, end - Size(out)});
  }
  return out;
}

int64_t RepeatedSize(const Code& code, int64_t min, int64_t max) {
  const auto size = static_cast<int64_t>(code.size());
  return max < 0 ? min * size + size + 2
                 : min * size + (max - min) * (size + 1);
}

Code Repeated(const Code& code, int64_t min, int64_t max) {
  Code out;
  for (int64_t i = 0; i < min; ++i) AppendCode(code, out);
  const int32_t size = Size(code);
  if (max < 0) {
    out.push_back({Inst::kSplit, 0, 0, 1, size + 2});
    AppendCode(code, out);
    out.push_back({Inst::kJump, 0, 0, -(size + 1)});
    return out;
  }
  const auto end = static_cast<int32_t>(RepeatedSize(code, min, max));
  for (int64_t i = min; i < max; ++i) {
    out.push_back({Inst::kSplit, 0, 0, 1, end - Size(out)});
    AppendCode(code, out);
  }
  return out;
}

Code CharacterCode(CodePointRanges ranges, bool negated) {
  ranges = Merged(std::move(ranges));
  if (negated) ranges = Complement(ranges);
  // By the length of the encoding; the surrogates have none.
  constexpr struct {
    uint32_t low, high;
    int size;
  } kLengths[] = {{0, 0x7F, 1},
                  {0x80, 0x7FF, 2},
                  {0x800, 0xD7FF, 3},
                  {0xE000, 0xFFFF, 3},
                  {0x10000, kLastCodePoint, 4}};
  std::vector<Code> choices;
  for (const auto& [low, high] : ranges) {
    for (const auto& length : kLengths) {
      const uint32_t from = std::max(low, length.low);
      const uint32_t to = std::min(high, length.high);
      if (from <= to) AppendSequences(from, to, length.size, choices);
    }
  }
  // An empty range of bytes is never matched.
  if (choices.empty()) return {{Inst::kByte, 1, 0}};
  return Alternatives(std::move(choices));
}

}  // namespace weft::inline v0
