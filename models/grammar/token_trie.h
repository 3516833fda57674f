// The texts of a vocabulary as a tree, to be walked from front to back.
#ifndef WEFT_MODELS_GRAMMAR_TOKEN_TRIE_H_
#define WEFT_MODELS_GRAMMAR_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/sampling/token_pieces.h"

namespace weft::inline v0 {

// Tokens that begin alike share what they begin with. Nodes stand in preorder,
// a node's children behind it, so that one pass in memory's order visits all of
// them, and what a node begins is left out by one step to `skip`. 12 bytes for
// each byte of the texts at most, fewer where they share beginnings. Immutable,
// so safe to share between threads.
class TokenTrie {
 public:
  // Of the tokens with a text, but for those that end the text.
  explicit TokenTrie(const TokenPieces& pieces);

  struct Node {  // A prefix of tokens.
    uint32_t skip;        // the next node that does not lie below this one
    uint32_t tokens_end;  // see TokensAt
    uint32_t byte : 8, depth : 24;  // depth 1: a token's first byte
  };
  absl::Span<const Node> nodes() const { return nodes_; }
  size_t depth() const { return depth_; }  // of the deepest node
  // Tokens whose text ends here.
  absl::Span<const Token> TokensAt(size_t node) const {
    const uint32_t begin = node == 0 ? 0 : nodes_[node - 1].tokens_end;
    return absl::MakeConstSpan(tokens_).subspan(
        begin, nodes_[node].tokens_end - begin);
  }

 private:
  std::vector<Node> nodes_;
  std::vector<Token> tokens_;  // by text
  size_t depth_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_TOKEN_TRIE_H_
