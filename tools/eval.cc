#include "tools/eval.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "models/sampler.h"

namespace weft::inline v0 {

absl::StatusOr<std::vector<Token>> ParseTokens(absl::string_view text) {
  std::vector<absl::string_view> items;
  if (absl::StrContains(text, ','))
    items = absl::StrSplit(text, ',');
  else
    items = absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty());
  if (items.empty())
    return absl::InvalidArgumentError(
        "which tokens? --tokens=1,2,3 gives their ids");
  std::vector<Token> tokens;
  tokens.reserve(items.size());
  for (const absl::string_view item : items) {
    Token token;
    if (!absl::SimpleAtoi(item, &token) || token < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("item ", tokens.size() + 1, " of --tokens is \"", item,
                       "\"; expected a token id, a number from 0 up"));
    tokens.push_back(token);
  }
  return tokens;
}

std::string JoinTokens(absl::Span<const Token> tokens) {
  return absl::StrJoin(tokens, " ");
}

absl::Status EvalLogits(
    Session& session, absl::Span<const Token> tokens,
    const EvalOptions& options,
    const std::function<absl::Status(absl::Span<const float>)>& row) {
  absl::Status status;
  PrefillOptions prefill;
  prefill.cancel = options.cancel;
  prefill.on_logits = [&](int64_t, absl::Span<const float> logits) {
    if (status.ok()) status = row(logits);
  };
  const auto chunk = static_cast<size_t>(
      options.chunk > 0 ? options.chunk : session.options().batch);
  session.Truncate(0, 0);
  for (size_t done = 0; done < tokens.size();) {
    const absl::Span<const Token> part = tokens.subspan(done, chunk);
    WEFT_RETURN_IF_ERROR(session.Prefill(0, part, prefill).status());
    WEFT_RETURN_IF_ERROR(status);
    done += part.size();
    if (options.progress)
      options.progress(static_cast<double>(done) /
                       static_cast<double>(tokens.size()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Token>> EvalGreedy(Session& session,
                                              absl::Span<const Token> tokens,
                                              int64_t n,
                                              const EvalOptions& options) {
  WEFT_ASSIGN_OR_RETURN(Sampler sampler, Sampler::Make({.temperature = 0}));
  PrefillOptions prefill;
  prefill.chunk = options.chunk;
  prefill.cancel = options.cancel;
  session.Truncate(0, 0);
  WEFT_ASSIGN_OR_RETURN(absl::Span<const float> logits,
                        session.Prefill(0, tokens, prefill));
  std::vector<Token> made;
  while (static_cast<int64_t>(made.size()) < n) {
    WEFT_ASSIGN_OR_RETURN(const Token token, sampler.Sample(logits));
    made.push_back(token);
    if (options.progress)
      options.progress(static_cast<double>(made.size()) /
                       static_cast<double>(n));
    if (static_cast<int64_t>(made.size()) == n) break;
    WEFT_ASSIGN_OR_RETURN(logits, session.Decode(0, token, options.cancel));
  }
  return made;
}

double NegativeLogLikelihood(absl::Span<const float> logits, Token token) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum) -
         static_cast<double>(logits[static_cast<size_t>(token)]);
}

absl::StatusOr<Perplexity> EvalPerplexity(Session& session, Token bos,
                                          absl::Span<const Token> tokens,
                                          int64_t context,
                                          const EvalOptions& options) {
  Perplexity result;
  result.nll.reserve(tokens.size());
  double sum = 0;
  const size_t piece_size = static_cast<size_t>(context - 1);
  for (size_t begin = 0; begin < tokens.size(); begin += piece_size) {
    const absl::Span<const Token> piece = tokens.subspan(begin, piece_size);
    // What follows the last token is nobody's score.
    std::vector<Token> input = {bos};
    input.insert(input.end(), piece.begin(), piece.end() - 1);
    EvalOptions of_piece = options;
    of_piece.progress = [&](double share) {
      if (options.progress)
        options.progress((static_cast<double>(begin) +
                          share * static_cast<double>(piece.size())) /
                         static_cast<double>(tokens.size()));
    };
    size_t k = 0;
    WEFT_RETURN_IF_ERROR(EvalLogits(
        session, input, of_piece, [&](absl::Span<const float> logits) {
          const double nll = NegativeLogLikelihood(logits, piece[k++]);
          result.nll.push_back(static_cast<float>(nll));
          sum += nll;
          return absl::OkStatus();
        }));
    ++result.pieces;
  }
  result.mean_nll = sum / static_cast<double>(tokens.size());
  result.perplexity = std::exp(result.mean_nll);
  return result;
}

}  // namespace weft::inline v0
