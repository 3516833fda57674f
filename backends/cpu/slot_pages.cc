#include "backends/cpu/slot_pages.h"

namespace weft::inline v0 {
namespace cpu {

SlotPages::SlotPages(int64_t slots, int64_t chunks)
    : slots_(slots),
      pages_(static_cast<size_t>(slots * chunks)),
      users_(pages_.size(), 1) {
  for (size_t i = 0; i < pages_.size(); ++i)
    pages_[i] = static_cast<int32_t>(i % static_cast<size_t>(slots));
}

void SlotPages::Share(int64_t from, int64_t to, int64_t chunks) {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const int32_t page = pages_[At(chunk, from)];
    int32_t& mine = pages_[At(chunk, to)];
    ++users_[At(chunk, page)];
    --users_[At(chunk, mine)];
    mine = page;
  }
}

bool SlotPages::MakeOwn(int64_t slot, int64_t chunk, int64_t& before) {
  int32_t& page = pages_[At(chunk, slot)];
  if (users_[At(chunk, page)] == 1) return false;
  before = page;
  --users_[At(chunk, page)];
  page = 0;
  while (users_[At(chunk, page)] > 0) ++page;
  users_[At(chunk, page)] = 1;
  return true;
}

}  // namespace cpu
}  // namespace weft::inline v0
