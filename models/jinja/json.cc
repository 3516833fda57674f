#include "models/jinja/json.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/json.h"
#include "models/utf8.h"

namespace weft::inline v0::jinja {
namespace {

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}

  absl::Status Write(const Value& value, int level) {
    if (value.is_none()) {
      out_ += "null";
    } else if (value.is_bool()) {
      out_ += value.Truth() ? "true" : "false";
    } else if (value.is_integer()) {
      absl::StrAppend(&out_, value.integer());
    } else if (value.is_float()) {
      WriteFloat(value.number());
    } else if (value.is_string()) {
      WriteString(value.string());
    } else if (value.is_list()) {
      return WriteList(*value.list(), level);
    } else if (value.is_dict() && !value.dict()->is_namespace) {
      return WriteDict(*value.dict(), level);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("a ", value.TypeName(), " has no JSON"));
    }
    return absl::OkStatus();
  }
  std::string Take() { return std::move(out_); }

 private:
  void WriteFloat(double value) {
    if (std::isnan(value))
      out_ += "NaN";
    else if (std::isinf(value))
      out_ += value < 0 ? "-Infinity" : "Infinity";
    else
      out_ += FloatRepr(value);
  }

  void WriteString(absl::string_view text) {
    out_ += '"';
    for (const absl::string_view character : Characters(text)) {
      const char c = character[0];
      constexpr absl::string_view kNamed = "\"\\\n\r\t\f\b";
      constexpr absl::string_view kNames = "\"\\nrtfb";
      if (const size_t at = kNamed.find(c); at != kNamed.npos) {
        out_ += {'\\', kNames[at]};
      } else if (static_cast<unsigned char>(c) < 0x20) {
        absl::StrAppend(&out_, "\\u", absl::Hex(c, absl::kZeroPad4));
      } else if (style_.ensure_ascii && character.size() > 1) {
        WriteEscaped(DecodeUtf8(character));
      } else {
        out_.append(character.data(), character.size());
      }
    }
    out_ += '"';
  }

  void WriteEscaped(uint32_t code) {
    if (code < 0x10000) {
      absl::StrAppend(&out_, "\\u", absl::Hex(code, absl::kZeroPad4));
    } else {
      code -= 0x10000;
      WriteEscaped(0xD800 + (code >> 10));
      WriteEscaped(0xDC00 + (code & 0x3FF));
    }
  }

  void NewLine(int level) {
    if (style_.indent < 0) return;
    out_ += '\n';
    out_.append(static_cast<size_t>(style_.indent * level), ' ');
  }

  absl::Status WriteList(const List& list, int level) {
    out_ += '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      NewLine(level + 1);
      WEFT_RETURN_IF_ERROR(Write(list.items[i], level + 1));
    }
    if (!list.items.empty()) NewLine(level);
    out_ += ']';
    return absl::OkStatus();
  }

  absl::Status WriteDict(const Dict& dict, int level) {
    auto entries = dict.entries;
    if (style_.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [](const auto& a, const auto& b) {
                         return a.first.ToString() < b.first.ToString();
                       });
    }
    out_ += '{';
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) out_ += style_.item_separator;
      NewLine(level + 1);
      const Value& key = entries[i].first;
      Writer name(style_);
      WEFT_RETURN_IF_ERROR(name.Write(key, 0));
      WriteString(key.is_string() ? key.string() : name.Take());
      out_ += style_.key_separator;
      WEFT_RETURN_IF_ERROR(Write(entries[i].second, level + 1));
    }
    if (!entries.empty()) NewLine(level);
    out_ += '}';
    return absl::OkStatus();
  }

  const JsonStyle style_;
  std::string out_;
};

// Takes the texts out of `json`.
Value FromJson(JsonValue& json) {
  if (json.is_null()) return Value::None();
  if (json.is_bool()) return json.is_true();
  if (json.is_integer()) return json.integer();
  if (json.is_number()) return json.number();
  if (json.is_string()) return std::move(json.string());
  if (json.is_list()) {
    std::vector<Value> items;
    for (JsonValue& item : json.list()) items.push_back(FromJson(item));
    return Value::MakeList(std::move(items));
  }
  auto dict = std::make_shared<Dict>();
  for (auto& [name, member] : json.object())
    dict->Set(std::move(name), FromJson(member));
  return dict;
}

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  WEFT_RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

absl::StatusOr<Value> ParseJson(absl::string_view text) {
  auto json = weft::ParseJson(text, {.repeated = RepeatedNames::kLast});
  if (json.ok()) return FromJson(*json);
  return absl::Status(json.status().code(),
                      absl::StrCat("JINJA-6: ", json.status().message()));
}

}  // namespace weft::inline v0::jinja
