// Attributes of nodes: small named constants.
#ifndef WEFT_GRAPH_ATTR_H_
#define WEFT_GRAPH_ATTR_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "graph/shape.h"

namespace weft::inline v0 {

// In a rewrite pattern: "any number here, remember it as capture `index`".
struct AttrCapture {
  int index;
  bool operator==(const AttrCapture&) const = default;
};

// A float parameter of a DSL function: a number, or a capture when the
// function is called to build a pattern.
class FloatAttr {
 public:
  constexpr FloatAttr(double value) : value_(value) {}  // NOLINT: 1e-5f is one
  constexpr FloatAttr(AttrCapture capture)              // NOLINT
      : value_(0), capture_(capture.index) {}

  constexpr bool is_capture() const { return capture_ >= 0; }
  constexpr double value() const { return value_; }
  constexpr AttrCapture capture() const { return {capture_}; }

 private:
  double value_;
  int capture_ = -1;
};

// Value of one attribute. Flags are int64 0 or 1.
class AttrValue {
 public:
  using Ints = std::vector<int64_t>;
  using Storage =
      std::variant<int64_t, double, std::string, Ints, Shape, AttrCapture>;

  AttrValue(int64_t v) : v_(v) {}                         // NOLINT
  AttrValue(int v) : v_(static_cast<int64_t>(v)) {}       // NOLINT
  AttrValue(bool v) : v_(static_cast<int64_t>(v)) {}      // NOLINT
  AttrValue(double v) : v_(v) {}                          // NOLINT
  AttrValue(std::string v) : v_(std::move(v)) {}          // NOLINT
  AttrValue(absl::string_view v) : v_(std::string(v)) {}  // NOLINT
  AttrValue(const char* v) : v_(std::string(v)) {}        // NOLINT
  AttrValue(Ints v) : v_(std::move(v)) {}                 // NOLINT
  AttrValue(Shape v) : v_(std::move(v)) {}                // NOLINT
  AttrValue(FloatAttr v)                                  // NOLINT
      : v_(v.is_capture() ? Storage(v.capture()) : Storage(v.value())) {}

  // Null when the value is of another kind.
  template <class T>
  const T* As() const {
    return std::get_if<T>(&v_);
  }

  std::string ToString() const;

  bool operator==(const AttrValue&) const = default;

 private:
  Storage v_;
};

// A node's attributes in the order in which its DSL function gives them (the
// same for every node of one op, so that == compares them).
class Attrs {
 public:
  Attrs() = default;
  // Names must have static storage: they are string literals of the op's file.
  Attrs(std::initializer_list<std::pair<absl::string_view, AttrValue>> list)
      : list_(list) {}

  void Add(absl::string_view name, AttrValue value) {
    list_.emplace_back(name, std::move(value));
  }
  const AttrValue* Find(absl::string_view name) const;

  // The attribute's value, or the given one when it is absent or another kind.
  int64_t Int(absl::string_view name, int64_t otherwise = 0) const;
  double Float(absl::string_view name, double otherwise = 0) const;
  absl::string_view String(absl::string_view name) const;
  absl::Span<const int64_t> Ints(absl::string_view name) const;
  // An empty shape when absent.
  const Shape& GetShape(absl::string_view name) const;

  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  bool empty() const { return list_.empty(); }
  size_t size() const { return list_.size(); }

  // "{eps=1e-05, axis=1}" without empty texts; "" when nothing is left.
  std::string ToString() const;

  bool operator==(const Attrs&) const = default;

 private:
  std::vector<std::pair<absl::string_view, AttrValue>> list_;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_ATTR_H_
