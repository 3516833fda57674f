// JSON: values as files, schemas and templates give them.
#ifndef WEFT_MODELS_JSON_H_
#define WEFT_MODELS_JSON_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// A value with its parts. nlohmann's own is not used: its destructor allocates,
// which ends the process where there is no memory left. This one's takes
// nothing but stack, a frame for each level; ParseJson bounds these.
class JsonValue {
 public:
  using List = std::vector<JsonValue>;
  using Member = std::pair<std::string, JsonValue>;
  // In the text's order, each name once; searched from front to back.
  using Object = std::vector<Member>;

  JsonValue() = default;  // null
  JsonValue(bool value) : data_(value) {}
  JsonValue(int64_t value) : data_(value) {}
  JsonValue(uint64_t value) : data_(value) {}
  JsonValue(double value) : data_(value) {}
  JsonValue(std::string text) : data_(std::move(text)) {}
  JsonValue(const char* text) : data_(std::string(text)) {}
  JsonValue(List list) : data_(std::move(list)) {}
  JsonValue(Object object) : data_(std::move(object)) {}

  bool is_null() const { return Is<Null>(); }
  bool is_bool() const { return Is<bool>(); }
  // Of int64_t.
  bool is_integer() const { return Is<int64_t>(); }
  // An integer above those.
  bool is_large_integer() const { return Is<uint64_t>(); }
  bool is_number() const {
    return is_integer() || is_large_integer() || Is<double>();
  }
  bool is_string() const { return Is<std::string>(); }
  bool is_list() const { return Is<List>(); }
  bool is_object() const { return Is<Object>(); }
  bool is_true() const { return is_bool() && std::get<bool>(data_); }
  bool is_false() const { return is_bool() && !std::get<bool>(data_); }

  // Of a value of that kind.
  int64_t integer() const { return std::get<int64_t>(data_); }
  uint64_t large_integer() const { return std::get<uint64_t>(data_); }
  double number() const;
  const std::string& string() const { return std::get<std::string>(data_); }
  std::string& string() { return std::get<std::string>(data_); }
  List& list() { return std::get<List>(data_); }
  Object& object() { return std::get<Object>(data_); }

  // Empty for what is no list or object.
  absl::Span<const JsonValue> items() const;
  absl::Span<const Member> members() const;
  // The items of a list; of another value itself.
  absl::Span<const JsonValue> items_or_self() const;

  // A member; null where there is none, or this is no object.
  const JsonValue* Find(absl::string_view name) const;
  JsonValue* Find(absl::string_view name);
  // Of an object.
  void Set(absl::string_view name, JsonValue value);
  void Erase(absl::string_view name);

  // JSON's name of the kind: "null", "boolean", "number", "string", "array",
  // "object".
  absl::string_view type_name() const;

  // Numbers by their value; members in the same order.
  bool operator==(const JsonValue& other) const;

 private:
  // Not trivial to copy: where all of a variant's types are that or the
  // standard library's, libstdc++ 12 takes it to be never without a value, and
  // destroys what a copy without memory has not made.
  struct Null {
    Null() = default;
    Null(const Null&) noexcept {}
    Null& operator=(const Null&) noexcept { return *this; }
    bool operator==(const Null&) const { return true; }
  };

  template <class T>
  bool Is() const {
    return std::holds_alternative<T>(data_);
  }

  std::variant<Null, bool, int64_t, uint64_t, double, std::string, List, Object>
      data_;
};

// A name that an object has twice: the last counts, as in Python, or it is an
// error.
enum class RepeatedNames { kLast, kError };

struct JsonOptions {
  RepeatedNames repeated = RepeatedNames::kError;
  // Bounds what is built of a short text.
  size_t most_values = std::numeric_limits<size_t>::max();
  size_t most_members = std::numeric_limits<size_t>::max();  // of one object
};

// Reads RFC 8259. InvalidArgument for what is none ("is no JSON at byte 3,
// ..."); AlreadyExists for a repeated name; ResourceExhausted above 200 levels
// and the limits of `options`. Integers of more than 64 bits become floats. May
// throw std::bad_alloc.
absl::StatusOr<JsonValue> ParseJson(absl::string_view text,
                                    const JsonOptions& options = {});

// In one line without spaces; bytes that are no UTF-8 are replaced.
std::string Compact(const JsonValue& value);

// For messages: "8.5", "true", "a string", "an array".
std::string DescribeJson(const JsonValue& value);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_JSON_H_
