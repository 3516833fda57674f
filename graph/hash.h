// Hash tables for the library.
#ifndef WEFT_GRAPH_HASH_H_
#define WEFT_GRAPH_HASH_H_

#include <cstddef>
#include <functional>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// Texts of any type have one hash, so that a table of strings can be searched
// for a view.
struct Hash {
  using is_transparent = void;
  template <class T>
  size_t operator()(const T& value) const {
    if constexpr (std::is_convertible_v<const T&, absl::string_view>)
      return absl::HashOf(absl::string_view(value));
    else
      return absl::HashOf(value);
  }
};

// The standard library's, which stay as they were when memory for growing
// cannot be had. Abseil's of 20220623 take the new size before they ask for
// its memory: destroying such a table reads and frees what it does not own.
template <class Key, class T>
using HashMap = std::unordered_map<Key, T, Hash, std::equal_to<>>;
template <class Key>
using HashSet = std::unordered_set<Key, Hash, std::equal_to<>>;

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_HASH_H_
