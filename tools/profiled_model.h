// Times of what weft-run generates.
#ifndef WEFT_TOOLS_PROFILED_MODEL_H_
#define WEFT_TOOLS_PROFILED_MODEL_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/engine.h"
#include "ops/work.h"
#include "tools/text_model.h"

namespace weft::inline v0 {

// A session's first slot whose steps are timed, prompts and decodes apart.
class ProfiledTextModel : public SessionTextModel {
 public:
  // `trace_room`: events to keep, 0 for no trace.
  ProfiledTextModel(std::shared_ptr<const Model> model,
                    std::unique_ptr<Session> session, int64_t trace_room);

  absl::StatusOr<absl::Span<const float>> Prefill(
      absl::Span<const Token> tokens, const PrefillOptions& options) override;
  absl::StatusOr<absl::Span<const float>> Decode(
      Token token, const std::atomic<bool>* cancel) override;

  // What was timed so far, as ProfileJson() and TraceJson() write it.
  std::string Profile() const;
  std::string Trace() const;

 private:
  struct Part {
    weft::Profile profile;
    std::vector<StepSize> steps;
  };
  // Times go to this part from now on.
  absl::Status Enter(Part& part);

  Session& session_ref_;
  Part prefill_, decode_;
  Part* now_ = nullptr;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_PROFILED_MODEL_H_
