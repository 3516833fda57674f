// A trie over the bytes of texts.
#ifndef WEFT_MODELS_BYTE_TRIE_H_
#define WEFT_MODELS_BYTE_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// Finds the texts that another text begins with, walking it byte by byte. Takes
// about 12 bytes for each byte of its texts at most, fewer where they share
// beginnings. Immutable, so safe to share between threads.
class ByteTrie {
 public:
  struct Entry {
    absl::string_view text;  // not used after construction
    int32_t value;           // not negative
  };
  static constexpr int32_t kNone = -1;

  // Empty texts are left out; of equal ones the first counts. Less than 2^31
  // bytes altogether.
  explicit ByteTrie(std::vector<Entry> entries);

  // A place in the trie: a text that some entry begins with.
  using Node = int32_t;
  static constexpr Node kRoot = 0;
  // Where `byte` leads, kNone where to nowhere.
  Node Step(Node node, char byte) const;
  // The value of the entry that ends here, kNone for none.
  int32_t Value(Node node) const {
    return nodes_[static_cast<size_t>(node)].value;
  }

 private:
  // Nodes stand level by level, the children of one side by side, by byte.
  struct Data {
    int32_t first_child = 0;  // the last is before that of the next node
    int32_t value = kNone;
    unsigned char byte = 0;
  };
  std::vector<Data> nodes_;  // the root first, a sentinel last
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_BYTE_TRIE_H_
