#include "models/token_matcher.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

#include "absl/strings/ascii.h"

namespace weft::inline v0 {

TokenMatcher::TokenMatcher(std::vector<SpecialText> specials) {
  specials.erase(std::remove_if(specials.begin(), specials.end(),
                                [](const SpecialText& special) {
                                  return special.text.empty();
                                }),
                 specials.end());
  std::sort(specials.begin(), specials.end(),
            [](const SpecialText& a, const SpecialText& b) {
              if (a.text.size() != b.text.size())
                return a.text.size() > b.text.size();
              return a.token < b.token;
            });
  entries_.reserve(specials.size());
  for (const SpecialText& special : specials) {
    entries_.push_back({static_cast<uint32_t>(special.text.size()),
                        special.token, special.strip_after,
                        special.strip_before});
  }
  BuildTrie(specials);
}

void TokenMatcher::BuildTrie(absl::Span<const SpecialText> specials) {
  // Texts in alphabetical order, so that each level gets its nodes in order.
  // One falls out where it ends.
  std::vector<int32_t> growing(specials.size());
  std::iota(growing.begin(), growing.end(), 0);
  const auto text_of = [specials](int32_t entry) {
    return specials[static_cast<size_t>(entry)].text;
  };
  std::sort(growing.begin(), growing.end(), [text_of](int32_t a, int32_t b) {
    return std::make_pair(text_of(a), a) < std::make_pair(text_of(b), b);
  });
  nodes_.emplace_back();
  std::vector<int32_t> parents = {-1};
  for (size_t depth = 0; !growing.empty(); ++depth) {
    const size_t level = nodes_.size();
    size_t kept = 0;
    for (const int32_t index : growing) {
      Entry& entry = entries_[static_cast<size_t>(index)];
      const auto byte = static_cast<unsigned char>(text_of(index)[depth]);
      if (nodes_.size() == level || parents.back() != entry.node ||
          nodes_.back().byte != byte) {
        parents.push_back(entry.node);
        nodes_.emplace_back().byte = byte;
      }
      entry.node = static_cast<int32_t>(nodes_.size()) - 1;
      if (entry.size > depth + 1) {
        growing[kept++] = index;
        continue;
      }
      // Of equal texts the lowest token comes first here.
      std::array<int32_t, 2>& longest = nodes_.back().longest;
      const bool always = !specials[static_cast<size_t>(index)].only_parsed;
      if (always && longest[0] < 0) longest[0] = index;
      if (longest[1] < 0) longest[1] = index;
    }
    growing.resize(kept);
  }
  LinkSuffixes(parents);
}

void TokenMatcher::LinkSuffixes(absl::Span<const int32_t> parents) {
  nodes_.emplace_back();  // the sentinel
  nodes_.shrink_to_fit();
  size_t child = 1;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    while (child < parents.size() && parents[child] < static_cast<int32_t>(i))
      ++child;
    nodes_[i].first_child = static_cast<int32_t>(child);
  }
  // A suffix is shorter, hence on a level before.
  for (size_t i = 1; i < parents.size(); ++i) {
    Node& node = nodes_[i];
    if (parents[i] != 0)
      node.suffix = Step(At(parents[i]).suffix, static_cast<char>(node.byte));
    for (size_t mode = 0; mode < 2; ++mode) {
      if (node.longest[mode] < 0)
        node.longest[mode] = At(node.suffix).longest[mode];
    }
  }
}

int32_t TokenMatcher::Child(int32_t node, char byte) const {
  const auto begin = nodes_.begin() + At(node).first_child;
  const auto end = nodes_.begin() + At(node + 1).first_child;
  const auto wanted = static_cast<unsigned char>(byte);
  const auto at = std::lower_bound(
      begin, end, wanted,
      [](const Node& child, unsigned char b) { return child.byte < b; });
  if (at == end || at->byte != wanted) return -1;
  return static_cast<int32_t>(at - nodes_.begin());
}

// The longest suffix, of the text read so far and `byte`, that is a node.
int32_t TokenMatcher::Step(int32_t node, char byte) const {
  while (true) {
    const int32_t child = Child(node, byte);
    if (child >= 0) return child;
    if (node == 0) return 0;
    node = At(node).suffix;
  }
}

// One text while it is cut.
class TokenMatcher::Cutter {
 public:
  Cutter(const TokenMatcher& matcher, absl::string_view text, size_t mode)
      : matcher_(matcher), text_(text), mode_(mode) {}

  std::vector<TextPart> Run() {
    FindLongest();
    if (!found_.empty()) {
      taken_.resize(text_.size());
      // Entries are numbered by their turn; one that was in vain makes way for
      // the next longest that ends at the same byte.
      while (!found_.empty()) {
        const auto [entry, end] = found_.top();
        found_.pop();
        Try(entry, end);
      }
      std::sort(cuts_.begin(), cuts_.end(),
                [](const Cut& a, const Cut& b) { return a.begin < b.begin; });
    }
    return Parts();
  }

 private:
  struct Cut {
    uint32_t begin;
    uint32_t end;
    uint32_t before;  // where the text before it ends
    uint32_t rest;    // where the text goes on
    Token token;
  };
  using Found = std::pair<int32_t, uint32_t>;  // an entry and where it ends
  using Queue = std::priority_queue<Found, std::vector<Found>, std::greater<>>;

  void FindLongest() {
    std::vector<Found> found;
    int32_t node = 0;
    for (size_t i = 0; i < text_.size(); ++i) {
      node = matcher_.Step(node, text_[i]);
      const int32_t entry = matcher_.At(node).longest[mode_];
      if (entry >= 0) found.emplace_back(entry, static_cast<uint32_t>(i + 1));
    }
    found_ = Queue(std::greater<>(), std::move(found));
  }

  void Try(int32_t index, uint32_t end) {
    // All that took text before is at least as long: what overlaps covers the
    // first or the last byte. Nothing that ends at a taken byte can fit.
    if (taken_[end - 1]) return;
    const Entry& entry = matcher_.entries_[static_cast<size_t>(index)];
    const uint32_t begin = end - entry.size;
    if (taken_[begin]) {
      const Node& suffix = matcher_.At(matcher_.At(entry.node).suffix);
      if (suffix.longest[mode_] >= 0) found_.push({suffix.longest[mode_], end});
      return;
    }
    uint32_t before = begin;
    while (entry.strip_before && before > 0 && IsFreeSpace(before - 1))
      --before;
    uint32_t rest = end;
    while (entry.strip_after && rest < text_.size() && IsFreeSpace(rest))
      ++rest;
    std::fill(taken_.begin() + before, taken_.begin() + rest, true);
    cuts_.push_back({begin, end, before, rest, entry.token});
  }

  bool IsFreeSpace(uint32_t at) const {
    return !taken_[at] &&
           absl::ascii_isspace(static_cast<unsigned char>(text_[at]));
  }

  std::vector<TextPart> Parts() const {
    std::vector<TextPart> parts;
    parts.reserve(2 * cuts_.size() + 1);
    size_t rest = 0;
    for (const Cut& cut : cuts_) {
      if (cut.before > rest)
        parts.push_back({text_.substr(rest, cut.before - rest), kNoToken});
      parts.push_back(
          {text_.substr(cut.begin, cut.end - cut.begin), cut.token});
      rest = cut.rest;
    }
    if (rest < text_.size()) parts.push_back({text_.substr(rest), kNoToken});
    return parts;
  }

  const TokenMatcher& matcher_;
  const absl::string_view text_;
  const size_t mode_;
  Queue found_;
  std::vector<bool> taken_;  // by byte
  std::vector<Cut> cuts_;
};

std::vector<TextPart> TokenMatcher::Split(absl::string_view text,
                                          bool parse_special) const {
  return Cutter(*this, text, parse_special ? 1 : 0).Run();
}

}  // namespace weft::inline v0
