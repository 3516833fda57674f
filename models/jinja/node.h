// The tree of a parsed template.
#ifndef WEFT_MODELS_JINJA_NODE_H_
#define WEFT_MODELS_JINJA_NODE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/jinja/lexer.h"
#include "models/jinja/value.h"

namespace weft::inline v0::jinja {

struct Node;
using NodePtr = std::unique_ptr<const Node>;

// One construct. What stands in `text` and `children` depends on the kind; a
// child may be null where that is said.
struct Node {
  enum Kind {
    // Expressions.
    kConstant,   // value
    kName,       // text
    kList,       // children: items
    kTuple,      // the same
    kDict,       // children: key, value, key, value, ...
    kAttribute,  // text of children[0]
    kItem,       // children[0][children[1]]
    kSlice,      // children[0][1:2:3], the last three or null
    kCall,       // children[0](1, 2, ...), names by position in `names`
    kFilter,     // text(children[0], 1, ...), names as for kCall
    kTest,       // children[0] is text(1, ...)
    kUnary,      // text: + - not
    kBinary,     // text: + - * / // % ** ~ and or
    kCompare,    // children[0] names[0] children[1] names[1] ...
    kChoice,     // children[0] if 1 else 2, the last or null
    // Statements.
    kText,       // text
    kPrint,      // children[0]
    kIf,         // children: condition, block, condition, block, ..., or block
    kFor,        // target; children: iterable, filter, body, else; null where
                 // there is no filter or else
    kSet,        // targets; children: value
    kSetBlock,   // targets; children: block, filter of kInput or null
    kMacro,      // text(names); children: body, then defaults (or null) by name
    kCallBlock,  // children: a call, then a macro without a name
    kFilterBlock,  // children: filter of kInput, block
    kWith,         // children: kSet..., then the block
    kBreak,
    kContinue,
    kBlock,  // children: statements
    kInput,  // what a filter block filters
  };
  Kind kind;
  Position at;
  std::string text = {};
  Value value = {};
  std::vector<NodePtr> children = {};
  // Of kCall, kFilter, kTest: of each argument, "" for those by position, "*"
  // and "**" for those that are spread. Of kMacro: the parameters. Of kCompare:
  // the operators.
  std::vector<std::string> names = {};
  // Of kFor, kSet, kSetBlock: where the value goes, kName or kAttribute of a
  // namespace, or kTuple of them.
  NodePtr target = nullptr;
};

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_NODE_H_
