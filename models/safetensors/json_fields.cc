#include "models/safetensors/json_fields.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/input_error.h"
#include "models/json.h"

namespace weft::inline v0 {

absl::StatusOr<JsonFields> JsonFields::Parse(absl::string_view text,
                                             std::string source) {
  auto value = ParseJson(text);
  if (!value.ok())
    return absl::Status(
        value.status().code(),
        absl::StrCat(source, ": HF-1: ", value.status().message()));
  if (!value->is_object())
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": HF-1: the file is ", DescribeJson(*value),
                     "; expected a JSON object"));
  return JsonFields(std::make_shared<const JsonValue>(*std::move(value)),
                    std::move(source), "");
}

const JsonValue* JsonFields::Find(absl::string_view field) const {
  const JsonValue* found = value_->Find(field);
  return found == nullptr || found->is_null() ? nullptr : found;
}

JsonFields JsonFields::Object(absl::string_view field) {
  const JsonValue* found = Typed(field, &JsonValue::is_object, "an object");
  return JsonFields(
      // A part of what is kept.
      found != nullptr ? std::shared_ptr<const JsonValue>(value_, found)
                       : std::make_shared<const JsonValue>(JsonValue::Object()),
      source_, absl::StrCat(prefix_, field, "."));
}

const JsonValue* JsonFields::Typed(absl::string_view field,
                                   bool (JsonValue::*is)() const,
                                   absl::string_view expected) {
  const JsonValue* found = Find(field);
  if (found == nullptr || (found->*is)()) return found;
  Fail(absl::StatusCode::kInvalidArgument, field, DescribeJson(*found),
       expected);
  return nullptr;
}

std::optional<int64_t> JsonFields::Int(absl::string_view field) {
  const auto* found = Typed(field, &JsonValue::is_integer, "an integer");
  if (found == nullptr) return std::nullopt;
  return found->integer();
}

std::optional<double> JsonFields::Number(absl::string_view field) {
  const auto* found = Typed(field, &JsonValue::is_number, "a number");
  if (found == nullptr) return std::nullopt;
  return found->number();
}

std::optional<bool> JsonFields::Bool(absl::string_view field) {
  const auto* found = Typed(field, &JsonValue::is_bool, "true or false");
  if (found == nullptr) return std::nullopt;
  return found->is_true();
}

std::optional<std::string> JsonFields::String(absl::string_view field) {
  const auto* found = Typed(field, &JsonValue::is_string, "a string");
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
