#include "models/sampling/repetition.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/match.h"

namespace weft::inline v0 {
namespace {

size_t Window(int n) {
  return static_cast<size_t>(n < 0 ? kMaxSamplerWindow : n);
}

}  // namespace

Repetition::Repetition(const SamplerOptions& options,
                       std::shared_ptr<const TokenPieces> pieces)
    : pieces_(std::move(pieces)),
      window_(
          std::max(options.HasPenalties() ? Window(options.repeat_last_n) : 0,
                   options.HasDry() ? Window(options.dry_penalty_last_n) : 0)) {
  history_.reserve(2 * window_);
  if (options.HasPenalties()) sorted_.reserve(Window(options.repeat_last_n));
  if (!options.HasDry()) return;
  repeated_.reserve(Window(options.dry_penalty_last_n));
  next_.reserve(Window(options.dry_penalty_last_n));
  if (pieces_ == nullptr) return;
  breakers_ = options.dry_sequence_breakers;
  for (const std::string& text : breakers_)
    longest_breaker_ = std::max(longest_breaker_, text.size());
}

void Repetition::Accept(Token token) {
  if (window_ == 0) return;
  // Twice the window, so that the older half goes at once.
  if (history_.size() == 2 * window_)
    history_.erase(history_.begin(),
                   history_.end() - static_cast<std::ptrdiff_t>(window_ - 1));
  history_.push_back(token);
  since_break_ = Breaks(token) ? 0 : since_break_ + 1;
}

void Repetition::Reset() {
  history_.clear();
  tail_.clear();
  since_break_ = 0;
}

// Whether a breaker ends within the token's text.
bool Repetition::Breaks(Token token) {
  if (longest_breaker_ == 0) return false;
  const absl::string_view piece = (*pieces_)[token];
  const size_t before = tail_.size();
  tail_.append(piece.data(), piece.size());
  const bool breaks = std::any_of(
      breakers_.begin(), breakers_.end(), [&](const std::string& text) {
        const size_t from = before - std::min(before, text.size() - 1);
        return tail_.find(text, from) != tail_.npos;
      });
  if (tail_.size() >= longest_breaker_)
    tail_.erase(0, tail_.size() - (longest_breaker_ - 1));
  return breaks;
}

absl::Span<const Token> Repetition::Last(size_t n) const {
  n = std::min(n, history_.size());
  return absl::MakeConstSpan(history_).subspan(history_.size() - n);
}

void Repetition::Penalize(const SamplerOptions& o, Candidates& candidates) {
  const auto recent = Last(Window(o.repeat_last_n));
  sorted_.assign(recent.begin(), recent.end());
  std::sort(sorted_.begin(), sorted_.end());
  for (auto at = sorted_.begin(); at != sorted_.end();) {
    const auto end = std::upper_bound(at, sorted_.end(), *at);
    const auto count = static_cast<float>(end - at);
    candidates.Change(*at, [&](float logit) {
      logit = logit > 0 ? logit / o.repeat_penalty : logit * o.repeat_penalty;
      return logit - (count * o.frequency_penalty + o.presence_penalty);
    });
    at = end;
  }
}

// repeated_[i]: how many tokens before (and with) the i-th from the end equal
// those at the end: the Z function of the history read backwards (Gusfield
// 1997, 1.4), in linear time.
void Repetition::PenalizeDry(const SamplerOptions& o, Candidates& candidates) {
  const auto last = Last(Window(o.dry_penalty_last_n));
  const auto n = static_cast<int32_t>(last.size());
  const auto allowed = static_cast<size_t>(o.dry_allowed_length);
  if (last.size() <= allowed || since_break_ < allowed) return;
  const auto back = [&](int32_t i) {
    return last[static_cast<size_t>(n - 1 - i)];
  };
  repeated_.assign(last.size(), 0);
  const auto z = [this](int32_t i) -> int32_t& {
    return repeated_[static_cast<size_t>(i)];
  };
  const auto most =
      static_cast<int32_t>(std::min<size_t>(since_break_, last.size()));
  next_.clear();
  for (int32_t i = 1, left = 0, right = 0; i < n; ++i) {
    int32_t same = i < right ? std::min(right - i, z(i - left)) : 0;
    while (i + same < n && back(same) == back(i + same)) ++same;
    z(i) = same;
    if (i + same > right) {
      left = i;
      right = i + same;
    }
    same = std::min(same, most);
    if (same >= o.dry_allowed_length) next_.emplace_back(back(i - 1), same);
  }
  // The longest repetition that a token continues counts; best last.
  std::sort(next_.begin(), next_.end());
  for (size_t i = 0; i < next_.size(); ++i) {
    const auto [token, same] = next_[i];
    if (i + 1 < next_.size() && next_[i + 1].first == token) continue;
    const double penalty = std::min<double>(
        o.dry_multiplier * std::pow(o.dry_base, same - o.dry_allowed_length),
        std::numeric_limits<float>::max());
    candidates.Change(token, [penalty](float logit) {
      return static_cast<float>(logit - penalty);
    });
  }
}

}  // namespace weft::inline v0
