#include "models/grammar/matcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

// What is kept between tokens, at most: sets of tokens (16 KiB each for 128
// thousand tokens) and states.
constexpr size_t kMaxMasks = 1024;
constexpr size_t kKeptStates = GrammarStates::kMaxStates / 4;

}  // namespace

absl::StatusOr<GrammarMatcher> GrammarMatcher::Make(
    std::shared_ptr<const Grammar> grammar,
    std::shared_ptr<const TokenPieces> pieces) {
  GrammarMatcher made(std::move(grammar), std::move(pieces));
  WEFT_RETURN_IF_ERROR(made.CheckLimits());
  return made;
}

GrammarMatcher::GrammarMatcher(std::shared_ptr<const Grammar> grammar,
                               std::shared_ptr<const TokenPieces> pieces)
    : pieces_(std::move(pieces)),
      trie_(std::make_shared<const TokenTrie>(*pieces_)),
      states_(std::move(grammar)),
      at_(states_.start()),
      words_((static_cast<size_t>(pieces_->size()) + 63) / 64),
      path_(trie_->depth() + 1) {}

absl::Status GrammarMatcher::CheckLimits() const {
  if (!states_.full()) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the grammar is too ambiguous: a text can be at more than ",
      GrammarStates::kMaxPlaces, " places of it, or lead to more than ",
      GrammarStates::kMaxStates, " states"));
}

void GrammarMatcher::Forget() {
  at_ = states_.Forget(at_);
  masks_.clear();
  mask_of_.clear();
}

absl::StatusOr<absl::Span<const uint64_t>> GrammarMatcher::Allowed() {
  if (states_.size() > kKeptStates || mask_of_.size() >= kMaxMasks) Forget();
  const auto [found, is_new] = mask_of_.try_emplace(at_, masks_.size());
  const size_t begin = found->second;
  if (is_new) {
    masks_.resize(masks_.size() + words_);
    Walk(absl::MakeSpan(masks_).subspan(begin, words_));
  }
  if (const absl::Status limits = CheckLimits(); !limits.ok()) {
    Forget();  // what was taken for dead may not be
    return limits;
  }
  return absl::MakeConstSpan(masks_).subspan(begin, words_);
}

void GrammarMatcher::Walk(absl::Span<uint64_t> allowed) {
  const auto allow = [allowed](Token token) {
    allowed[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
  };
  const auto nodes = trie_->nodes();
  path_[0] = at_;
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node node = nodes[i];
    const GrammarStates::Id state =
        states_.Next(path_[node.depth - 1], static_cast<uint8_t>(node.byte));
    if (state == GrammarStates::kDead) {
      i = node.skip;
      continue;
    }
    path_[node.depth] = state;
    for (const Token token : trie_->TokensAt(i)) allow(token);
    ++i;
  }
  if (!CanEnd()) return;
  for (Token token = 0; token < pieces_->size(); ++token)
    if (pieces_->EndsText(token)) allow(token);
}

void GrammarMatcher::Accept(Token token) {
  if (token >= 0 && token < pieces_->size() && pieces_->EndsText(token)) return;
  const absl::string_view piece = (*pieces_)[token];
  if (piece.empty()) at_ = GrammarStates::kDead;
  for (const char c : piece) at_ = states_.Next(at_, static_cast<uint8_t>(c));
}

}  // namespace weft::inline v0
