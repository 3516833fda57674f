// A hash index of names that are kept elsewhere.
#ifndef WEFT_MODELS_NAME_INDEX_H_
#define WEFT_MODELS_NAME_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// By what NameIndex finds an item; overload it for items of other types.
inline absl::string_view IndexName(absl::string_view name) { return name; }

// Finds items of a vector by their IndexName(item). It holds 4 bytes per item,
// a fifth of a map of views: what an index may take is bounded by the few bytes
// that an entry has in its file. The vector must outlive the index, at the same
// address, and indexed items must keep their names.
template <class Item>
class NameIndex {
 public:
  explicit NameIndex(const std::vector<Item>* items)
      : set_(0, Hash{items}, Equal{items}) {}

  void Reserve(size_t n) { set_.reserve(n); }

  // Indexes item `i`; gives the item that already has its name, if any.
  std::optional<uint32_t> Insert(uint32_t i) {
    const auto [at, is_new] = set_.insert(i);
    if (is_new) return std::nullopt;
    return *at;
  }

  std::optional<uint32_t> Find(absl::string_view name) const {
    const auto at = set_.find(name);
    if (at == set_.end()) return std::nullopt;
    return *at;
  }

 private:
  struct View {
    const std::vector<Item>* items;
    absl::string_view Of(uint32_t i) const { return IndexName((*items)[i]); }
    absl::string_view Of(absl::string_view name) const { return name; }
  };
  struct Hash : View {
    using is_transparent = void;
    template <class Key>
    size_t operator()(const Key& key) const {
      return absl::HashOf(View::Of(key));
    }
  };
  struct Equal : View {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return View::Of(a) == View::Of(b);
    }
  };

  absl::flat_hash_set<uint32_t, Hash, Equal> set_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_NAME_INDEX_H_
