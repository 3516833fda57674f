// Sequences that begin alike share the memory of their beginning.
//
// A cache in tiles has room for each slot's positions, in chunks of 64: the
// pages. A sequence need not lie in its own slot's pages: for each chunk a
// table says in which slot's it does. To fork a sequence is to copy its row of
// the table. A page that is about to be written and that others look at is
// first exchanged for one that nobody looks at. There always is one: of each
// chunk there are as many pages as slots, and of those two slots look at the
// same.
#ifndef WEFT_BACKENDS_CPU_SLOT_PAGES_H_
#define WEFT_BACKENDS_CPU_SLOT_PAGES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft::inline v0 {
namespace cpu {

// Not thread-safe: changes between steps.
class SlotPages {
 public:
  // Every slot in its own pages.
  SlotPages(int64_t slots, int64_t chunks);

  // Whose page holds a slot's chunk: element chunk * slots + slot. Stable.
  const int32_t* table() const { return pages_.data(); }

  // Slot `to` looks at the pages of `from`, for chunks [0, chunks).
  void Share(int64_t from, int64_t to, int64_t chunks);
  // Gives the slot a page of its own for the chunk. True if it is another one
  // than before, whose slot `before` then is: what it holds is the caller's to
  // copy.
  bool MakeOwn(int64_t slot, int64_t chunk, int64_t& before);

 private:
  size_t At(int64_t chunk, int64_t slot) const {
    return static_cast<size_t>(chunk * slots_ + slot);
  }
  int64_t slots_;
  std::vector<int32_t> pages_;  // [chunks][slots]
  std::vector<int32_t> users_;  // [chunks][pages]: slots that look at it
};

}  // namespace cpu
}  // namespace weft::inline v0

#endif  // WEFT_BACKENDS_CPU_SLOT_PAGES_H_
