#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/jinja/parser_internal.h"

namespace weft::inline v0::jinja {

// Counts how deep the parser is within itself.
class Parser::Depth {
 public:
  explicit Depth(int& depth) : depth_(depth) { ++depth_; }
  ~Depth() { --depth_; }
  bool TooDeep() const { return depth_ > kMaxNesting; }

 private:
  int& depth_;
};

bool Parser::IsOperator(absl::string_view text) const {
  return Peek().kind == Token::kOperator && Peek().text == text;
}

bool Parser::IsName(absl::string_view text) const {
  return Peek().kind == Token::kName && Peek().text == text;
}

bool Parser::TakeOperator(absl::string_view text) {
  if (!IsOperator(text)) return false;
  ++at_;
  return true;
}

bool Parser::TakeName(absl::string_view text) {
  if (!IsName(text)) return false;
  ++at_;
  return true;
}

Token Parser::Take() {
  Token token = Peek();
  if (token.kind != Token::kEnd) ++at_;
  return token;
}

absl::Status Parser::ExpectOperator(absl::string_view text) {
  if (TakeOperator(text)) return absl::OkStatus();
  return Unexpected(absl::StrCat("\"", text, "\""));
}

absl::StatusOr<std::string> Parser::ExpectName() {
  if (Peek().kind != Token::kName) return Unexpected("a name");
  return Take().text;
}

absl::Status Parser::Error(absl::string_view what) const {
  return TemplateError(Peek().at, what);
}

absl::Status Parser::Unexpected(absl::string_view expected) const {
  const Token& token = Peek();
  std::string found = QuoteInput(token.text);
  if (token.kind == Token::kEnd) found = "the end of the template";
  if (token.kind == Token::kText) found = "text";
  if (token.kind == Token::kBlockBegin) found = "\"{%\"";
  if (token.kind == Token::kBlockEnd) found = "\"%}\"";
  if (token.kind == Token::kPrintBegin) found = "\"{{\"";
  if (token.kind == Token::kPrintEnd) found = "\"}}\"";
  return Error(absl::StrCat("expected ", expected, ", found ", found));
}

absl::Status Parser::NestingError() const {
  const Position& at = Peek().at;
  return absl::ResourceExhaustedError(
      absl::StrCat("JINJA-3: line ", at.line, ", column ", at.column,
                   ": nesting of more than ", kMaxNesting));
}

Growing Parser::Make(Node::Kind kind, const Position& at, std::string text) {
  Growing made;
  made.node = std::make_unique<Node>(Node{kind, at, std::move(text)});
  return made;
}

absl::Status Parser::Adopt(Growing& parent, Growing child) const {
  parent.depth = std::max(parent.depth, 1 + child.depth);
  parent.node->children.push_back(std::move(child.node));
  return parent.depth > kMaxNesting ? NestingError() : absl::OkStatus();
}

void Parser::AdoptNull(Growing& parent) {
  parent.node->children.push_back(nullptr);
}

MaybeNode Parser::ParseExpression(bool with_choice) {
  const Depth depth(depth_);
  if (depth.TooDeep()) return NestingError();
  WEFT_ASSIGN_OR_RETURN(Growing left, ParseOr());
  while (with_choice && IsName("if")) {
    Growing choice = Make(Node::kChoice, Take().at);
    WEFT_ASSIGN_OR_RETURN(Growing condition, ParseOr());
    WEFT_RETURN_IF_ERROR(Adopt(choice, std::move(left)));
    WEFT_RETURN_IF_ERROR(Adopt(choice, std::move(condition)));
    if (TakeName("else")) {
      WEFT_ASSIGN_OR_RETURN(Growing other, ParseExpression());
      WEFT_RETURN_IF_ERROR(Adopt(choice, std::move(other)));
    } else {
      AdoptNull(choice);
    }
    left = std::move(choice);
  }
  return left;
}

MaybeNode Parser::ParseTuple(bool with_choice) {
  WEFT_ASSIGN_OR_RETURN(Growing first, ParseExpression(with_choice));
  if (!IsOperator(",")) return first;
  Growing tuple = Make(Node::kTuple, Peek().at);
  WEFT_RETURN_IF_ERROR(Adopt(tuple, std::move(first)));
  while (TakeOperator(",")) {
    const Token::Kind kind = Peek().kind;
    if (kind == Token::kBlockEnd || kind == Token::kPrintEnd || IsOperator(")"))
      break;
    WEFT_ASSIGN_OR_RETURN(Growing next, ParseExpression(with_choice));
    WEFT_RETURN_IF_ERROR(Adopt(tuple, std::move(next)));
  }
  return tuple;
}

MaybeNode Parser::ParseTarget() {
  const auto one = [this]() -> MaybeNode {
    const Position at = Peek().at;
    if (TakeOperator("(")) {
      WEFT_ASSIGN_OR_RETURN(Growing inner, ParseTarget());
      WEFT_RETURN_IF_ERROR(ExpectOperator(")"));
      return inner;
    }
    WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
    Growing target = Make(Node::kName, at, std::move(name));
    if (!TakeOperator(".")) return target;
    WEFT_ASSIGN_OR_RETURN(std::string attribute, ExpectName());
    Growing member = Make(Node::kAttribute, at, std::move(attribute));
    WEFT_RETURN_IF_ERROR(Adopt(member, std::move(target)));
    return member;
  };
  const Depth depth(depth_);
  if (depth.TooDeep()) return NestingError();
  WEFT_ASSIGN_OR_RETURN(Growing first, one());
  if (!IsOperator(",")) return first;
  Growing tuple = Make(Node::kTuple, Peek().at);
  WEFT_RETURN_IF_ERROR(Adopt(tuple, std::move(first)));
  while (TakeOperator(",")) {
    if (Peek().kind != Token::kName && !IsOperator("(")) break;
    WEFT_ASSIGN_OR_RETURN(Growing next, one());
    WEFT_RETURN_IF_ERROR(Adopt(tuple, std::move(next)));
  }
  return tuple;
}

MaybeNode Parser::ParseChain(Parse next,
                             std::initializer_list<const char*> operators,
                             bool by_name) {
  WEFT_ASSIGN_OR_RETURN(Growing left, (this->*next)());
  while (true) {
    const auto found =
        std::find_if(operators.begin(), operators.end(), [&](const char* text) {
          return by_name ? IsName(text) : IsOperator(text);
        });
    if (found == operators.end()) return left;
    Growing binary = Make(Node::kBinary, Take().at, *found);
    WEFT_RETURN_IF_ERROR(Adopt(binary, std::move(left)));
    WEFT_ASSIGN_OR_RETURN(Growing right, (this->*next)());
    WEFT_RETURN_IF_ERROR(Adopt(binary, std::move(right)));
    left = std::move(binary);
  }
}

MaybeNode Parser::ParseOr() {
  return ParseChain(&Parser::ParseAnd, {"or"}, true);
}
MaybeNode Parser::ParseAnd() {
  return ParseChain(&Parser::ParseNot, {"and"}, true);
}
MaybeNode Parser::ParseSum() {
  return ParseChain(&Parser::ParseConcat, {"+", "-"}, false);
}
MaybeNode Parser::ParseConcat() {
  return ParseChain(&Parser::ParseProduct, {"~"}, false);
}
MaybeNode Parser::ParseProduct() {
  return ParseChain(&Parser::ParsePower, {"*", "/", "//", "%"}, false);
}
MaybeNode Parser::ParsePower() {
  const Depth depth(depth_);
  if (depth.TooDeep()) return NestingError();
  WEFT_ASSIGN_OR_RETURN(Growing left, ParseUnary());
  while (IsOperator("**")) {
    Growing power = Make(Node::kBinary, Take().at, "**");
    WEFT_RETURN_IF_ERROR(Adopt(power, std::move(left)));
    WEFT_ASSIGN_OR_RETURN(Growing right, ParseUnary());
    WEFT_RETURN_IF_ERROR(Adopt(power, std::move(right)));
    left = std::move(power);
  }
  return left;
}

MaybeNode Parser::ParseNot() {
  if (!IsName("not")) return ParseCompare();
  const Depth depth(depth_);
  if (depth.TooDeep()) return NestingError();
  Growing negation = Make(Node::kUnary, Take().at, "not");
  WEFT_ASSIGN_OR_RETURN(Growing inner, ParseNot());
  WEFT_RETURN_IF_ERROR(Adopt(negation, std::move(inner)));
  return negation;
}

MaybeNode Parser::ParseCompare() {
  WEFT_ASSIGN_OR_RETURN(Growing left, ParseSum());
  Growing compare;
  while (true) {
    const Position at = Peek().at;
    std::string name;
    for (const char* op : {"==", "!=", "<=", ">=", "<", ">"})
      if (name.empty() && IsOperator(op)) name = op;
    if (name.empty() && IsName("in")) name = "in";
    if (!name.empty()) {
      Take();
    } else if (IsName("not") && Peek(1).kind == Token::kName &&
               Peek(1).text == "in") {
      Take();
      Take();
      name = "not in";
    } else {
      break;
    }
    if (compare.node == nullptr) {
      compare = Make(Node::kCompare, at);
      WEFT_RETURN_IF_ERROR(Adopt(compare, std::move(left)));
    }
    compare.node->names.push_back(name);
    WEFT_ASSIGN_OR_RETURN(Growing right, ParseSum());
    WEFT_RETURN_IF_ERROR(Adopt(compare, std::move(right)));
  }
  return compare.node == nullptr ? std::move(left) : std::move(compare);
}

MaybeNode Parser::ParseUnary(bool with_filter) {
  const Depth depth(depth_);
  if (depth.TooDeep()) return NestingError();
  Growing made;
  if (IsOperator("-") || IsOperator("+")) {
    const Token sign = Take();
    made = Make(Node::kUnary, sign.at, sign.text);
    WEFT_ASSIGN_OR_RETURN(Growing inner, ParseUnary(false));
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(inner)));
  } else {
    WEFT_ASSIGN_OR_RETURN(made, ParsePrimary());
  }
  WEFT_ASSIGN_OR_RETURN(made, ParsePostfix(std::move(made)));
  if (with_filter) return ParseFiltersAndTests(std::move(made));
  return made;
}

MaybeNode Parser::ParseNumber() {
  const Token token = Take();
  Growing made = Make(Node::kConstant, token.at);
  int64_t integer = 0;
  double number = 0;
  if (token.kind == Token::kInteger && absl::SimpleAtoi(token.text, &integer)) {
    made.node->value = integer;
  } else if (token.kind == Token::kFloat &&
             absl::SimpleAtod(token.text, &number)) {
    made.node->value = number;
  } else {
    return TemplateError(token.at, absl::StrCat("a number that is too large: ",
                                                QuoteInput(token.text)));
  }
  return made;
}

MaybeNode Parser::ParsePrimary() {
  const Token& token = Peek();
  if (token.kind == Token::kInteger || token.kind == Token::kFloat)
    return ParseNumber();
  if (token.kind == Token::kString) {
    const Position at = token.at;
    std::string text;
    while (Peek().kind == Token::kString) text += Take().text;
    Growing made = Make(Node::kConstant, at);
    made.node->value = Value(std::move(text));
    return made;
  }
  if (token.kind == Token::kName) {
    const Token name = Take();
    Growing made = Make(Node::kConstant, name.at);
    if (name.text == "true" || name.text == "True") {
      made.node->value = true;
    } else if (name.text == "false" || name.text == "False") {
      made.node->value = false;
    } else if (name.text == "none" || name.text == "None") {
      made.node->value = Value::None();
    } else {
      made = Make(Node::kName, name.at, name.text);
    }
    return made;
  }
  if (IsOperator("(") || IsOperator("[")) return ParseBrackets();
  if (IsOperator("{")) return ParseDict();
  return Unexpected("an expression");
}

MaybeNode Parser::ParseBrackets() {
  const Token open = Take();
  const bool is_list = open.text == "[";
  const char* close = is_list ? "]" : ")";
  Growing items = Make(is_list ? Node::kList : Node::kTuple, open.at);
  bool comma = false;
  while (!IsOperator(close)) {
    WEFT_ASSIGN_OR_RETURN(Growing item, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(items, std::move(item)));
    if (!TakeOperator(",")) break;
    comma = true;
  }
  WEFT_RETURN_IF_ERROR(ExpectOperator(close));
  if (is_list || comma || items.node->children.empty()) return items;
  // Brackets around one expression.
  Growing inner;
  inner.node.reset(const_cast<Node*>(items.node->children[0].release()));
  inner.depth = items.depth - 1;
  return inner;
}

MaybeNode Parser::ParseDict() {
  Growing dict = Make(Node::kDict, Take().at);
  while (!IsOperator("}")) {
    WEFT_ASSIGN_OR_RETURN(Growing key, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(dict, std::move(key)));
    WEFT_RETURN_IF_ERROR(ExpectOperator(":"));
    WEFT_ASSIGN_OR_RETURN(Growing value, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(dict, std::move(value)));
    if (!TakeOperator(",")) break;
  }
  WEFT_RETURN_IF_ERROR(ExpectOperator("}"));
  return dict;
}

MaybeNode Parser::ParsePostfix(Growing inner) {
  while (true) {
    const Position at = Peek().at;
    if (TakeOperator(".")) {
      if (Peek().kind != Token::kName && Peek().kind != Token::kInteger)
        return Unexpected("a name");
      Growing attribute = Make(Node::kAttribute, at, Take().text);
      WEFT_RETURN_IF_ERROR(Adopt(attribute, std::move(inner)));
      inner = std::move(attribute);
    } else if (IsOperator("[")) {
      WEFT_ASSIGN_OR_RETURN(inner, ParseSubscript(std::move(inner)));
    } else if (IsOperator("(")) {
      Growing call = Make(Node::kCall, at);
      WEFT_RETURN_IF_ERROR(Adopt(call, std::move(inner)));
      WEFT_RETURN_IF_ERROR(ParseArguments(call));
      inner = std::move(call);
    } else {
      return inner;
    }
  }
}

MaybeNode Parser::ParseSubscript(Growing inner) {
  const Position at = Take().at;
  Growing item = Make(Node::kItem, at);
  WEFT_RETURN_IF_ERROR(Adopt(item, std::move(inner)));
  int colons = 0;
  bool empty = true;  // since the last colon
  while (!IsOperator("]")) {
    if (TakeOperator(":")) {
      if (empty) AdoptNull(item);
      empty = true;
      if (++colons > 2) return Unexpected("\"]\"");
      continue;
    }
    if (!empty) return Unexpected("\"]\"");
    WEFT_ASSIGN_OR_RETURN(Growing part, ParseTuple());
    WEFT_RETURN_IF_ERROR(Adopt(item, std::move(part)));
    empty = false;
  }
  WEFT_RETURN_IF_ERROR(ExpectOperator("]"));
  if (colons > 0) {
    item.node->kind = Node::kSlice;
    while (item.node->children.size() < 4) AdoptNull(item);
  } else if (empty) {
    return TemplateError(at, "expected an index within \"[]\"");
  }
  return item;
}

absl::Status Parser::ParseArguments(Growing& call) {
  WEFT_RETURN_IF_ERROR(ExpectOperator("("));
  while (!IsOperator(")")) {
    std::string name;
    if (TakeOperator("*")) {
      name = "*";
    } else if (TakeOperator("**")) {
      name = "**";
    } else if (Peek().kind == Token::kName &&
               Peek(1).kind == Token::kOperator && Peek(1).text == "=") {
      name = Take().text;
      Take();
    }
    WEFT_ASSIGN_OR_RETURN(Growing argument, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(call, std::move(argument)));
    call.node->names.push_back(name);
    if (!TakeOperator(",")) break;
  }
  return ExpectOperator(")");
}

MaybeNode Parser::ParseFilters(Growing inner) {
  while (IsOperator("|")) {
    const Position at = Take().at;
    WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
    Growing filter = Make(Node::kFilter, at, std::move(name));
    WEFT_RETURN_IF_ERROR(Adopt(filter, std::move(inner)));
    if (IsOperator("(")) WEFT_RETURN_IF_ERROR(ParseArguments(filter));
    inner = std::move(filter);
  }
  return inner;
}

MaybeNode Parser::ParseFiltersAndTests(Growing inner) {
  while (true) {
    if (IsOperator("|")) {
      WEFT_ASSIGN_OR_RETURN(inner, ParseFilters(std::move(inner)));
    } else if (IsName("is")) {
      WEFT_ASSIGN_OR_RETURN(inner, ParseTest(std::move(inner)));
    } else if (IsOperator("(")) {
      Growing call = Make(Node::kCall, Peek().at);
      WEFT_RETURN_IF_ERROR(Adopt(call, std::move(inner)));
      WEFT_RETURN_IF_ERROR(ParseArguments(call));
      inner = std::move(call);
    } else {
      return inner;
    }
  }
}

MaybeNode Parser::ParseTest(Growing inner) {
  const Position at = Take().at;
  const bool negated = TakeName("not");
  WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
  Growing test = Make(Node::kTest, at, std::move(name));
  WEFT_RETURN_IF_ERROR(Adopt(test, std::move(inner)));
  const Token& next = Peek();
  const bool is_word = next.kind == Token::kName && !IsName("else") &&
                       !IsName("or") && !IsName("and") && !IsName("is") &&
                       !IsName("if") && !IsName("in") && !IsName("not");
  if (IsOperator("(")) {
    WEFT_RETURN_IF_ERROR(ParseArguments(test));
  } else if (is_word || next.kind == Token::kString ||
             next.kind == Token::kInteger || next.kind == Token::kFloat ||
             IsOperator("[") || IsOperator("{")) {
    WEFT_ASSIGN_OR_RETURN(Growing argument, ParsePrimary());
    WEFT_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    WEFT_RETURN_IF_ERROR(Adopt(test, std::move(argument)));
    test.node->names.push_back("");
  }
  if (!negated) return test;
  Growing negation = Make(Node::kUnary, at, "not");
  WEFT_RETURN_IF_ERROR(Adopt(negation, std::move(test)));
  return negation;
}

}  // namespace weft::inline v0::jinja
