#include "models/grammar/token_trie.h"

#include <algorithm>

namespace weft::inline v0 {

TokenTrie::TokenTrie(const TokenPieces& pieces) {
  for (Token token = 0; token < pieces.size(); ++token)
    if (!pieces[token].empty() && !pieces.EndsText(token))
      tokens_.push_back(token);
  std::sort(tokens_.begin(), tokens_.end(), [&](Token a, Token b) {
    const absl::string_view at_a = pieces[a], at_b = pieces[b];
    return at_a != at_b ? at_a < at_b : a < b;
  });
  std::vector<uint32_t> path;  // nodes from the root to the last text's end
  absl::string_view last;
  const auto close = [&](size_t depth) {
    for (; path.size() > depth; path.pop_back())
      nodes_[path.back()].skip = static_cast<uint32_t>(nodes_.size());
  };
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const absl::string_view text = pieces[tokens_[i]];
    const size_t most = std::min(text.size(), last.size());
    const auto same = static_cast<size_t>(
        std::mismatch(text.begin(), text.begin() + most, last.begin()).first -
        text.begin());
    close(same);
    for (size_t depth = same; depth < text.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({0, static_cast<uint32_t>(i),
                        static_cast<unsigned char>(text[depth]),
                        static_cast<uint32_t>(depth + 1) & 0xFFFFFF});
    }
    nodes_[path.back()].tokens_end = static_cast<uint32_t>(i + 1);
    depth_ = std::max(depth_, text.size());
    last = text;
  }
  close(0);
  nodes_.shrink_to_fit();
}

}  // namespace weft::inline v0
