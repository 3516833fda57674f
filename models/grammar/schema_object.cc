// Objects: members in the schema's order.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/hash.h"
#include "graph/status_macros.h"
#include "models/grammar/schema_converter.h"
#include "models/utf8.h"

namespace weft::inline v0 {

absl::StatusOr<std::vector<SchemaConverter::ObjectMember>>
SchemaConverter::ObjectMembers(const JsonValue& schema,
                               const std::string& where,
                               const std::string& name) {
  const JsonValue* properties = schema.Find("properties");
  const JsonValue* required = schema.Find("required");
  if (properties != nullptr && !properties->is_object())
    return Bad(where, "properties is no object");
  std::vector<std::string> names;
  HashSet<std::string> wanted;
  if (properties != nullptr)
    for (const auto& [key, value] : properties->members()) names.push_back(key);
  if (required != nullptr && !required->is_list())
    return Bad(where, "required is no list of names");
  for (size_t i = 0; required != nullptr && i < required->items().size(); ++i) {
    const JsonValue& key = required->items()[i];
    if (!key.is_string()) return Bad(where, "required is no list of names");
    const std::string& text = key.string();
    const bool declared =
        properties != nullptr && properties->Find(text) != nullptr;
    if (wanted.insert(text).second && !declared) names.push_back(text);
  }
  std::vector<ObjectMember> members;
  for (const std::string& key : names) {
    const JsonValue* value =
        properties == nullptr ? nullptr : properties->Find(key);
    const std::string at = absl::StrCat(where, "/properties/", key);
    if (value == nullptr) value = schema.Find("additionalProperties");
    const JsonValue anything = true;
    WEFT_ASSIGN_OR_RETURN(const std::string rule,
                          Item(value == nullptr ? anything : *value, at,
                               absl::StrCat(name, "-", key)));
    members.push_back(
        {absl::StrCat(GbnfLiteral(Compact(key)), R"( space ":" space )", rule),
         wanted.contains(key)});
  }
  return members;
}

// A member that the schema does not name, or "" where there are none.
absl::StatusOr<std::string> SchemaConverter::OtherMember(
    const JsonValue& schema, const std::string& where,
    const std::string& name) {
  const JsonValue* others = schema.Find("additionalProperties");
  const JsonValue* properties = schema.Find("properties");
  const bool named =
      (properties != nullptr && !properties->members().empty()) ||
      (schema.Find("required") != nullptr);
  if (others == nullptr && named) return "";
  if (others != nullptr && others->is_false()) return "";
  std::string value = "value";
  if (others != nullptr) {
    WEFT_ASSIGN_OR_RETURN(
        value, Item(*others, absl::StrCat(where, "/additionalProperties"),
                    absl::StrCat(name, "-value")));
  }
  HashSet<std::string> keys;
  if (properties != nullptr)
    for (const auto& [key, unused] : properties->members()) keys.insert(key);
  if (const JsonValue* required = schema.Find("required"))
    for (const JsonValue& key : required->items())
      if (key.is_string()) keys.insert(key.string());
  const std::string key = keys.empty() ? "string"
                                       : Rule(absl::StrCat(name, "-key"),
                                              OtherKeys(std::move(keys)));
  return Rule(absl::StrCat(name, "-other"),
              absl::StrCat(key, R"( space ":" space )", value));
}

absl::StatusOr<std::string> SchemaConverter::VisitObject(
    const JsonValue& schema, const std::string& where,
    const std::string& name) {
  WEFT_ASSIGN_OR_RETURN(const std::vector<ObjectMember> members,
                        ObjectMembers(schema, where, name));
  WEFT_ASSIGN_OR_RETURN(const std::string other,
                        OtherMember(schema, where, name));
  constexpr absl::string_view kComma = R"(space "," space )";
  // From the last member to the first: what may follow when one was written
  // already, and when none was.
  std::string after =
      other.empty() ? "" : absl::StrCat("(", kComma, other, ")*");
  std::string first =
      other.empty() ? "" : absl::StrCat("(", other, " ", after, ")?");
  for (size_t i = members.size(); i-- > 0;) {
    const ObjectMember& member = members[i];
    if (!after.empty()) after = Rule(absl::StrCat(name, "-after"), after);
    const std::string here = absl::StrCat(member.text, " ", after);
    const std::string begin =
        Rule(absl::StrCat(name, "-from"),
             member.required || first.empty()
                 ? (member.required ? here : absl::StrCat("(", here, ")?"))
                 : absl::StrCat(here, " | ", first));
    first = begin;
    after = absl::StrCat(member.required ? "" : "(", kComma, member.text,
                         member.required ? "" : ")?", " ", after);
  }
  return absl::StrCat(R"("{" space )", first, first.empty() ? "" : " space ",
                      R"("}")");
}

// A string of JSON that is none of `keys`: along the tree of these, a character
// that leads out of it, or an end where none of them ends.
std::string SchemaConverter::OtherKeys(HashSet<std::string> keys) {
  std::vector<std::string> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end());
  // Keys by their beginning; each level of the tree is one rule.
  HashSet<std::string> whole(keys.begin(), keys.end());
  struct Level {
    std::string begin;
    std::vector<uint32_t> characters;
  };
  std::vector<Level> levels;
  HashMap<std::string, size_t> at;
  const auto level = [&](const std::string& begin) -> Level& {
    const auto [found, is_new] = at.try_emplace(begin, levels.size());
    if (is_new) levels.push_back({begin, {}});
    return levels[found->second];
  };
  level("");
  for (const std::string& key : sorted) {
    absl::string_view rest = key;
    std::string begin;
    while (!rest.empty()) {
      const size_t size = ReadUtf8(rest).size;
      const uint32_t character = DecodeUtf8(rest.substr(0, size));
      auto& characters = level(begin).characters;
      if (std::find(characters.begin(), characters.end(), character) ==
          characters.end())
        characters.push_back(character);
      begin.append(rest.data(), size);
      rest.remove_prefix(size);
      level(begin);
    }
  }
  std::vector<std::string> rules;
  for (size_t i = 0; i < levels.size(); ++i) rules.push_back(NewName("key"));
  for (size_t i = 0; i < levels.size(); ++i) {
    std::string text, others;
    for (const uint32_t c : levels[i].characters) {
      absl::StrAppend(&others, "\\U", absl::Hex(c, absl::kZeroPad8));
      std::string begin = levels[i].begin, character;
      AppendUtf8(c, character);
      const std::string json = Compact(character);
      absl::StrAppend(&text, GbnfLiteral(json.substr(1, json.size() - 2)), " ",
                      rules[at.at(begin + character)], " | ");
    }
    absl::StrAppend(&text, R"([^"\\\x00-\x1F)", others, R"(] char* "\"")");
    if (!whole.contains(levels[i].begin)) absl::StrAppend(&text, R"( | "\"")");
    AddRule(rules[i], text);
  }
  return absl::StrCat(R"("\"" )", rules[0]);
}

}  // namespace weft::inline v0
