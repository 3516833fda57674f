// Typed fields of JSON objects, with errors that stick.
#ifndef WEFT_MODELS_SAFETENSORS_JSON_FIELDS_H_
#define WEFT_MODELS_SAFETENSORS_JSON_FIELDS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/json.h"

namespace weft::inline v0 {

// One object of a file. A field that is null counts as missing. The first
// error is kept: "<source>: HF-2: <field> is <found>; expected <rule>".
class JsonFields {
 public:
  // InvalidArgument (HF-1) for text that is no JSON object.
  static absl::StatusOr<JsonFields> Parse(absl::string_view text,
                                          std::string source);

  // Null when it is missing.
  const JsonValue* Find(absl::string_view field) const;
  bool Has(absl::string_view field) const { return Find(field) != nullptr; }
  // The object in a field, without fields when it is missing.
  JsonFields Object(absl::string_view field);

  std::optional<int64_t> Int(absl::string_view field);
  std::optional<double> Number(absl::string_view field);
  std::optional<bool> Bool(absl::string_view field);
  std::optional<std::string> String(absl::string_view field);

  // Records an error about a field.
  void Fail(absl::StatusCode code, absl::string_view field,
            absl::string_view found, absl::string_view expected);
  void Fail(absl::Status status) { status_.Update(status); }
  const absl::Status& status() const { return status_; }
  const std::string& source() const { return source_; }
  const JsonValue& value() const { return *value_; }

 private:
  JsonFields(std::shared_ptr<const JsonValue> value, std::string source,
             std::string prefix)
      : value_(std::move(value)),
        source_(std::move(source)),
        prefix_(std::move(prefix)) {}
  // Null, with an error, when it is of another type than `is` wants.
  const JsonValue* Typed(absl::string_view field, bool (JsonValue::*is)() const,
                         absl::string_view expected);

  std::shared_ptr<const JsonValue> value_;
  std::string source_;
  std::string prefix_;  // "text_config."
  absl::Status status_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_SAFETENSORS_JSON_FIELDS_H_
