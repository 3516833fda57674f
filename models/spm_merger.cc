#include "models/spm_merger.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <optional>

#include "graph/status_macros.h"
#include "models/utf8.h"

namespace weft::inline v0 {
namespace {

// The first character, or the first byte where there is none. Unlike llama.cpp,
// which goes by the first byte alone, this never lets a byte that is out of
// place swallow the space after it: any bytes survive encoding and decoding.
absl::string_view FirstCharacter(absl::string_view text) {
  const Utf8Prefix prefix = ReadUtf8(text);
  return text.substr(0,
                     prefix.kind == Utf8Prefix::kCharacter ? prefix.size : 1);
}

// A character of 1 to 4 bytes as a number of its own.
uint32_t Pack(absl::string_view character) {
  uint32_t packed = 1;  // tells "\0x" from "x"; four bytes push it out
  for (const char byte : character)
    packed = packed << 8 | static_cast<unsigned char>(byte);
  return packed;
}

// Falls as the score rises; never UINT32_MAX, since no score is NaN.
uint32_t TurnOf(float score) {
  // The bits of floats of one sign order as the numbers do. Adding 0 makes -0
  // the same as 0.
  const uint32_t bits = std::bit_cast<uint32_t>(score + 0.0f);
  const bool negative = bits >> 31 != 0;
  return negative ? bits : ~bits & 0x7FFFFFFF;
}

}  // namespace

SpmBoundaries::SpmBoundaries(const Vocab& vocab) {
  for (Token token = 0; token < vocab.size(); ++token) {
    absl::string_view rest = vocab.text(token);
    absl::string_view previous;
    while (!rest.empty()) {
      const absl::string_view character = FirstCharacter(rest);
      if (character == kSpmSpace && !previous.empty())
        joining_.insert(Pack(previous));
      previous = character;
      rest.remove_prefix(character.size());
    }
  }
}

bool SpmBoundaries::Joins(absl::string_view character) const {
  return joining_.contains(Pack(character));
}

absl::Status SpmMerger::Run(absl::string_view text, Sink sink) {
  text_ = text;
  symbols_.clear();
  absl::string_view previous;
  for (size_t begin = 0; begin < text.size();) {
    const absl::string_view character = FirstCharacter(text.substr(begin));
    if (character == kSpmSpace && !symbols_.empty() &&
        !boundaries_.Joins(previous)) {
      WEFT_RETURN_IF_ERROR(MergeStretch(sink));
      symbols_.clear();
    }
    const int32_t index = static_cast<int32_t>(symbols_.size());
    symbols_.push_back({static_cast<uint32_t>(begin),
                        static_cast<uint32_t>(character.size()), index - 1,
                        index + 1, kNever});
    previous = character;
    begin += character.size();
  }
  return MergeStretch(sink);
}

// Merges symbols_, which no token goes beyond.
absl::Status SpmMerger::MergeStretch(Sink sink) {
  if (symbols_.empty()) return absl::OkStatus();
  symbols_.back().next = -1;
  first_.clear();
  for (int32_t i = 0; At(i).next >= 0; ++i) {
    if (const std::optional<Turn> turn = FindTurn(i)) first_.push_back(*turn);
  }
  // Most pairs are there from the beginning: sorting them once is faster than
  // taking them through the heap, which is for those that merging makes.
  std::sort(first_.begin(), first_.end(), std::greater<>());
  while (!first_.empty() || !heap_.empty()) Merge(TakeTurn());
  for (int32_t i = 0; i >= 0; i = At(i).next) {
    WEFT_RETURN_IF_ERROR(sink(text_.substr(At(i).begin, At(i).size)));
  }
  return absl::OkStatus();
}

SpmMerger::Turn SpmMerger::TakeTurn() {
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

std::optional<SpmMerger::Turn> SpmMerger::FindTurn(int32_t left) {
  Symbol& symbol = At(left);
  symbol.turn = kNever;
  if (symbol.next < 0) return std::nullopt;
  const uint32_t size = symbol.size + At(symbol.next).size;
  const Token token = vocab_.Find(text_.substr(symbol.begin, size));
  if (token == kNoToken) return std::nullopt;
  symbol.turn = TurnOf(vocab_.score(token));
  return Turn{symbol.turn} << 32 | static_cast<uint32_t>(left);
}

void SpmMerger::AddTurn(int32_t left) {
  const std::optional<Turn> turn = FindTurn(left);
  if (!turn) return;
  heap_.push_back(*turn);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

void SpmMerger::Merge(Turn turn) {
  const int32_t index = static_cast<int32_t>(turn & UINT32_MAX);
  Symbol& left = At(index);
  if (left.turn != turn >> 32) return;
  Symbol& right = At(left.next);
  left.size += right.size;
  left.next = right.next;
  right.size = 0;
  right.turn = kNever;
  if (left.next >= 0) At(left.next).previous = index;
  if (left.previous >= 0) AddTurn(left.previous);
  AddTurn(index);
}

}  // namespace weft::inline v0
