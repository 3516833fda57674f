#include "models/grammar/states.h"

#include <algorithm>


namespace weft::inline v0 {

GrammarStates::GrammarStates(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)),
      class_of_(grammar_->byte_classes()),
      classes_(static_cast<size_t>(grammar_->byte_class_count())),
      byte_of_(classes_) {
  for (size_t byte = 0; byte < 256; ++byte)
    byte_of_[class_of_[byte]] = static_cast<uint8_t>(byte);
  Clear();
}

void GrammarStates::Clear() {
  calls_.clear();
  call_ids_.clear();
  places_.clear();
  ids_.clear();
  steps_.clear();
  accepts_.clear();
  full_ = false;
  Intern({});  // kDead
  const Place start = {grammar_->start(), kNoCalls};
  start_ = Close({&start, 1});
}

int32_t GrammarStates::Call(int32_t return_to, int32_t calls) {
  const Place call = {return_to, calls};
  const auto [found, is_new] =
      call_ids_.try_emplace(call, static_cast<int32_t>(calls_.size()));
  if (is_new) calls_.push_back(call);
  return found->second;
}

GrammarStates::Id GrammarStates::Step(Id state, size_t at) {
  const uint8_t byte = byte_of_[at % classes_];
  Places next;
  for (const Place& place : places_[Index(state)]) {
    if (place.pc == kAccepted) continue;
    const Inst& inst = grammar_->code()[Index(place.pc)];
    if (inst.lo <= byte && byte <= inst.hi)
      next.push_back({place.pc + 1, place.calls});
  }
  const Id id = Close(next);
  steps_[at] = id;
  return id;
}

GrammarStates::Id GrammarStates::Close(absl::Span<const Place> seeds) {
  Places places;
  open_.assign(seeds.begin(), seeds.end());
  seen_.clear();
  while (!open_.empty()) {
    const Place at = open_.back();
    open_.pop_back();
    if (!seen_.insert(at).second) continue;
    if (seen_.size() > kMaxPlaces) {
      full_ = true;
      return kDead;
    }
    const Inst& inst = grammar_->code()[Index(at.pc)];
    switch (inst.op) {
      case Inst::kByte:
        if (inst.lo <= inst.hi) places.push_back(at);
        break;
      case Inst::kSplit:
        open_.push_back({at.pc + inst.b, at.calls});
        open_.push_back({at.pc + inst.a, at.calls});
        break;
      case Inst::kJump:
        open_.push_back({at.pc + inst.a, at.calls});
        break;
      case Inst::kCall:
        // A last call needs no return: `a ::= "x" a` stays in one state.
        open_.push_back(
            {inst.a, inst.b != 0 ? at.calls : Call(at.pc + 1, at.calls)});
        break;
      case Inst::kEnd:
        if (at.calls == kNoCalls)
          places.push_back({kAccepted, kNoCalls});
        else
          open_.push_back(calls_[Index(at.calls)]);
        break;
    }
  }
  std::sort(places.begin(), places.end());
  return Intern(std::move(places));
}

GrammarStates::Id GrammarStates::Intern(Places places) {
  uint64_t hash = 0;
  for (const Place& place : places) hash = hash * 31 + PlaceHash()(place);
  // Equal hashes of different states are told apart by the next number.
  for (;; ++hash) {
    const auto found = ids_.find(hash);
    if (found == ids_.end()) break;
    if (places_[Index(found->second)] == places) return found->second;
  }
  if (places_.size() >= kMaxStates) {
    full_ = true;
    return kDead;
  }
  const Id id = static_cast<Id>(places_.size());
  accepts_.push_back(!places.empty() && places[0].pc == kAccepted);
  steps_.resize(steps_.size() + classes_, id == kDead ? kDead : -1);
  places_.push_back(std::move(places));
  ids_.emplace(hash, id);
  return id;
}

int32_t GrammarStates::Move(const std::vector<Place>& from, int32_t calls) {
  std::vector<int32_t> returns;
  for (; calls != kNoCalls; calls = from[Index(calls)].calls)
    returns.push_back(from[Index(calls)].pc);
  for (auto at = returns.rbegin(); at != returns.rend(); ++at)
    calls = Call(*at, calls);
  return calls;
}

GrammarStates::Id GrammarStates::Forget(Id state) {
  Places places = places_[Index(state)];
  const std::vector<Place> calls = calls_;
  Clear();
  for (Place& place : places) place.calls = Move(calls, place.calls);
  std::sort(places.begin(), places.end());
  return Intern(std::move(places));
}

}  // namespace weft::inline v0
