#include "models/jinja/parser.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/jinja/parser_internal.h"

namespace weft::inline v0::jinja {
namespace {

constexpr size_t kMaxBytes = 1u << 20;

absl::Status Unknown(const Position& at, absl::string_view tag) {
  return absl::UnimplementedError(
      absl::StrCat("JINJA-2: line ", at.line, ", column ", at.column,
                   ": weft does not know the tag ", QuoteInput(tag)));
}

}  // namespace

absl::StatusOr<NodePtr> Parser::Run() {
  WEFT_ASSIGN_OR_RETURN(Growing block, ParseBlock());
  if (Peek().kind != Token::kEnd) {
    Take();  // "{%"
    return Error(absl::StrCat(QuoteInput(Peek().text),
                              " without a tag that it belongs to"));
  }
  return NodePtr(std::move(block.node));
}

// Whether the next tag is one of those that end or divide a block.
bool Parser::AtDivider() const {
  if (Peek().kind != Token::kBlockBegin) return false;
  const std::string& name = Peek(1).text;
  return name == "else" || name == "elif" || name.rfind("end", 0) == 0;
}

// Statements up to a divider or the end.
MaybeNode Parser::ParseBlock() {
  if (++blocks_ > kMaxNesting) return NestingError();
  Growing block = Make(Node::kBlock, Peek().at);
  while (Peek().kind != Token::kEnd && !AtDivider()) {
    WEFT_ASSIGN_OR_RETURN(Growing next, ParseStatement());
    if (next.node != nullptr)
      WEFT_RETURN_IF_ERROR(Adopt(block, std::move(next)));
  }
  --blocks_;
  return block;
}

MaybeNode Parser::ParseStatement() {
  const Token token = Take();
  if (token.kind == Token::kText)
    return Make(Node::kText, token.at, token.text);
  if (token.kind == Token::kPrintBegin) {
    Growing print = Make(Node::kPrint, token.at);
    WEFT_ASSIGN_OR_RETURN(Growing value, ParseTuple());
    WEFT_RETURN_IF_ERROR(Adopt(print, std::move(value)));
    if (Peek().kind != Token::kPrintEnd) return Unexpected("\"}}\"");
    Take();
    return print;
  }
  return ParseTag(token.at);
}

MaybeNode Parser::ParseTag(const Position& at) {
  WEFT_ASSIGN_OR_RETURN(const std::string name, ExpectName());
  if (name == "if") return ParseIf(at);
  if (name == "for") return ParseFor(at);
  if (name == "set") return ParseSet(at);
  if (name == "macro") return ParseMacro(at);
  if (name == "call") return ParseCallBlock(at);
  if (name == "filter") return ParseFilterBlock(at);
  if (name == "with") return ParseWith(at);
  if (name == "break" || name == "continue") {
    if (loops_ == 0) {
      return TemplateError(at, absl::StrCat("\"", name, "\" outside a loop"));
    }
    WEFT_RETURN_IF_ERROR(EndTag());
    return Make(name == "break" ? Node::kBreak : Node::kContinue, at);
  }
  if (name == "generation") {  // marks an answer for training; no more
    WEFT_RETURN_IF_ERROR(EndTag());
    return ParseBody("endgeneration");
  }
  return Unknown(at, name);
}

absl::Status Parser::EndTag() {
  if (Peek().kind != Token::kBlockEnd) return Unexpected("\"%}\"");
  Take();
  return absl::OkStatus();
}

// A block and the tag that ends it.
MaybeNode Parser::ParseBody(absl::string_view end) {
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBlock());
  WEFT_RETURN_IF_ERROR(ExpectTag(end));
  // Jinja allows names after some of them.
  if (Peek().kind == Token::kName) Take();
  WEFT_RETURN_IF_ERROR(EndTag());
  return body;
}

absl::Status Parser::ExpectTag(absl::string_view name) {
  if (Peek().kind == Token::kBlockBegin && Peek(1).text == name) {
    Take();
    Take();
    return absl::OkStatus();
  }
  if (Peek().kind == Token::kBlockBegin) Take();
  return Unexpected(absl::StrCat("\"", name, "\""));
}

MaybeNode Parser::ParseIf(const Position& at) {
  Growing made = Make(Node::kIf, at);
  while (true) {
    WEFT_ASSIGN_OR_RETURN(Growing condition, ParseTuple());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(condition)));
    WEFT_RETURN_IF_ERROR(EndTag());
    WEFT_ASSIGN_OR_RETURN(Growing block, ParseBlock());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(block)));
    if (Peek(1).text != "elif") break;
    Take();
    Take();
  }
  if (Peek(1).text == "else" && Peek().kind == Token::kBlockBegin) {
    Take();
    Take();
    WEFT_RETURN_IF_ERROR(EndTag());
    WEFT_ASSIGN_OR_RETURN(Growing block, ParseBlock());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(block)));
  }
  WEFT_RETURN_IF_ERROR(ExpectTag("endif"));
  WEFT_RETURN_IF_ERROR(EndTag());
  return made;
}

MaybeNode Parser::ParseFor(const Position& at) {
  Growing made = Make(Node::kFor, at);
  WEFT_ASSIGN_OR_RETURN(Growing target, ParseTarget());
  made.node->target = std::move(target.node);
  if (!TakeName("in")) return Unexpected("\"in\"");
  WEFT_ASSIGN_OR_RETURN(Growing iterable, ParseTuple(false));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(iterable)));
  if (TakeName("if")) {
    WEFT_ASSIGN_OR_RETURN(Growing filter, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(filter)));
  } else {
    AdoptNull(made);
  }
  if (IsName("recursive")) return Unknown(at, "recursive");
  WEFT_RETURN_IF_ERROR(EndTag());
  ++loops_;
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBlock());
  --loops_;
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(body)));
  if (Peek(1).text == "else" && Peek().kind == Token::kBlockBegin) {
    Take();
    Take();
    WEFT_RETURN_IF_ERROR(EndTag());
    WEFT_ASSIGN_OR_RETURN(Growing other, ParseBlock());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(other)));
  } else {
    AdoptNull(made);
  }
  WEFT_RETURN_IF_ERROR(ExpectTag("endfor"));
  WEFT_RETURN_IF_ERROR(EndTag());
  return made;
}

MaybeNode Parser::ParseSet(const Position& at) {
  WEFT_ASSIGN_OR_RETURN(Growing target, ParseTarget());
  if (TakeOperator("=")) {
    Growing made = Make(Node::kSet, at);
    made.node->target = std::move(target.node);
    WEFT_ASSIGN_OR_RETURN(Growing value, ParseTuple());
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(value)));
    WEFT_RETURN_IF_ERROR(EndTag());
    return made;
  }
  Growing made = Make(Node::kSetBlock, at);
  made.node->target = std::move(target.node);
  WEFT_ASSIGN_OR_RETURN(Growing filter,
                        ParseFilters(Make(Node::kInput, Peek().at)));
  WEFT_RETURN_IF_ERROR(EndTag());
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBody("endset"));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(body)));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(filter)));
  return made;
}

// "(a, b=1)" and the body of a macro.
absl::Status Parser::ParseParameters(Growing& macro,
                                     std::vector<Growing>& defaults) {
  WEFT_RETURN_IF_ERROR(ExpectOperator("("));
  while (!IsOperator(")")) {
    WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
    macro.node->names.push_back(std::move(name));
    defaults.emplace_back();
    if (TakeOperator("=")) {
      WEFT_ASSIGN_OR_RETURN(defaults.back(), ParseExpression());
    }
    if (!TakeOperator(",")) break;
  }
  return ExpectOperator(")");
}

absl::Status Parser::ParseMacroBody(Growing& macro,
                                    std::vector<Growing> defaults,
                                    absl::string_view end) {
  WEFT_RETURN_IF_ERROR(EndTag());
  const int loops = std::exchange(loops_, 0);
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBody(end));
  loops_ = loops;
  WEFT_RETURN_IF_ERROR(Adopt(macro, std::move(body)));
  for (Growing& value : defaults) {
    if (value.node == nullptr) {
      AdoptNull(macro);
    } else {
      WEFT_RETURN_IF_ERROR(Adopt(macro, std::move(value)));
    }
  }
  return absl::OkStatus();
}

MaybeNode Parser::ParseMacro(const Position& at) {
  WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
  Growing macro = Make(Node::kMacro, at, std::move(name));
  std::vector<Growing> defaults;
  WEFT_RETURN_IF_ERROR(ParseParameters(macro, defaults));
  WEFT_RETURN_IF_ERROR(ParseMacroBody(macro, std::move(defaults), "endmacro"));
  return macro;
}

MaybeNode Parser::ParseCallBlock(const Position& at) {
  Growing made = Make(Node::kCallBlock, at);
  Growing caller = Make(Node::kMacro, at, "caller");
  std::vector<Growing> defaults;
  if (IsOperator("(")) WEFT_RETURN_IF_ERROR(ParseParameters(caller, defaults));
  WEFT_ASSIGN_OR_RETURN(Growing call, ParseExpression());
  if (call.node->kind != Node::kCall)
    return TemplateError(at, "expected a call after \"call\"");
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(call)));
  WEFT_RETURN_IF_ERROR(ParseMacroBody(caller, std::move(defaults), "endcall"));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(caller)));
  return made;
}

MaybeNode Parser::ParseFilterBlock(const Position& at) {
  Growing made = Make(Node::kFilterBlock, at);
  WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
  Growing filter = Make(Node::kFilter, at, std::move(name));
  WEFT_RETURN_IF_ERROR(Adopt(filter, Make(Node::kInput, at)));
  if (IsOperator("(")) WEFT_RETURN_IF_ERROR(ParseArguments(filter));
  WEFT_ASSIGN_OR_RETURN(filter, ParseFilters(std::move(filter)));
  WEFT_RETURN_IF_ERROR(EndTag());
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(filter)));
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBody("endfilter"));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(body)));
  return made;
}

MaybeNode Parser::ParseWith(const Position& at) {
  Growing made = Make(Node::kWith, at);
  while (Peek().kind != Token::kBlockEnd) {
    Growing set = Make(Node::kSet, Peek().at);
    WEFT_ASSIGN_OR_RETURN(std::string name, ExpectName());
    set.node->target = Make(Node::kName, at, std::move(name)).node;
    WEFT_RETURN_IF_ERROR(ExpectOperator("="));
    WEFT_ASSIGN_OR_RETURN(Growing value, ParseExpression());
    WEFT_RETURN_IF_ERROR(Adopt(set, std::move(value)));
    WEFT_RETURN_IF_ERROR(Adopt(made, std::move(set)));
    if (!TakeOperator(",")) break;
  }
  WEFT_RETURN_IF_ERROR(EndTag());
  WEFT_ASSIGN_OR_RETURN(Growing body, ParseBody("endwith"));
  WEFT_RETURN_IF_ERROR(Adopt(made, std::move(body)));
  return made;
}

absl::StatusOr<NodePtr> Parse(absl::string_view source) {
  if (source.size() > kMaxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("JINJA-3: a template of ", source.size(),
                     " bytes; expected at most ", kMaxBytes));
  }
  WEFT_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace weft::inline v0::jinja
