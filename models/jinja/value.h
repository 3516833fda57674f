// The values of templates: Python's, as far as templates see them.
#ifndef WEFT_MODELS_JINJA_VALUE_H_
#define WEFT_MODELS_JINJA_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/hash.h"

namespace weft::inline v0::jinja {

class Interpreter;
class Value;

// What a call gives to a function.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Function {
  std::string name;  // for messages
  std::function<absl::StatusOr<Value>(Interpreter&, const Arguments&)> call;
};

struct List;
struct Dict;

// Cheap to copy: strings and containers are shared. Containers change only
// while they are made, namespaces also later.
class Value {
 public:
  struct Undefined {
    std::shared_ptr<const std::string> name;  // for messages; may be null
  };
  struct None {};

  Value() = default;  // undefined
  Value(None none) : data_(none) {}
  Value(bool value) : data_(value) {}
  Value(int64_t value) : data_(value) {}
  Value(double value) : data_(value) {}
  Value(std::string text)
      : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(absl::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::shared_ptr<List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<Dict> dict) : data_(std::move(dict)) {}
  Value(std::shared_ptr<const Function> function)
      : data_(std::move(function)) {}
  static Value MakeUndefined(absl::string_view name);
  static Value MakeList(std::vector<Value> items, bool tuple = false);

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  bool is_bool() const { return std::holds_alternative<bool>(data_); }
  // Python's bool is an integer.
  bool is_integer() const {
    return is_bool() || std::holds_alternative<int64_t>(data_);
  }
  bool is_float() const { return std::holds_alternative<double>(data_); }
  bool is_number() const { return is_integer() || is_float(); }
  bool is_string() const { return string_or_null() != nullptr; }
  bool is_list() const { return list() != nullptr; }
  bool is_dict() const { return dict() != nullptr; }
  bool is_function() const { return function() != nullptr; }

  // Of a value of that kind.
  int64_t integer() const;
  double number() const;
  const std::string& string() const { return *string_or_null(); }

  // Null where it is another kind.
  List* list() const { return Get<List>(); }
  Dict* dict() const { return Get<Dict>(); }
  const Function* function() const { return Get<const Function>(); }
  absl::string_view undefined_name() const;

  bool Truth() const;
  // Containers within containers, 0 for what is none.
  int depth() const;
  // Whether it is a namespace, one is somewhere in it, or one could be: in
  // what a function is bound to.
  bool HoldsNamespace() const;
  // "str", "int", ...: Python's name of the type.
  absl::string_view TypeName() const;
  // Python's str() and repr().
  std::string ToString() const;
  std::string Repr() const;

  // Python's ==.
  bool operator==(const Value& other) const;

 private:
  template <class T>
  T* Get() const {
    const auto* at = std::get_if<std::shared_ptr<T>>(&data_);
    return at == nullptr ? nullptr : at->get();
  }
  const std::string* string_or_null() const { return Get<const std::string>(); }
  void AppendRepr(std::string& out) const;

  std::variant<Undefined, None, bool, int64_t, double,
               std::shared_ptr<const std::string>, std::shared_ptr<List>,
               std::shared_ptr<Dict>, std::shared_ptr<const Function>>
      data_;
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  bool holds_namespace = false;
  int depth = 1;

  void Add(Value item);
};

// In the order in which keys were first set.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;
  bool is_namespace = false;
  bool holds_namespace = false;
  int depth = 1;

  // False for a key that Python cannot hash (lists, dicts).
  bool Set(const Value& key, Value value);
  const Value* Find(const Value& key) const;

 private:
  HashMap<std::string, size_t> index_;
};

// Python's < between numbers, strings and lists of them; nothing for others.
std::optional<bool> Less(const Value& a, const Value& b);

// Python's repr of a float: the shortest that reads back the same.
std::string FloatRepr(double value);

// UTF-8 by characters; what is none counts as one for each byte.
size_t CountCharacters(absl::string_view text);
std::vector<absl::string_view> Characters(absl::string_view text);

}  // namespace weft::inline v0::jinja

#endif  // WEFT_MODELS_JINJA_VALUE_H_
