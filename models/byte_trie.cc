#include "models/byte_trie.h"

#include <algorithm>

namespace weft::inline v0 {

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::stable_sort(
      entries.begin(), entries.end(),
      [](const Entry& a, const Entry& b) { return a.text < b.text; });
  // Entries in alphabetical order, so that each level gets its nodes in order;
  // `at` is the node of an entry's beginning so far.
  struct Growing {
    const Entry* entry;
    Node at;
  };
  std::vector<Growing> growing;
  for (const Entry& entry : entries)
    if (!entry.text.empty()) growing.push_back({&entry, kRoot});
  nodes_.emplace_back();
  std::vector<Node> parents = {kNone};
  for (size_t depth = 0; !growing.empty(); ++depth) {
    const size_t level = nodes_.size();
    size_t kept = 0;
    for (Growing grown : growing) {
      const auto byte = static_cast<unsigned char>(grown.entry->text[depth]);
      if (nodes_.size() == level || parents.back() != grown.at ||
          nodes_.back().byte != byte) {
        parents.push_back(grown.at);
        nodes_.push_back({0, kNone, byte});
      }
      grown.at = static_cast<Node>(nodes_.size()) - 1;
      if (grown.entry->text.size() > depth + 1) {
        growing[kept++] = grown;
      } else if (nodes_.back().value == kNone) {
        nodes_.back().value = grown.entry->value;
      }
    }
    growing.resize(kept);
  }
  nodes_.emplace_back();  // the sentinel
  nodes_.shrink_to_fit();
  size_t child = 1;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    while (child < parents.size() && parents[child] < static_cast<Node>(i))
      ++child;
    nodes_[i].first_child = static_cast<Node>(child);
  }
}

ByteTrie::Node ByteTrie::Step(Node node, char byte) const {
  const auto begin =
      nodes_.begin() + nodes_[static_cast<size_t>(node)].first_child;
  const auto end =
      nodes_.begin() + nodes_[static_cast<size_t>(node) + 1].first_child;
  const auto wanted = static_cast<unsigned char>(byte);
  const auto at = std::lower_bound(
      begin, end, wanted,
      [](const Data& child, unsigned char b) { return child.byte < b; });
  if (at == end || at->byte != wanted) return kNone;
  return static_cast<Node>(at - nodes_.begin());
}

}  // namespace weft::inline v0
