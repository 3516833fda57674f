#include "models/safetensors/json_fields.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/input_error.h"
#include "models/jinja/json.h"

namespace weft::inline v0 {

absl::StatusOr<JsonFields> JsonFields::Parse(absl::string_view text,
                                             std::string source) {
  auto value = jinja::ParseJson(text, jinja::RepeatedKeys::kError);
  if (!value.ok())
    return absl::Status(
        value.status().code(),
        absl::StrCat(source, ": HF-1: ", value.status().message()));
  if (!value->is_dict())
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": HF-1: the file is ", value->TypeName(),
                     "; expected a JSON object"));
  return JsonFields(*std::move(value), std::move(source), "");
}

const jinja::Value* JsonFields::Find(absl::string_view field) const {
  const jinja::Value* found = value_.dict()->Find(jinja::Value(field));
  return found == nullptr || found->is_none() ? nullptr : found;
}

JsonFields JsonFields::Object(absl::string_view field) {
  const jinja::Value* found = Typed(field, &jinja::Value::is_dict, "an object");
  return JsonFields(
      found != nullptr ? *found : jinja::Value(std::make_shared<jinja::Dict>()),
      source_, absl::StrCat(prefix_, field, "."));
}

const jinja::Value* JsonFields::Typed(absl::string_view field,
                                      bool (jinja::Value::*is)() const,
                                      absl::string_view expected) {
  const jinja::Value* found = Find(field);
  if (found == nullptr || (found->*is)()) return found;
  Fail(absl::StatusCode::kInvalidArgument, field, found->TypeName(), expected);
  return nullptr;
}

std::optional<int64_t> JsonFields::Int(absl::string_view field) {
  const auto* found = Typed(field, &jinja::Value::is_integer, "an integer");
  if (found == nullptr) return std::nullopt;
  return found->integer();
}

std::optional<double> JsonFields::Number(absl::string_view field) {
  const auto* found = Typed(field, &jinja::Value::is_number, "a number");
  if (found == nullptr) return std::nullopt;
  return found->number();
}

std::optional<bool> JsonFields::Bool(absl::string_view field) {
  const auto* found = Typed(field, &jinja::Value::is_bool, "true or false");
  if (found == nullptr) return std::nullopt;
  return found->Truth();
}

std::optional<std::string> JsonFields::String(absl::string_view field) {
  const auto* found = Typed(field, &jinja::Value::is_string, "a string");
  if (found == nullptr) return std::nullopt;
  return found->string();
}

void JsonFields::Fail(absl::StatusCode code, absl::string_view field,
                      absl::string_view found, absl::string_view expected) {
  status_.Update(absl::Status(
      code, absl::StrCat(source_,
                         ": HF-2: ", QuoteInput(prefix_ + std::string(field)),
                         " is ", found, "; expected ", expected)));
}

}  // namespace weft::inline v0
