#include "models/json.h"

#include <algorithm>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace weft::inline v0 {
namespace {

JsonValue::Object::const_iterator Place(const JsonValue::Object& object,
                                        absl::string_view name) {
  return std::find_if(object.begin(), object.end(),
                      [name](const auto& m) { return m.first == name; });
}

}  // namespace

double JsonValue::number() const {
  return std::visit(
      [](const auto& value) -> double {
        if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>)
          return static_cast<double>(value);
        else
          return 0;
      },
      data_);
}

absl::Span<const JsonValue> JsonValue::items() const {
  const List* list = std::get_if<List>(&data_);
  return list == nullptr ? absl::Span<const JsonValue>() : *list;
}
absl::Span<const JsonValue::Member> JsonValue::members() const {
  const Object* object = std::get_if<Object>(&data_);
  return object == nullptr ? absl::Span<const Member>() : *object;
}
absl::Span<const JsonValue> JsonValue::items_or_self() const {
  return is_list() ? items() : absl::MakeConstSpan(this, 1);
}

const JsonValue* JsonValue::Find(absl::string_view name) const {
  const Object* object = std::get_if<Object>(&data_);
  if (object == nullptr) return nullptr;
  const auto at = Place(*object, name);
  return at == object->end() ? nullptr : &at->second;
}
JsonValue* JsonValue::Find(absl::string_view name) {
  return const_cast<JsonValue*>(std::as_const(*this).Find(name));
}
void JsonValue::Set(absl::string_view name, JsonValue value) {
  if (JsonValue* found = Find(name))
    *found = std::move(value);
  else
    object().emplace_back(std::string(name), std::move(value));
}
void JsonValue::Erase(absl::string_view name) {
  if (const auto at = Place(object(), name); at != object().end())
    object().erase(at);
}

absl::string_view JsonValue::type_name() const {
  if (is_null()) return "null";
  if (is_bool()) return "boolean";
  if (is_number()) return "number";
  if (is_string()) return "string";
  return is_list() ? "array" : "object";
}

bool JsonValue::operator==(const JsonValue& other) const {
  if (data_.index() != other.data_.index() && is_number() && other.is_number())
    return number() == other.number();
  return data_ == other.data_;
}

std::string DescribeJson(const JsonValue& value) {
  if (value.is_string() || value.is_list() || value.is_object())
    return absl::StrCat(value.is_string() ? "a " : "an ", value.type_name());
  return Compact(value);
}

}  // namespace weft::inline v0
