// JSON as text: nlohmann's parser fills our values, and its writer gives
// strings and floats their form.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "models/input_error.h"
#include "models/json.h"
#include "nlohmann/json.hpp"

namespace weft::inline v0 {
namespace {

// Destructors, the writer and the like take a frame for each.
constexpr size_t kMaxNesting = 200;

absl::Status NoJson(size_t byte, absl::string_view found,
                    absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "is no JSON at byte ", byte, ", ", QuoteInput(found), ": ", why));
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: syntax
// error ... - invalid literal; last read: '<any bytes>'" without its ends.
absl::string_view Words(absl::string_view what) {
  const size_t begin = what.find("] ");
  if (begin != what.npos) what.remove_prefix(begin + 2);
  return what.substr(0, what.find("; last read: "));
}

// What nlohmann's parser reports, in the order of the text. Its interface asks
// for these names; `false` ends it.
class Builder {
 public:
  explicit Builder(const JsonOptions& options) : options_(options) {}

  JsonValue& root() { return root_; }
  const absl::Status& status() const { return status_; }

  bool null() { return Add({}) != nullptr; }
  bool boolean(bool value) { return Add(value) != nullptr; }
  bool number_integer(int64_t value) { return Add(value) != nullptr; }
  bool number_unsigned(uint64_t value) {
    const auto as_signed = static_cast<int64_t>(value);
    return Add(as_signed < 0 ? JsonValue(value) : as_signed) != nullptr;
  }
  bool number_float(double value, const std::string&) {
    return Add(value) != nullptr;
  }
  bool string(std::string& text) { return Add(std::move(text)) != nullptr; }
  bool binary(nlohmann::json::binary_t&) { return false; }  // JSON has none

  bool start_array(size_t) { return Open(JsonValue::List()); }
  bool start_object(size_t) { return Open(JsonValue::Object()); }
  bool end_array() { return Close(); }
  bool end_object() { return Close(); }

  bool key(std::string& name) {
    auto& [value, places] = open_.back();
    JsonValue::Object& object = value->object();
    const auto [at, is_new] = places.try_emplace(name, object.size());
    if (!is_new && options_.repeated == RepeatedNames::kError) {
      status_ = absl::AlreadyExistsError(
          absl::StrCat("the member ", QuoteInput(name),
                       " stands twice in the object at ", QuoteInput(Path())));
      return false;
    }
    if (is_new && object.size() >= options_.most_members)
      return TooMuch(options_.most_members, "members of an object");
    if (is_new) object.emplace_back(std::move(name), JsonValue());
    member_ = &object[at->second].second;
    return true;
  }

  bool parse_error(size_t byte, const std::string& found,
                   const nlohmann::detail::exception& error) {
    status_ = NoJson(byte, found, Words(error.what()));
    return false;
  }

 private:
  struct Container {
    JsonValue* value;  // stays where it is while it is the innermost
    HashMap<std::string, size_t> places;  // of an object's members
  };

  bool TooMuch(size_t most, absl::string_view what) {
    status_ = absl::ResourceExhaustedError(
        absl::StrCat("more than ", most, " ", what));
    return false;
  }

  // The value in its place; null, with an error, when it is one too many.
  JsonValue* Add(JsonValue value) {
    if (++values_ > options_.most_values) {
      TooMuch(options_.most_values, "values");
      return nullptr;
    }
    JsonValue* at = open_.empty() ? &root_ : member_;
    if (!open_.empty() && open_.back().value->is_list())
      at = &open_.back().value->list().emplace_back();
    *at = std::move(value);
    return at;
  }

  bool Open(JsonValue empty) {
    if (open_.size() >= kMaxNesting)
      return TooMuch(kMaxNesting, "levels of nesting");
    JsonValue* at = Add(std::move(empty));
    if (at != nullptr) open_.push_back({at, {}});
    return at != nullptr;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  // As in a JSON pointer: "#/model/vocab".
  std::string Path() const {
    std::string path = "#";
    for (size_t i = 0; i + 1 < open_.size(); ++i) {
      const JsonValue& value = *open_[i].value;
      if (value.is_list())
        absl::StrAppend(&path, "/", value.items().size() - 1);
      else
        absl::StrAppend(&path, "/", value.members().back().first);
    }
    return path;
  }

  const JsonOptions& options_;
  absl::Status status_;
  size_t values_ = 0;
  JsonValue root_;
  std::vector<Container> open_;
  JsonValue* member_ = nullptr;  // where the value of a name goes
};

// Scalars of nlohmann's allocate nothing when they go.
std::string Scalar(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void AppendCompact(const JsonValue& value, std::string& out) {
  if (value.is_list()) {
    out += '[';
    for (const JsonValue& item : value.items()) {
      if (&item != value.items().data()) out += ',';
      AppendCompact(item, out);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [name, member] : value.members()) {
      if (&name != &value.members()[0].first) out += ',';
      absl::StrAppend(&out, Scalar(name), ":");
      AppendCompact(member, out);
    }
    out += '}';
  } else if (value.is_string()) {
    out += Scalar(value.string());
  } else if (value.is_number()) {
    out += value.is_integer()         ? absl::StrCat(value.integer())
           : value.is_large_integer() ? absl::StrCat(value.large_integer())
                                      : Scalar(value.number());
  } else {
    out += value.is_null() ? "null" : value.is_true() ? "true" : "false";
  }
}

}  // namespace

absl::StatusOr<JsonValue> ParseJson(absl::string_view text,
                                    const JsonOptions& options) {
  // A zero byte would be the end for nlohmann.
  if (const size_t at = text.find('\0'); at != text.npos)
    return NoJson(at + 1, text.substr(at, 1), "a text has no such byte");
  Builder builder(options);
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
    return builder.status();
  return std::move(builder.root());
}

std::string Compact(const JsonValue& value) {
  std::string out;
  AppendCompact(value, out);
  return out;
}

}  // namespace weft::inline v0
