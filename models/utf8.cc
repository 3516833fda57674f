#include "models/utf8.h"

#include <cstdint>
#include <utility>

namespace weft::inline v0 {
namespace {

// What may follow a first byte: how many continuation bytes, and the range of
// the first of them, which is narrower where 80..BF would be overlong (E0, F0),
// a surrogate (ED) or above U+10FFFF (F4).
struct Follow {
  uint8_t count;  // 0: the byte cannot begin a character of several bytes
  uint8_t low = 0x80;
  uint8_t high = 0xBF;
};

Follow FollowOf(uint8_t lead) {
  if (lead < 0xC2 || lead > 0xF4) return {0};
  if (lead < 0xE0) return {1};
  if (lead == 0xE0) return {2, 0xA0, 0xBF};
  if (lead == 0xED) return {2, 0x80, 0x9F};
  if (lead < 0xF0) return {2};
  if (lead == 0xF0) return {3, 0x90, 0xBF};
  if (lead == 0xF4) return {3, 0x80, 0x8F};
  return {3};
}

}  // namespace

Utf8Prefix ReadUtf8(absl::string_view text) {
  const uint8_t lead = static_cast<uint8_t>(text[0]);
  if (lead < 0x80) return {Utf8Prefix::kCharacter, 1};
  Follow follow = FollowOf(lead);
  if (follow.count == 0) return {Utf8Prefix::kInvalid, 1};
  for (size_t i = 1; i <= follow.count; ++i) {
    if (i == text.size()) return {Utf8Prefix::kIncomplete, i};
    const uint8_t byte = static_cast<uint8_t>(text[i]);
    if (byte < follow.low || byte > follow.high) {
      return {Utf8Prefix::kInvalid, i};
    }
    follow.low = 0x80;
    follow.high = 0xBF;
  }
  return {Utf8Prefix::kCharacter, size_t{1} + follow.count};
}

uint32_t DecodeUtf8(absl::string_view character) {
  const auto lead = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return lead;
  uint32_t code = lead & (0xFFu >> (character.size() + 1));
  for (const char c : character.substr(1))
    code = code << 6 | (static_cast<uint8_t>(c) & 0x3F);
  return code;
}

void AppendUtf8(uint32_t c, std::string& out) {
  const auto byte = [](uint32_t lead, uint32_t bits) {
    return static_cast<char>(lead | bits);
  };
  const auto rest = [&](int shift) { return byte(0x80, c >> shift & 0x3F); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += {byte(0xC0, c >> 6), rest(0)};
  } else if (c < 0x10000) {
    out += {byte(0xE0, c >> 12), rest(6), rest(0)};
  } else {
    out += {byte(0xF0, c >> 18), rest(12), rest(6), rest(0)};
  }
}

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    const Utf8Prefix prefix = ReadUtf8(text);
    if (prefix.kind != Utf8Prefix::kCharacter) return false;
    text.remove_prefix(prefix.size);
  }
  return true;
}

std::string Utf8Stream::Push(absl::string_view piece) {
  held_.append(piece.data(), piece.size());
  const std::string bytes = std::exchange(held_, std::string());
  std::string shown;
  shown.reserve(bytes.size());
  absl::string_view rest = bytes;
  while (!rest.empty()) {
    const Utf8Prefix prefix = ReadUtf8(rest);
    const absl::string_view front = rest.substr(0, prefix.size);
    rest.remove_prefix(prefix.size);
    switch (prefix.kind) {
      case Utf8Prefix::kCharacter:
        shown.append(front.data(), front.size());
        break;
      case Utf8Prefix::kInvalid:
        shown.append(kReplacementCharacter.data(),
                     kReplacementCharacter.size());
        break;
      case Utf8Prefix::kIncomplete:  // only at the end
        held_.assign(front.data(), front.size());
        break;
    }
  }
  return shown;
}

std::string Utf8Stream::Finish() {
  const bool incomplete = !std::exchange(held_, std::string()).empty();
  return incomplete ? std::string(kReplacementCharacter) : std::string();
}

}  // namespace weft::inline v0
