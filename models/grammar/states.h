// The places that a text can be at in a grammar.
#ifndef WEFT_MODELS_GRAMMAR_STATES_H_
#define WEFT_MODELS_GRAMMAR_STATES_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/types/span.h"
#include "models/grammar/grammar.h"

namespace weft::inline v0 {

// A grammar as a deterministic machine that is built while it runs: a state is
// the set of all places in the code, each with the calls it has to return to,
// that the bytes so far may lead to; a step that was taken once is looked up.
// Not thread-safe.
class GrammarStates {
 public:
  using Id = int32_t;
  static constexpr Id kDead = 0;  // no text goes on from here
  // Places of one state at most (what an ambiguous grammar would have without
  // end), and states at most.
  static constexpr size_t kMaxPlaces = 20'000;
  static constexpr size_t kMaxStates = 100'000;

  explicit GrammarStates(std::shared_ptr<const Grammar> grammar);

  Id start() const { return start_; }
  // Where `byte` leads. kDead also where a limit is passed; see full().
  Id Next(Id state, uint8_t byte) {
    const size_t at = Index(state) * classes_ + class_of_[byte];
    const Id next = steps_[at];
    return next >= 0 ? next : Step(state, at);
  }
  // Whether the text may end here.
  bool Accepts(Id state) const { return accepts_[Index(state)]; }
  // Whether a limit was passed: some texts were then taken for dead.
  bool full() const { return full_; }
  size_t size() const { return places_.size(); }

  // Forgets all states but the start and `state`, whose new id it returns.
  Id Forget(Id state);

 private:
  // A place in the code with the calls around it, the innermost one's id.
  struct Place {
    int32_t pc;
    int32_t calls;
    friend bool operator==(const Place&, const Place&) = default;
    friend auto operator<=>(const Place&, const Place&) = default;
  };
  // Multiplied (by 2^64 / golden ratio) so that the low bits depend on both.
  struct PlaceHash {
    size_t operator()(const Place& p) const {
      const uint64_t both = static_cast<uint64_t>(static_cast<uint32_t>(p.pc))
                                << 32 |
                            static_cast<uint32_t>(p.calls);
      const uint64_t product = both * 0x9E3779B97F4A7C15u;
      return static_cast<size_t>(product ^ product >> 32);
    }
  };
  using Places = std::vector<Place>;
  static constexpr int32_t kNoCalls = -1;
  static constexpr int32_t kAccepted = -1;  // a pc: the text may end

  static size_t Index(Id id) { return static_cast<size_t>(id); }
  Id Step(Id state, size_t at);
  // The state of what is reached from `seeds` without a byte.
  Id Close(absl::Span<const Place> seeds);
  Id Intern(Places places);
  int32_t Call(int32_t return_to, int32_t calls);
  // The same calls in these tables, which are those of another time.
  int32_t Move(const std::vector<Place>& from, int32_t calls);
  void Clear();

  std::shared_ptr<const Grammar> grammar_;
  std::array<uint8_t, 256> class_of_;
  size_t classes_;
  std::vector<uint8_t> byte_of_;  // one of each class
  std::vector<Place> calls_;  // pc: where to return to; calls: the outer ones
  std::unordered_map<Place, int32_t, PlaceHash> call_ids_;
  std::vector<Places> places_;  // by state
  std::unordered_map<uint64_t, Id> ids_;
  std::vector<Id> steps_;  // by state and class; -1: not known yet
  std::vector<bool> accepts_;
  Id start_ = kDead;
  bool full_ = false;
  Places open_;  // of Close
  std::unordered_set<Place, PlaceHash> seen_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_STATES_H_
