#include "tests/json_schema.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  std::string Check(const Json& schema, const Json& json,
                    const std::string& at) const {
    static const std::set<std::string> kNotes = {"$schema", "title", "$defs",
                                                 "description"};
    for (const auto& [key, value] : schema.items()) {
      std::string error;
      if (key == "$ref")
        error = Check(
            root_.at(Json::json_pointer(value.get<std::string>().substr(1))),
            json, at);
      else if (key == "type")
        error = CheckType(value, json, at);
      else if (key == "const")
        error = json == value ? "" : at + ": is not " + value.dump();
      else if (key == "enum")
        error = Contains(value, json) ? "" : at + ": none of " + value.dump();
      else if (key == "minimum")
        error = !json.is_number() || json >= value ? "" : at + ": too small";
      else if (key == "minItems")
        error = json.size() >= value ? "" : at + ": too few items";
      else if (key == "required")
        error = CheckRequired(value, json, at);
      else if (key == "items")
        error = CheckItems(value, json, at);
      else if (key == "anyOf")
        error = CheckAny(value, json, at);
      else if (key == "properties" || key == "additionalProperties")
        error = CheckMembers(schema, json, at);
      else if (!kNotes.contains(key))
        error = at + ": the schema has the unknown keyword " + key;
      if (!error.empty()) return error;
    }
    return "";
  }

 private:
  static bool Contains(const Json& list, const Json& json) {
    return std::find(list.begin(), list.end(), json) != list.end();
  }

  static std::string CheckType(const std::string& type, const Json& json,
                               const std::string& at) {
    const bool is = (type == "object" && json.is_object()) ||
                    (type == "array" && json.is_array()) ||
                    (type == "string" && json.is_string()) ||
                    (type == "integer" && json.is_number_integer()) ||
                    (type == "number" && json.is_number()) ||
                    (type == "boolean" && json.is_boolean()) ||
                    (type == "null" && json.is_null());
    return is ? "" : absl::StrCat(at, ": is no ", type);
  }

  static std::string CheckRequired(const Json& names, const Json& json,
                                   const std::string& at) {
    for (const Json& name : names)
      if (!json.contains(name)) return at + ": has no " + name.dump();
    return "";
  }

  std::string CheckItems(const Json& schema, const Json& json,
                         const std::string& at) const {
    for (size_t i = 0; i < json.size(); ++i) {
      std::string error = Check(schema, json[i], absl::StrCat(at, "/", i));
      if (!error.empty()) return error;
    }
    return "";
  }

  std::string CheckAny(const Json& schemas, const Json& json,
                       const std::string& at) const {
    for (const Json& schema : schemas)
      if (Check(schema, json, at).empty()) return "";
    return at + ": fits none of anyOf";
  }

  std::string CheckMembers(const Json& schema, const Json& json,
                           const std::string& at) const {
    const Json known = schema.value("properties", Json::object());
    const Json rest = schema.value("additionalProperties", Json(true));
    for (const auto& [name, member] : json.items()) {
      const std::string where = absl::StrCat(at, "/", name);
      if (!known.contains(name) && rest == false) return where + ": unknown";
      const Json& of = known.contains(name) ? known[name] : rest;
      if (of.is_boolean()) continue;
      std::string error = Check(of, member, where);
      if (!error.empty()) return error;
    }
    return "";
  }

  const Json& root_;
};

}  // namespace

std::string SchemaError(const Json& schema, const Json& json) {
  return Validator(schema).Check(schema, json, "");
}

}  // namespace weft::inline v0
