// What weft-run generates with.
#ifndef WEFT_TOOLS_TEXT_MODEL_H_
#define WEFT_TOOLS_TEXT_MODEL_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/engine.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// One sequence of tokens; see Session for what the calls mean.
class TextModel {
 public:
  virtual ~TextModel() = default;

  virtual const Tokenizer& tokenizer() const = 0;
  virtual int64_t context() const = 0;   // positions there are
  virtual int64_t position() const = 0;  // positions taken
  virtual void Restart() = 0;            // none are taken
  // Forgets what stands from `position` on, or more (see Session::Truncate).
  virtual void Rewind(int64_t position) = 0;
  virtual absl::StatusOr<absl::Span<const float>> Prefill(
      absl::Span<const Token> tokens, const PrefillOptions& options) = 0;
  virtual absl::StatusOr<absl::Span<const float>> Decode(
      Token token, const std::atomic<bool>* cancel) = 0;
};

// The first slot of a session.
class SessionTextModel : public TextModel {
 public:
  SessionTextModel(std::shared_ptr<const Model> model,
                   std::unique_ptr<Session> session)
      : model_(std::move(model)), session_(std::move(session)) {}

  const Model& model() const { return *model_; }
  const Tokenizer& tokenizer() const override { return model_->tokenizer(); }
  int64_t context() const override { return session_->options().context; }
  int64_t position() const override { return session_->position(0); }
  void Restart() override { Rewind(0); }
  void Rewind(int64_t position) override { session_->Truncate(0, position); }
  absl::StatusOr<absl::Span<const float>> Prefill(
      absl::Span<const Token> tokens, const PrefillOptions& options) override {
    return session_->Prefill(0, tokens, options);
  }
  absl::StatusOr<absl::Span<const float>> Decode(
      Token token, const std::atomic<bool>* cancel) override {
    return session_->Decode(0, token, cancel);
  }

 protected:
  Session& session() const { return *session_; }
  std::string source() const { return std::string(model_->file().source()); }

 private:
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Session> session_;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TEXT_MODEL_H_
