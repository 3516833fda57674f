#include "models/jinja/json.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/utf8.h"

namespace weft::inline v0::jinja {
namespace {

constexpr int kMaxNesting = 200;

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
        absl::StrAppendFormat(&out_, "\\u%04x", c);
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
      absl::StrAppendFormat(&out_, "\\u%04x", code);
    } else {
      code -= 0x10000;
      absl::StrAppendFormat(&out_, "\\u%04x\\u%04x", 0xD800 + (code >> 10),
                            0xDC00 + (code & 0x3FF));
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

class Reader {
 public:
  Reader(absl::string_view text, RepeatedKeys repeated)
      : text_(text), rest_(text), repeated_(repeated) {}

  absl::StatusOr<Value> Run() {
    WEFT_ASSIGN_OR_RETURN(Value value, Read(0));
    SkipSpace();
    if (!rest_.empty()) return Error("nothing more");
    return value;
  }

 private:
  absl::Status Error(absl::string_view expected) const {
    return absl::InvalidArgumentError(absl::StrCat("JINJA-6: no JSON: at byte ",
                                                   text_.size() - rest_.size(),
                                                   " expected ", expected));
  }

  void SkipSpace() {
    const size_t at = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(at, rest_.size()));
  }
  bool Take(absl::string_view text) {
    SkipSpace();
    return absl::ConsumePrefix(&rest_, text);
  }

  absl::StatusOr<Value> Read(int level) {
    if (level > kMaxNesting) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "JINJA-6: JSON: nesting of more than ", kMaxNesting, " levels"));
    }
    if (Take("null")) return Value(Value::None());
    if (Take("true")) return Value(true);
    if (Take("false")) return Value(false);
    if (Take("[")) return ReadList(level);
    if (Take("{")) return ReadDict(level);
    if (!rest_.empty() && rest_[0] == '"') {
      WEFT_ASSIGN_OR_RETURN(std::string text, ReadString());
      return Value(std::move(text));
    }
    return ReadNumber();
  }

  absl::StatusOr<Value> ReadList(int level) {
    std::vector<Value> items;
    if (Take("]")) return Value::MakeList({});
    do {
      WEFT_ASSIGN_OR_RETURN(items.emplace_back(), Read(level + 1));
    } while (Take(","));
    if (!Take("]")) return Error("\",\" or \"]\"");
    return Value::MakeList(std::move(items));
  }

  absl::StatusOr<Value> ReadDict(int level) {
    auto dict = std::make_shared<Dict>();
    if (Take("}")) return Value(std::move(dict));
    do {
      SkipSpace();
      WEFT_ASSIGN_OR_RETURN(std::string key, ReadString());
      if (!Take(":")) return Error("\":\"");
      WEFT_ASSIGN_OR_RETURN(Value value, Read(level + 1));
      if (repeated_ == RepeatedKeys::kError &&
          dict->Find(Value(key)) != nullptr)
        return absl::AlreadyExistsError(
            absl::StrCat("JINJA-6: the key ", QuoteInput(key),
                         " stands twice in a JSON object, again before byte ",
                         text_.size() - rest_.size()));
      dict->Set(Value(std::move(key)), std::move(value));
    } while (Take(","));
    if (!Take("}")) return Error("\",\" or \"}\"");
    return Value(std::move(dict));
  }

  absl::StatusOr<Value> ReadNumber() {
    size_t size = rest_.find_first_not_of("+-0123456789.eE");
    size = std::min(size, rest_.size());
    const absl::string_view text = rest_.substr(0, size);
    int64_t integer = 0;
    double number = 0;
    Value value;
    if (text.empty() || text[0] == '+') return Error("a value");
    if (absl::SimpleAtoi(text, &integer)) {
      value = Value(integer);
    } else if (absl::SimpleAtod(text, &number)) {
      value = Value(number);
    } else {
      return Error("a value");
    }
    rest_.remove_prefix(size);
    return value;
  }

  absl::StatusOr<std::string> ReadString() {
    if (rest_.empty() || rest_[0] != '"') return Error("a string");
    rest_.remove_prefix(1);
    std::string out;
    while (!rest_.empty() && rest_[0] != '"') {
      if (rest_[0] == '\\') {
        WEFT_RETURN_IF_ERROR(ReadEscape(out));
      } else {
        out += rest_[0];
        rest_.remove_prefix(1);
      }
    }
    if (rest_.empty()) return Error("the end of a string");
    rest_.remove_prefix(1);
    if (!IsValidUtf8(out)) return Error("valid UTF-8 before this");
    return out;
  }

  absl::Status ReadEscape(std::string& out) {
    constexpr absl::string_view kNames = "\"\\/nrtfb";
    constexpr absl::string_view kMeant = "\"\\/\n\r\t\f\b";
    const char c = rest_.size() > 1 ? rest_[1] : '\0';
    if (const size_t at = kNames.find(c); c != '\0' && at != kNames.npos) {
      out += kMeant[at];
      rest_.remove_prefix(2);
      return absl::OkStatus();
    }
    uint32_t code = 0;
    if (!ReadUnit(code)) return Error("an escape");
    uint32_t low = 0;
    if (code >> 10 == 0xD800 >> 10 && ReadUnit(low) &&
        low >> 10 == 0xDC00 >> 10)
      code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
    if (code >= 0xD800 && code < 0xE000) return Error("a pair of surrogates");
    AppendUtf8(code, out);
    return absl::OkStatus();
  }

  // "\u1234"
  bool ReadUnit(uint32_t& code) {
    if (rest_.size() < 6 || rest_[0] != '\\' || rest_[1] != 'u' ||
        !absl::SimpleHexAtoi(rest_.substr(2, 4), &code))
      return false;
    rest_.remove_prefix(6);
    return true;
  }

  const absl::string_view text_;
  absl::string_view rest_;
  const RepeatedKeys repeated_;
};

}  // namespace

absl::StatusOr<std::string> ToJson(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  WEFT_RETURN_IF_ERROR(writer.Write(value, 0));
  return writer.Take();
}

absl::StatusOr<Value> ParseJson(absl::string_view text, RepeatedKeys repeated) {
  return Reader(text, repeated).Run();
}

}  // namespace weft::inline v0::jinja
