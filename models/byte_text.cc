#include "models/byte_text.h"

#include <array>
#include <cstdint>

#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

constexpr int kCharacters = 256 + 68;

constexpr bool IsPrintable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

struct Tables {
  std::array<uint16_t, 256> character = {};    // by byte
  std::array<int16_t, kCharacters> byte = {};  // by character, -1 for none

  constexpr Tables() {
    byte.fill(-1);
    uint16_t next = 256;
    for (int i = 0; i < 256; ++i) {
      const auto c = IsPrintable(i) ? static_cast<uint16_t>(i) : next++;
      character[static_cast<size_t>(i)] = c;
      byte[c] = static_cast<int16_t>(i);
    }
  }
};

constexpr Tables kTables;

// The character of one or two bytes; larger ones are not needed.
uint32_t Decode(absl::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  if (character.size() == 1) return lead;
  if (character.size() > 2) return kCharacters;
  return (lead & 0x1Fu) << 6 |
         (static_cast<unsigned char>(character[1]) & 0x3F);
}

}  // namespace

std::string BytesToText(absl::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char byte : bytes) {
    const uint16_t c = kTables.character[static_cast<unsigned char>(byte)];
    if (c < 0x80) {
      text += static_cast<char>(c);
    } else {
      text += static_cast<char>(0xC0 | c >> 6);
      text += static_cast<char>(0x80 | (c & 0x3F));
    }
  }
  return text;
}

std::string TextToBytes(absl::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  while (!text.empty()) {
    const Utf8Prefix prefix = ReadUtf8(text);
    const absl::string_view front = text.substr(0, prefix.size);
    const uint32_t c = prefix.kind == Utf8Prefix::kCharacter
                           ? Decode(front)
                           : uint32_t{kCharacters};
    if (c < kCharacters && kTables.byte[c] >= 0) {
      bytes += static_cast<char>(kTables.byte[c]);
    } else {
      bytes.append(front.data(), front.size());
    }
    text.remove_prefix(prefix.size);
  }
  return bytes;
}

}  // namespace weft::inline v0
