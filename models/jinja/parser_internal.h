// The parser's parts: expression_parser.cc and parser.cc.
#ifndef WEFT_MODELS_JINJA_PARSER_INTERNAL_H_
#define WEFT_MODELS_JINJA_PARSER_INTERNAL_H_

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/jinja/lexer.h"
#include "models/jinja/node.h"

namespace weft::inline v0::jinja {

// Nodes while they grow, with the depth of the tree below them.
struct Growing {
  std::unique_ptr<Node> node;
  int depth = 1;
};
using MaybeNode = absl::StatusOr<Growing>;

// Reads tokens from the left: statements, and in them expressions by the
// precedences of Jinja.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  absl::StatusOr<NodePtr> Run();

 private:
  static constexpr int kMaxNesting = 200;

  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool IsOperator(absl::string_view text) const;
  bool IsName(absl::string_view text) const;
  // Takes the next token if it is that.
  bool TakeOperator(absl::string_view text);
  bool TakeName(absl::string_view text);
  absl::Status ExpectOperator(absl::string_view text);
  absl::StatusOr<std::string> ExpectName();
  Token Take();

  absl::Status Error(absl::string_view what) const;
  absl::Status Unexpected(absl::string_view expected) const;
  absl::Status NestingError() const;

  static Growing Make(Node::Kind kind, const Position& at,
                      std::string text = "");
  // Gives `parent` another child, or none where it is null.
  absl::Status Adopt(Growing& parent, Growing child) const;
  static void AdoptNull(Growing& parent);

  MaybeNode ParseExpression(bool with_choice = true);
  // With commas: a tuple. Without the choice "if" is left for a loop's head.
  MaybeNode ParseTuple(bool with_choice = true);
  MaybeNode ParseTarget();
  // The filters that follow, around `inner`.
  MaybeNode ParseFilters(Growing inner);
  absl::Status ParseArguments(Growing& call);

  // parser.cc
  bool AtDivider() const;
  MaybeNode ParseBlock();
  MaybeNode ParseStatement();
  MaybeNode ParseTag(const Position& at);
  absl::Status EndTag();
  MaybeNode ParseBody(absl::string_view end);
  absl::Status ExpectTag(absl::string_view name);
  MaybeNode ParseIf(const Position& at);
  MaybeNode ParseFor(const Position& at);
  MaybeNode ParseSet(const Position& at);
  absl::Status ParseParameters(Growing& macro, std::vector<Growing>& defaults);
  absl::Status ParseMacroBody(Growing& macro, std::vector<Growing> defaults,
                              absl::string_view end);
  MaybeNode ParseMacro(const Position& at);
  MaybeNode ParseCallBlock(const Position& at);
  MaybeNode ParseFilterBlock(const Position& at);
  MaybeNode ParseWith(const Position& at);

  // expression_parser.cc
  class Depth;
  MaybeNode ParseOr();
  MaybeNode ParseAnd();
  MaybeNode ParseNot();
  MaybeNode ParseCompare();
  MaybeNode ParseSum();
  MaybeNode ParseConcat();
  MaybeNode ParseProduct();
  MaybeNode ParsePower();
  MaybeNode ParseUnary(bool with_filter = true);
  MaybeNode ParsePrimary();
  MaybeNode ParsePostfix(Growing inner);
  MaybeNode ParseSubscript(Growing inner);
  MaybeNode ParseFiltersAndTests(Growing inner);
  MaybeNode ParseTest(Growing inner);
  MaybeNode ParseBrackets();
  MaybeNode ParseDict();
  MaybeNode ParseNumber();
  using Parse = MaybeNode (Parser::*)();
  MaybeNode ParseChain(Parse next, std::initializer_list<const char*> operators,
                       bool by_name);

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int depth_ = 0;
  int loops_ = 0;   // that the statement is in
  int blocks_ = 0;  // and blocks
};

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_PARSER_INTERNAL_H_
