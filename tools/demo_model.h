// A small llama with random weights, for machines without any model file: it
// shows the machinery from the DSL to text.
#ifndef WEFT_TOOLS_DEMO_MODEL_H_
#define WEFT_TOOLS_DEMO_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/rewrite.h"
#include "ops/optimize.h"
#include "tools/byte_tokenizer.h"
#include "tools/text_model.h"

namespace weft::inline v0 {

struct DemoOptions {
  uint64_t seed = 1;      // of the weights
  int64_t context = 512;  // positions
  DType kv_k = DType::kF16;
  DType kv_v = DType::kF16;
  Numerics numerics = Numerics::kFast;
  std::string backend = "cpu";
  BackendOptions backend_options = {};
};

// A graph built with DSL functions, run through Optimize and a backend without
// a model file or an engine between them. Its vocabulary is bytes; a bias keeps
// it from saying anything but printable ASCII.
class DemoModel : public TextModel {
 public:
  // Tokens of a step at most.
  static constexpr int64_t kBatch = 64;

  static absl::StatusOr<std::unique_ptr<DemoModel>> Make(
      const DemoOptions& options);

  const FusionReport& fusion_report() const { return report_; }
  const BackendPlan& plan() const { return executable_->plan(); }
  int64_t parameters() const { return parameters_; }

  const Tokenizer& tokenizer() const override { return tokenizer_; }
  int64_t context() const override { return context_; }
  int64_t position() const override { return position_; }
  void Restart() override { Rewind(0); }
  void Rewind(int64_t position) override { position_ = position; }
  absl::StatusOr<absl::Span<const float>> Prefill(
      absl::Span<const Token> tokens, const PrefillOptions& options) override;
  absl::StatusOr<absl::Span<const float>> Decode(
      Token token, const std::atomic<bool>* cancel) override;

 private:
  explicit DemoModel(const DemoOptions& options)
      : context_(options.context), random_(options.seed) {}
  absl::Status Init(const DemoOptions& options);
  // Makes the data of every weight of the graph.
  void FillWeights(const Graph& graph);
  absl::Status Step(absl::Span<const Token> tokens,
                    const std::atomic<bool>* cancel);

  ByteTokenizer tokenizer_;
  int64_t context_;
  int64_t position_ = 0;
  std::mt19937_64 random_;
  int64_t parameters_ = 0;
  std::map<std::string, std::vector<std::byte>> weights_;
  FusionReport report_;
  std::unique_ptr<Executable> executable_;
  int32_t *tokens_ = nullptr, *pos_ = nullptr, *rows_ = nullptr;
  const float* logits_ = nullptr;
};

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_DEMO_MODEL_H_
