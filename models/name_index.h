// A hash index of items that are kept elsewhere.
#ifndef WEFT_MODELS_NAME_INDEX_H_
#define WEFT_MODELS_NAME_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "graph/hash.h"

namespace weft::inline v0 {

// By what NameIndex finds an item; overload it for items of other types.
inline absl::string_view IndexName(absl::string_view name) { return name; }

// Finds items of a vector by their IndexName(item). It holds 6 to 12 bytes per
// item, a fraction of a map of views: what an index may take is bounded by the
// few bytes that an entry has in its file. The vector must outlive the index,
// at the same address, and indexed items must keep their names.
//
// A table of places in the vector, searched from the place that the hash says
// on. When memory for growing cannot be had it stays as it was.
template <class Item>
class NameIndex {
 public:
  explicit NameIndex(const std::vector<Item>* items) : items_(items) {}

  void Reserve(size_t n) {
    if (!HasRoom(n)) Grow(2 * n + kSpare);
  }

  // Indexes item `i`; gives the item that already has its name, if any.
  std::optional<uint32_t> Insert(uint32_t i) {
    if (!HasRoom(size_ + 1)) Reserve(2 * (size_ + 1));
    uint32_t& place = PlaceOf(places_, IndexName((*items_)[i]));
    if (place != kFree) return place;
    place = i;
    ++size_;
    return std::nullopt;
  }

  // `name` is a text, or what IndexName gives for these items.
  template <class Name>
  std::optional<uint32_t> Find(const Name& name) const {
    if (size_ == 0) return std::nullopt;
    const uint32_t place = PlaceOf(places_, name);
    if (place == kFree) return std::nullopt;
    return place;
  }

 private:
  static constexpr uint32_t kFree = UINT32_MAX;
  static constexpr size_t kSpare = 2;  // one place stays free, so searches end

  // Fuller tables have long searches.
  bool HasRoom(size_t n) const { return n + n / 2 + kSpare <= places_.size(); }

  // Where the item of that name stands, or would.
  template <class Places, class Name>
  auto& PlaceOf(Places& places, const Name& name) const {
    // Items have numbers of 32 bits, and so have places.
    uint64_t at = (uint64_t{Hash()(name)} >> 32) * places.size() >> 32;
    while (places[at] != kFree && IndexName((*items_)[places[at]]) != name)
      at = at + 1 == places.size() ? 0 : at + 1;
    return places[at];
  }

  void Grow(size_t count) {
    std::vector<uint32_t> places(count, kFree);
    for (const uint32_t i : places_)
      if (i != kFree) PlaceOf(places, IndexName((*items_)[i])) = i;
    places_.swap(places);
  }

  const std::vector<Item>* items_;
  std::vector<uint32_t> places_;
  size_t size_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_NAME_INDEX_H_
