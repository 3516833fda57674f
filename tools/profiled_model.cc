#include "tools/profiled_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "tools/profile_file.h"
#include "tools/profile_text.h"

namespace weft::inline v0 {

ProfiledTextModel::ProfiledTextModel(std::shared_ptr<const Model> model,
                                     std::unique_ptr<Session> session,
                                     int64_t trace_room)
    : SessionTextModel(std::move(model), std::move(session)),
      session_ref_(this->session()) {
  prefill_.profile.trace_room = decode_.profile.trace_room = trace_room;
}

absl::Status ProfiledTextModel::Enter(Part& part) {
  if (now_ == &part) return absl::OkStatus();
  now_ = &part;
  return session_ref_.SetProfile(&part.profile);
}

absl::StatusOr<absl::Span<const float>> ProfiledTextModel::Prefill(
    absl::Span<const Token> tokens, const PrefillOptions& options) {
  WEFT_RETURN_IF_ERROR(Enter(prefill_));
  const int64_t begin = position();
  const auto logits = SessionTextModel::Prefill(tokens, options);
  const int64_t chunk =
      options.chunk > 0 ? options.chunk : session_ref_.options().batch;
  // What was evaluated, also when it was interrupted.
  for (int64_t at = begin; at < position();) {
    const int64_t n = std::min(chunk, position() - at);
    prefill_.steps.push_back({{{"T", n}, {"R", 1}}, at, 1});
    at += n;
  }
  return logits;
}

absl::StatusOr<absl::Span<const float>> ProfiledTextModel::Decode(
    Token token, const std::atomic<bool>* cancel) {
  WEFT_RETURN_IF_ERROR(Enter(decode_));
  const int64_t at = position();
  const auto logits = SessionTextModel::Decode(token, cancel);
  if (!logits.ok()) return logits;
  std::vector<StepSize>& steps = decode_.steps;
  if (!steps.empty() && steps.back().first_position + steps.back().steps == at)
    ++steps.back().steps;
  else
    steps.push_back({{{"T", 1}, {"R", 1}}, at, 1});
  return logits;
}

std::string ProfiledTextModel::Profile() const {
  std::vector<ProfileSummary> summaries;
  std::vector<NamedProfile> named;
  summaries.reserve(2);
  for (const auto& [name, part] :
       {std::pair{"decode", &decode_}, std::pair{"prefill", &prefill_}}) {
    if (part->profile.runs == 0) continue;
    summaries.push_back(Summarize(part->profile, session_ref_.graph(),
                                  session_ref_.plan(), part->steps, 1));
    named.push_back(
        {absl::StrCat(name, ", ", ThreadsText(part->profile.threads)),
         &summaries.back(),
         {}});
  }
  return ProfileJson(source(), session_ref_.plan().target, named);
}

std::string ProfiledTextModel::Trace() const {
  std::vector<TraceEvent> events = prefill_.profile.trace;
  events.insert(events.end(), decode_.profile.trace.begin(),
                decode_.profile.trace.end());
  return TraceJson(session_ref_.graph(), session_ref_.plan(), events);
}

}  // namespace weft::inline v0
