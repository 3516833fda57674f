#include "models/bpe_merger.h"

#include <algorithm>
#include <functional>

namespace weft::inline v0 {

void BpeMerger::Run(std::vector<Symbol>& symbols) {
  symbols_ = &symbols;
  const auto count = static_cast<int32_t>(symbols.size());
  if (count < 2) return;
  links_.clear();
  for (int32_t i = 0; i < count; ++i)
    links_.push_back({i - 1, i + 1 < count ? i + 1 : -1, kNever});
  first_.clear();
  Turn turn;
  for (int32_t i = 0; i < count; ++i)
    if (FindTurn(i, turn)) first_.push_back(turn);
  // Sorting the pairs that are there from the beginning is faster than taking
  // them through the heap, which is for those that merging makes.
  std::sort(first_.begin(), first_.end(), std::greater<>());
  while (!first_.empty() || !heap_.empty()) {
    turn = TakeTurn();
    const auto left = static_cast<int32_t>(turn & UINT32_MAX);
    if (At(left).rank == turn >> 32) Merge(left);
  }
  size_t kept = 0;
  for (int32_t i = 0; i >= 0; i = At(i).next)
    symbols[kept++] = symbols[static_cast<size_t>(i)];
  symbols.resize(kept);
}

BpeMerger::Turn BpeMerger::TakeTurn() {
  Turn turn;
  if (heap_.empty() || (!first_.empty() && first_.back() < heap_.front())) {
    turn = first_.back();
    first_.pop_back();
    return turn;
  }
  std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
  turn = heap_.back();
  heap_.pop_back();
  return turn;
}

bool BpeMerger::FindTurn(int32_t left, Turn& turn) {
  Link& link = At(left);
  link.rank = kNever;
  if (link.next < 0) return false;
  const BpeMerge* merge =
      merges_.Find((*symbols_)[static_cast<size_t>(left)].token,
                   (*symbols_)[static_cast<size_t>(link.next)].token);
  if (merge == nullptr) return false;
  link.rank = merge->rank;
  turn = Turn{merge->rank} << 32 | static_cast<uint32_t>(left);
  return true;
}

void BpeMerger::Merge(int32_t left) {
  Link& link = At(left);
  Link& gone = At(link.next);
  Symbol& symbol = (*symbols_)[static_cast<size_t>(left)];
  const Symbol& right = (*symbols_)[static_cast<size_t>(link.next)];
  symbol.token = merges_.Find(symbol.token, right.token)->token;
  symbol.size += right.size;
  gone.rank = kNever;
  link.next = gone.next;
  if (link.next >= 0) At(link.next).previous = left;
  for (const int32_t changed : {link.previous, left}) {
    Turn turn;
    if (changed < 0 || !FindTurn(changed, turn)) continue;
    heap_.push_back(turn);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
}

}  // namespace weft::inline v0
