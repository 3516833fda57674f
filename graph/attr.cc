#include "graph/attr.h"

#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft::inline v0 {
namespace {

struct Printer {
  std::string operator()(int64_t v) const { return absl::StrCat(v); }
  // Seven digits show every f32 that a model file gives as its writer meant it.
  std::string operator()(double v) const {
    std::array<char, 32> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), v,
                                   std::chars_format::general, 7);
    return std::string(text.data(), end.ptr);
  }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const std::vector<int64_t>& v) const {
    return absl::StrCat("(", absl::StrJoin(v, ","), ")");
  }
  std::string operator()(const Shape& v) const { return v.ToString(); }
  std::string operator()(const AttrCapture& v) const {
    return absl::StrCat("$", v.index);
  }
};

}  // namespace

std::string AttrValue::ToString() const { return std::visit(Printer(), v_); }

const AttrValue* Attrs::Find(absl::string_view name) const {
  for (const auto& [key, value] : list_)
    if (key == name) return &value;
  return nullptr;
}

int64_t Attrs::Int(absl::string_view name, int64_t otherwise) const {
  const AttrValue* found = Find(name);
  const int64_t* v = found ? found->As<int64_t>() : nullptr;
  return v ? *v : otherwise;
}

double Attrs::Float(absl::string_view name, double otherwise) const {
  const AttrValue* found = Find(name);
  const double* v = found ? found->As<double>() : nullptr;
  return v ? *v : otherwise;
}

absl::string_view Attrs::String(absl::string_view name) const {
  const AttrValue* found = Find(name);
  const std::string* v = found ? found->As<std::string>() : nullptr;
  return v ? absl::string_view(*v) : absl::string_view();
}

absl::Span<const int64_t> Attrs::Ints(absl::string_view name) const {
  const AttrValue* found = Find(name);
  const AttrValue::Ints* v = found ? found->As<AttrValue::Ints>() : nullptr;
  return v ? absl::Span<const int64_t>(*v) : absl::Span<const int64_t>();
}

const Shape& Attrs::GetShape(absl::string_view name) const {
  static const Shape* const kEmpty = new Shape();
  const AttrValue* found = Find(name);
  const Shape* v = found ? found->As<Shape>() : nullptr;
  return v ? *v : *kEmpty;
}

std::string Attrs::ToString() const {
  std::string out;
  for (const auto& [name, value] : list_) {
    // "" is how an op says that a named option is not used.
    if (const auto* text = value.As<std::string>(); text && text->empty())
      continue;
    absl::StrAppend(&out, out.empty() ? "{" : ", ", name, "=",
                    value.ToString());
  }
  return out.empty() ? out : out + "}";
}

}  // namespace weft::inline v0
