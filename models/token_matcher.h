// Finds the texts of special tokens in a text.
#ifndef WEFT_MODELS_TOKEN_MATCHER_H_
#define WEFT_MODELS_TOKEN_MATCHER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// A text to look for. The text is not used after construction.
struct SpecialText {
  absl::string_view text;
  Token token = kNoToken;
  bool only_parsed = false;   // not found unless special tokens are parsed
  bool strip_after = false;   // white space after it belongs to it
  bool strip_before = false;  // white space before it
};

// Part of a text: plain, or the text of a token.
struct TextPart {
  absl::string_view text;
  Token token = kNoToken;  // kNoToken where plain
};

// Cuts texts at the texts of special tokens, as llama.cpp does: the longest
// token takes all that it finds, from the left, the next longest what it finds
// in the rest, and so on; of equally long ones the lower id goes first. That is
// not the leftmost match: with "ab" and "bcd", "abcd" is "a" and "bcd".
//
// llama.cpp looks through the text once for each token. This is an Aho-Corasick
// automaton, whose time depends on the text only: some vocabularies have
// thousands of such tokens. Immutable, so safe to share between threads.
class TokenMatcher {
 public:
  // Empty texts match nothing; of equal texts the lowest token counts. Takes
  // about 20 bytes for each byte of text, and less than 2^31 of them.
  explicit TokenMatcher(std::vector<SpecialText> specials);

  // The parts of `text`, which is shorter than 2^32 bytes, in order, as views
  // of it. No part is empty; white space that was stripped is in none.
  std::vector<TextPart> Split(absl::string_view text, bool parse_special) const;

 private:
  // A special token; they stand in the order in which they take text.
  struct Entry {
    uint32_t size = 0;
    Token token = kNoToken;
    bool strip_after = false;
    bool strip_before = false;
    int32_t node = 0;  // where its text ends
  };
  // A prefix of some special text: a node of the trie. Nodes stand level by
  // level, the children of a node side by side, by byte.
  struct Node {
    int32_t suffix = 0;       // its longest proper suffix that is a node
    int32_t first_child = 0;  // the last is before that of the next node
    // Entry of its longest suffix that is a special text, -1 for none; without
    // and with those that are only parsed.
    std::array<int32_t, 2> longest = {-1, -1};
    unsigned char byte = 0;
  };
  struct Trie;
  class Cutter;

  void BuildTrie(absl::Span<const SpecialText> specials);
  void LinkSuffixes(absl::Span<const int32_t> parents);
  int32_t Child(int32_t node, char byte) const;  // -1 for none
  int32_t Step(int32_t node, char byte) const;
  const Node& At(int32_t node) const {
    return nodes_[static_cast<size_t>(node)];
  }

  std::vector<Entry> entries_;
  std::vector<Node> nodes_;  // the root first, a sentinel last
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_TOKEN_MATCHER_H_
