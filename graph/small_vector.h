// A vector whose first N elements need no memory of their own.
#ifndef WEFT_GRAPH_SMALL_VECTOR_H_
#define WEFT_GRAPH_SMALL_VECTOR_H_

#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

namespace weft::inline v0 {

// std::vector's interface, as far as graphs need it, for short lists: shapes,
// operands, attributes. Elements lie in an array of N until there are more,
// then all of them in a std::vector. Weft's own because its public headers show
// nothing of Abseil but Status, Span and string_view. T has a default value,
// and copies cost N of them: for small types alone. Iterators last until the
// next change of size.
template <typename T, size_t N>
class SmallVector {
 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  SmallVector() = default;
  explicit SmallVector(size_t size, const T& value = T()) {
    resize(size, value);
  }
  SmallVector(std::initializer_list<T> list)
      : SmallVector(list.begin(), list.end()) {}
  template <std::input_iterator Iterator>
  SmallVector(Iterator first, Iterator last) {
    assign(first, last);
  }

  size_t size() const { return many_.empty() ? few_size_ : many_.size(); }
  bool empty() const { return size() == 0; }
  T* data() { return many_.empty() ? few_.data() : many_.data(); }
  const T* data() const { return many_.empty() ? few_.data() : many_.data(); }
  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }
  T& operator[](size_t i) { return data()[i]; }
  const T& operator[](size_t i) const { return data()[i]; }
  T& front() { return *data(); }
  const T& front() const { return *data(); }
  T& back() { return data()[size() - 1]; }
  const T& back() const { return data()[size() - 1]; }

  void push_back(T value) { emplace_back(std::move(value)); }
  template <typename... Args>
  T& emplace_back(Args&&... args) {
    if (!many_.empty()) return many_.emplace_back(std::forward<Args>(args)...);
    if (few_size_ < N) {
      few_[few_size_] = T(std::forward<Args>(args)...);
      return few_[few_size_++];
    }
    T value(std::forward<Args>(args)...);  // may refer to what moves
    many_.assign(std::move_iterator(few_.begin()),
                 std::move_iterator(few_.end()));
    few_size_ = 0;
    return many_.emplace_back(std::move(value));
  }
  template <typename Iterator>
  void assign(Iterator first, Iterator last) {
    clear();
    for (; first != last; ++first) emplace_back(*first);
  }
  void resize(size_t size, const T& value = T()) {
    while (this->size() > size) pop_back();
    while (this->size() < size) push_back(value);
  }
  void pop_back() {
    if (many_.empty())
      few_[--few_size_] = T();
    else
      many_.pop_back();
  }
  void clear() {
    while (!empty()) pop_back();
  }
  T* erase(T* position) {
    std::move(position + 1, end(), position);
    const auto index = static_cast<size_t>(position - data());
    pop_back();
    return data() + index;
  }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (!(a[i] == b[i])) return false;
    return true;
  }

 private:
  std::array<T, N> few_{};
  size_t few_size_ = 0;  // 0 while there are many
  std::vector<T> many_;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_SMALL_VECTOR_H_
