#include "models/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/utf8.h"

namespace weft::inline v0::jinja {
namespace {

// What equal keys have in common; nothing for keys that have no hash.
std::optional<std::string> HashKey(const Value& key) {
  if (key.is_string()) return absl::StrCat("s", key.string());
  if (key.is_integer()) return absl::StrCat("n", key.integer());
  if (key.is_float()) {
    const double number = key.number();
    const bool whole = std::abs(number) < 1e15 && number == std::floor(number);
    return whole ? absl::StrCat("n", static_cast<int64_t>(number))
                 : absl::StrCat("f", FloatRepr(number));
  }
  if (key.is_none()) return "0";
  return std::nullopt;
}

// As Python quotes strings: with ' unless there are ' and no " in it.
void AppendQuoted(absl::string_view text, std::string& out) {
  const char quote =
      absl::StrContains(text, '\'') && !absl::StrContains(text, '"') ? '"'
                                                                     : '\'';
  out += quote;
  for (const char c : text) {
    if (c == quote || c == '\\') {
      out += {'\\', c};
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppend(&out, "\\x", absl::Hex(c, absl::kZeroPad2));
    } else {
      out += c;
    }
  }
  out += quote;
}

}  // namespace

std::string FloatRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(
      buffer, buffer + sizeof(buffer), value,
      plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer, end.ptr);
  if (plain && !absl::StrContains(text, '.')) text += ".0";
  return text;
}

size_t CountCharacters(absl::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) {
    const Utf8Prefix prefix = ReadUtf8(text);
    text.remove_prefix(prefix.kind == Utf8Prefix::kCharacter ? prefix.size : 1);
  }
  return count;
}

std::vector<absl::string_view> Characters(absl::string_view text) {
  std::vector<absl::string_view> out;
  while (!text.empty()) {
    const Utf8Prefix prefix = ReadUtf8(text);
    const bool whole = prefix.kind == Utf8Prefix::kCharacter;
    out.push_back(text.substr(0, whole ? prefix.size : 1));
    text.remove_prefix(out.back().size());
  }
  return out;
}

Value Value::MakeUndefined(absl::string_view name) {
  Value value;
  value.data_ = Undefined{std::make_shared<const std::string>(name)};
  return value;
}

Value Value::MakeList(std::vector<Value> items, bool tuple) {
  auto list = std::make_shared<List>();
  list->tuple = tuple;
  list->items.reserve(items.size());
  for (Value& item : items) list->Add(std::move(item));
  return list;
}

void List::Add(Value item) {
  depth = std::max(depth, 1 + item.depth());
  holds_namespace = holds_namespace || item.HoldsNamespace();
  items.push_back(std::move(item));
}

bool Dict::Set(const Value& key, Value value) {
  const std::optional<std::string> hash = HashKey(key);
  if (!hash) return false;
  depth = std::max(depth, 1 + value.depth());
  holds_namespace = holds_namespace || value.HoldsNamespace();
  const auto [at, is_new] = index_.try_emplace(*hash, entries.size());
  if (is_new) {
    entries.emplace_back(key, std::move(value));
  } else {
    entries[at->second].second = std::move(value);
  }
  return true;
}

const Value* Dict::Find(const Value& key) const {
  const std::optional<std::string> hash = HashKey(key);
  if (!hash) return nullptr;
  const auto at = index_.find(*hash);
  return at == index_.end() ? nullptr : &entries[at->second].second;
}

int64_t Value::integer() const {
  if (is_bool()) return std::get<bool>(data_) ? 1 : 0;
  return std::get<int64_t>(data_);
}

double Value::number() const {
  return is_float() ? std::get<double>(data_) : static_cast<double>(integer());
}

absl::string_view Value::undefined_name() const {
  const auto* undefined = std::get_if<Undefined>(&data_);
  if (undefined == nullptr || undefined->name == nullptr) return "value";
  return *undefined->name;
}

bool Value::Truth() const {
  if (is_undefined() || is_none()) return false;
  if (is_number()) return number() != 0;
  if (is_string()) return !string().empty();
  if (is_list()) return !list()->items.empty();
  if (is_dict()) return dict()->is_namespace || !dict()->entries.empty();
  return true;
}

int Value::depth() const {
  if (is_list()) return list()->depth;
  if (is_dict()) return dict()->depth;
  return 0;
}

bool Value::HoldsNamespace() const {
  if (is_function()) return true;
  if (is_list()) return list()->holds_namespace;
  return is_dict() && (dict()->is_namespace || dict()->holds_namespace);
}

absl::string_view Value::TypeName() const {
  if (is_undefined()) return "undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (is_string()) return "str";
  if (is_list()) return list()->tuple ? "tuple" : "list";
  if (is_dict()) return dict()->is_namespace ? "namespace" : "dict";
  return "function";
}

std::string Value::ToString() const {
  if (is_undefined()) return "";
  if (is_string()) return string();
  return Repr();
}

std::string Value::Repr() const {
  std::string out;
  AppendRepr(out);
  return out;
}

// Containers are only so deep, see Interpreter::CheckDepth.
void Value::AppendRepr(std::string& out) const {
  if (is_undefined()) {
    out += "Undefined";
  } else if (is_none()) {
    out += "None";
  } else if (is_bool()) {
    out += std::get<bool>(data_) ? "True" : "False";
  } else if (is_integer()) {
    absl::StrAppend(&out, integer());
  } else if (is_float()) {
    out += FloatRepr(number());
  } else if (is_string()) {
    AppendQuoted(string(), out);
  } else if (is_list()) {
    const List& list = *this->list();
    out += list.tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out += ", ";
      list.items[i].AppendRepr(out);
    }
    if (list.tuple && list.items.size() == 1) out += ',';
    out += list.tuple ? ')' : ']';
  } else if (is_dict()) {
    out += '{';
    for (size_t i = 0; i < dict()->entries.size(); ++i) {
      if (i > 0) out += ", ";
      dict()->entries[i].first.AppendRepr(out);
      out += ": ";
      dict()->entries[i].second.AppendRepr(out);
    }
    out += '}';
  } else {
    absl::StrAppend(&out, "<function ", function()->name, ">");
  }
}

bool Value::operator==(const Value& other) const {
  if (is_integer() && other.is_integer()) return integer() == other.integer();
  if (is_number() && other.is_number()) return number() == other.number();
  if (is_string() && other.is_string()) return string() == other.string();
  if (is_undefined() || is_none()) return data_.index() == other.data_.index();
  if (is_list() && other.is_list()) {
    return list()->tuple == other.list()->tuple &&
           list()->items == other.list()->items;
  }
  if (is_dict() && other.is_dict()) {
    if (dict()->is_namespace || other.dict()->is_namespace)
      return dict() == other.dict();
    if (dict()->entries.size() != other.dict()->entries.size()) return false;
    for (const auto& [key, value] : dict()->entries) {
      const Value* same = other.dict()->Find(key);
      if (same == nullptr || !(*same == value)) return false;
    }
    return true;
  }
  return is_function() && function() == other.function();
}

std::optional<bool> Less(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() < b.integer();
  if (a.is_number() && b.is_number()) return a.number() < b.number();
  // Bytes of UTF-8 order as its characters do.
  if (a.is_string() && b.is_string()) return a.string() < b.string();
  if (!a.is_list() || !b.is_list()) return std::nullopt;
  const std::vector<Value>& x = a.list()->items;
  const std::vector<Value>& y = b.list()->items;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i)
    if (!(x[i] == y[i])) return Less(x[i], y[i]);
  return x.size() < y.size();
}

}  // namespace weft::inline v0::jinja
