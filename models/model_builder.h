// What an architecture file sees: metadata, weights by name, the step's inputs
// and caches, with errors that stick and come out once.
#ifndef WEFT_MODELS_MODEL_BUILDER_H_
#define WEFT_MODELS_MODEL_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "graph/graph.h"
#include "models/gguf.h"
#include "models/lora.h"
#include "ops/gather.h"

namespace weft::inline v0 {

// Sizes of the graph that a session needs.
struct BuildOptions {
  int64_t max_tokens = 512;  // bound of T: tokens in one step
  int64_t max_rows = 1;      // bound of R: rows of logits in one step
  int64_t slots = 1;         // sequences
  int64_t context = 512;     // positions of each
  DType kv_k = DType::kF16;
  DType kv_v = DType::kF16;
  // The last hidden states instead of logits.
  bool embeddings = false;
  std::vector<LoraUse> adapters;
};

// Limits of hyper-parameters: far above any model that exists, low enough that
// no product of them overflows.
inline constexpr int64_t kMaxLayers = 512;
inline constexpr int64_t kMaxHeads = 4096;
inline constexpr int64_t kMaxHeadSize = 4096;
inline constexpr int64_t kMaxWidth = 1 << 20;
inline constexpr int64_t kMaxContext = 1 << 24;

// A KV cache before this step's rows are appended.
struct KvCache {
  Value k, v;
};

// Errors have the form "<source>: <ID> at byte <offset>: <key or tensor> is
// <found>; expected <rule>", without the byte where the model's file is no GGUF
// or lacks the thing. IDs: BIND-A1 (a size outside its limits, OutOfRange),
// BIND-A2 (heads that do not divide), BIND-A4 (head sizes), BIND-A5 (per-layer
// arrays), BIND-A6 (a context longer than the model has positions), BIND-A7
// (rope), BIND-A8 (norm epsilon), BIND-A10 (tensor missing, NotFound), BIND-A11
// (tensor of another shape), BIND-A13 (tensor of a type that it cannot have or
// that weft cannot read, Unimplemented), BIND-T8 (a dimension of zero);
// InvalidArgument where nothing else is said.
class ModelBuilder {
 public:
  // `architecture` prefixes metadata keys; `file` and `graph` outlive this.
  ModelBuilder(const GgufFile& file, std::string architecture,
               const BuildOptions& options, Graph& graph);

  // ---- Metadata; keys without the architecture's prefix ----

  bool Has(absl::string_view key) const;
  bool IsArray(absl::string_view key) const;
  // An integer in [low, high]; absent is an error, or gives `otherwise`.
  int64_t Int(absl::string_view key, int64_t low, int64_t high);
  int64_t Int(absl::string_view key, int64_t low, int64_t high,
              int64_t otherwise);
  // One number for all layers, or an array with one for each; flags are 0 and
  // 1.
  std::vector<int64_t> PerLayer(absl::string_view key, int64_t layers,
                                int64_t low, int64_t high, int64_t otherwise);
  // A finite number; absent gives `otherwise`.
  double Float(absl::string_view key, double otherwise);
  double RequiredFloat(absl::string_view key);
  std::string String(absl::string_view key, absl::string_view otherwise);
  bool Bool(absl::string_view key, bool otherwise);
  // Records an error about a key unless `ok`.
  void Require(bool ok, absl::string_view id, absl::string_view key,
               const std::string& found, absl::string_view expected);
  // The same of the element of an array that is for `layer` (BIND-A5).
  void RequireOfLayer(bool ok, absl::string_view key, size_t layer,
                      int64_t found, absl::string_view expected);
  // Records an error of `code` about a key.
  void Refuse(absl::StatusCode code, absl::string_view id,
              absl::string_view key, const std::string& found,
              absl::string_view expected);

  // ---- Weights ----

  bool HasTensor(absl::string_view name) const;
  // A tensor of exactly this shape (slowest dimension first).
  Value Weight(const std::string& name, Shape shape,
               Where at = std::source_location::current());
  // The same, f32 only: norms, biases, rope factors.
  Value Vector(const std::string& name, int64_t n,
               Where at = std::source_location::current());
  // Unset when the file has no such tensor.
  Value OptionalVector(const std::string& name, int64_t n,
                       Where at = std::source_location::current());
  // Size of a dimension of a tensor, 0 (and an error) when it is missing.
  int64_t TensorDim(const std::string& name, int axis);

  // ---- Inputs and state ----

  const Dim& tokens_dim() const { return t_; }
  Value tokens() const { return tokens_; }  // i32[T]
  Value out_rows() const { return rows_; }  // i32[R]: tokens whose logits count
  const Step& step() const { return step_; }
  KvCache Cache(int64_t layer, int64_t heads, int64_t k_size, int64_t v_size,
                Where at = std::source_location::current());

  // Makes the results: `hidden` f32[R, width], the last hidden states, as the
  // output "embeddings" where those are wanted or there are no `logits`
  // f32[R, n_vocab], else these as "logits".
  void Finish(Value hidden, Value logits = {});

  Graph& graph() { return graph_; }
  const BuildOptions& options() const { return options_; }
  // The first error of this builder, else the graph's.
  absl::Status status() const;
  void Fail(absl::Status status);

 private:
  std::string Key(absl::string_view key) const;
  const GgufTensor* Find(const std::string& name);
  absl::Status TensorError(absl::StatusCode code, absl::string_view id,
                           const GgufTensor& tensor, const std::string& found,
                           const std::string& expected) const;
  absl::Status CheckShape(const GgufTensor& tensor, const Shape& want) const;

  const GgufFile& file_;
  std::string architecture_;
  BuildOptions options_;
  Graph& graph_;
  Dim t_;
  Value tokens_, rows_;
  Step step_;
  absl::Status status_;
};

// Names of the inputs that every language model's graph has, and of its output:
// one of the two.
inline constexpr char kTokensInput[] = "tokens";
inline constexpr char kPosInput[] = "pos";
inline constexpr char kSlotInput[] = "slot";
inline constexpr char kRowsInput[] = "out_rows";
inline constexpr char kLogitsOutput[] = "logits";
inline constexpr char kEmbeddingsOutput[] = "embeddings";

// "blk.3.attn_q.weight".
std::string LayerTensor(int64_t layer, absl::string_view name);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_MODEL_BUILDER_H_
