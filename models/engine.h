// The embedding API: models, and sessions that generate with them.
//
//   auto model = Model::Load("stories260K.gguf");
//   auto session = (*model)->NewSession({});
//   auto tokens = (*model)->tokenizer().Encode("Once", {.add_special = true});
//   auto logits = (*session)->Prefill(0, *tokens);
//   logits = (*session)->Decode(0, next_token);
#ifndef WEFT_MODELS_ENGINE_H_
#define WEFT_MODELS_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "backends/backend.h"
#include "graph/passes.h"
#include "models/architecture.h"
#include "models/gguf.h"
#include "models/lora.h"
#include "models/packed_weights.h"
#include "models/taps.h"
#include "models/tokenizer.h"
#include "ops/optimize.h"

namespace weft::inline v0 {

class Session;

// A file of low-rank changes to a model's weights (see lora.h).
struct AdapterOptions {
  std::string path;
  float scale = 1;  // of its effect; 0: none
};

struct LoadOptions {  // What is made of a file.
  // Architectures of the caller's own; they win over the library's. The one
  // that the file names is not copied: it lives as long as the model.
  std::vector<const Architecture*> architectures;
  // Read the files instead of mapping them (see GgufOptions).
  bool read_into_memory = false;
  // False: do without a tokenizer, for callers that have token ids and for
  // kinds of vocabulary that weft does not know. Model::tokenizer() then
  // refuses every text.
  bool tokenizer = true;
  // Adapters of the model, in the order in which they are applied.
  std::vector<AdapterOptions> adapters;
  // Called with the share that is done, from 0 to 1, on the thread that loads:
  // of the bytes that are copied or, where the file is mapped, of its pages,
  // every one of which is touched then, so that the first token does not wait
  // for the disk. Null: pages come in when they are first needed.
  std::function<void(double)> progress;
  // Ends loading with Cancelled, from any thread or from `progress`: looked at
  // every few MB that are copied or touched, and between the stages of all
  // else. What was loaded is given back.
  const std::atomic<bool>* cancel = nullptr;
  // Bytes of memory that copies of files may take, of the adapters too, all
  // together: ResourceExhausted before one would take more. Files that are
  // mapped take none. 0: no limit. What is read of a file's header, the
  // vocabulary above all, is not counted: about twice the header.
  int64_t max_bytes = 0;
};

struct SessionOptions {  // The size and kind of a session.
  int64_t context = 0;  // positions of each slot; 0 = the model's, at most 4096
  int slots = 1;        // sequences that live side by side
  int64_t batch = 512;  // tokens of a prefill chunk, and of the largest step
  int64_t logits_rows = 1;  // rows of logits that one step can give
  DType kv_k = DType::kF16;
  DType kv_v = DType::kF16;
  // Fast: activations before quantised weights are rounded to 8 bits.
  Numerics numerics = Numerics::kFast;
  // Keep a copy of the matrices that tokens are multiplied with, packed for
  // kernels and in large pages: the first session that asks for it makes it,
  // for all of the model. Decoding is up to twice as fast and results keep
  // their bits, but where f16 and bf16 weights are packed (only if
  // Backend::PacksHalves()): sums are added up in another order, and with f16
  // of 16 bits of each activation, whatever the numerics. The copy
  // takes the size of the weights in memory of the process, beside
  // BackendOptions::memory, and the pages of a mapped model go back to the
  // system. BackendOptions::max_bytes bounds the session and what is packed for
  // it together; what is there already, from another session or in a cache,
  // does not count. Off: everything runs from the mapping.
  bool pack_weights = false;
  // With pack_weights: a folder for a file that keeps the copy, which is made
  // where it does not exist; "": none. A start that finds the file maps it, for
  // all processes together, instead of packing. One that finds none, or one of
  // other contents of the model's files, or a damaged one, writes it: as many
  // bytes as the copy has. Where it cannot be written everything goes on
  // without; Session::pack_cache_status() tells. Files of models that are gone
  // stay until somebody deletes them.
  std::string pack_cache = {};
  // Called while weights are packed, on the thread of NewSession(), with the
  // share that is done, from 0 to 1. Not kept.
  std::function<void(double)> packing_progress = nullptr;
  // Ends NewSession() with Cancelled while weights are packed, from any thread
  // or from packing_progress: looked at every few MB, but not while the system
  // brings the last of a cache's file to the disk. Nothing is kept then, no
  // part of such a file either; what was packed before is. Not kept.
  const std::atomic<bool>* cancel = nullptr;
  // Rows are the last hidden states of tokens instead of logits, and
  // logits_rows is batch: for Embed(). The only rows that encoders have.
  bool embeddings = false;
  // Values to observe, by patterns of their names (see taps.h and
  // Session::SetTapSink). What a fusion would swallow is computed apart then:
  // Session::tap_costs() tells.
  std::vector<std::string> taps;
  // Scales of the model's adapters in this session, one for each; empty: those
  // of LoadOptions.
  std::vector<float> adapter_scales;
  std::string backend = "cpu";
  BackendOptions backend_options = {};  // threads, target, limits, host's own
};

// Called after each step with each tapped value: its dims are those of the
// step's tokens. An error ends the step with it.
using TapSink =
    std::function<absl::Status(absl::string_view name, HostTensor value)>;

// How the hidden states of a text's tokens become one vector.
enum class Pooling {
  kModel,  // what the file names (<architecture>.pooling_type), else the mean
           // for models that see the whole text, the last for the others
  kMean,
  kFirst,  // CLS
  kLast,
};

struct EmbedOptions {  // How a text becomes a vector.
  Pooling pooling = Pooling::kModel;
  bool normalize = true;                      // to length 1
  const std::atomic<bool>* cancel = nullptr;  // as of PrefillOptions
};

// Memory that a session takes, before it is taken.
struct MemoryEstimate {
  int64_t weights = 0;  // mapped, shared by all sessions of the model
  int64_t packed = 0;   // copies that SessionOptions::pack_weights asks for,
                        // likewise shared; whether or not they are there
  MemoryUse session;
};

// A loaded model: immutable, so safe to share between threads and sessions.
// Sessions keep their model alive. No function of Model or Session throws:
// where memory or a thread cannot be had they return ResourceExhausted.
class Model : public std::enable_shared_from_this<Model> {
 public:
  // Maps the file, reads its vocabulary and checks every tensor that its
  // architecture needs. `path` as in OpenModelFile; the errors of that, of
  // MakeTokenizer, ModelBuilder and LoraAdapter::Open; Cancelled.
  static absl::StatusOr<std::shared_ptr<const Model>> Load(
      const std::string& path, const LoadOptions& options = {});
  // The same from a file that is open already; a copy of it counts for
  // LoadOptions::max_bytes, but was made without a look at it (GgufOptions has
  // a watch for that).
  static absl::StatusOr<std::shared_ptr<const Model>> FromFile(
      GgufFile file, const LoadOptions& options = {});

  // ResourceExhausted when memory cannot be had or max_bytes does not allow it;
  // InvalidArgument for options out of range, naming the option;
  // FailedPrecondition for logits of a model that has none; Cancelled; the
  // errors of ApplyLora.
  absl::StatusOr<std::unique_ptr<Session>> NewSession(
      const SessionOptions& options) const;
  absl::StatusOr<MemoryEstimate> Estimate(const SessionOptions& options) const;

  // What LoadOptions::progress asks for, at another time: when no session packs
  // the weights, which reads them too. Nothing where the file is a copy.
  // `progress` may be null. Cancelled.
  absl::Status TouchPages(const std::function<void(double)>& progress,
                          const std::atomic<bool>* cancel = nullptr) const;

  const GgufFile& file() const { return file_; }
  absl::Span<const LoraAdapter> adapters() const { return adapters_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const Architecture& architecture() const { return *architecture_; }
  int64_t vocab_size() const { return vocab_size_; }
  // Pooling::kModel resolved.
  Pooling pooling() const { return pooling_; }
  // Positions that the model was trained for; 0 when the file does not say.
  int64_t trained_context() const { return trained_context_; }

 private:
  friend class Session;
  explicit Model(GgufFile file) : file_(std::move(file)) {}
  absl::Status Init(const LoadOptions& options);
  absl::Status ReadSizes();
  // The optimized graph of a session.
  struct Built {
    std::shared_ptr<const Graph> graph;
    FusionReport report;
    std::vector<Tap> taps;
    std::string tap_costs;
  };
  absl::StatusOr<Built> BuildGraph(const SessionOptions& options) const;
  absl::StatusOr<SessionOptions> Complete(SessionOptions options) const;
  std::vector<LoraUse> UsesOf(const SessionOptions& options) const;
  // The data of a weight of a session's graph, as the file has it.
  absl::StatusOr<absl::Span<const std::byte>> FindWeight(
      const std::string& name, const SessionOptions& options) const;
  // What the graph wants packed.
  absl::StatusOr<std::vector<PackedWeights::Source>> ToPack(
      const Graph& graph, const SessionOptions& options) const;
  // Packs it; the session needs so many bytes by itself.
  absl::Status Pack(const Graph& graph, const SessionOptions& options,
                    int64_t session_bytes) const;
  absl::StatusOr<std::unique_ptr<Session>> MakeSession(
      const SessionOptions& options) const;

  // Of the whole file: reads it once. Thread-safe.
  uint64_t Fingerprint() const;

  GgufFile file_;
  mutable PackedWeights packed_;  // thread-safe
  mutable std::once_flag fingerprint_once_;
  mutable uint64_t fingerprint_ = 0;
  std::vector<LoraAdapter> adapters_;
  std::vector<float> adapter_scales_;  // of LoadOptions
  const Architecture* architecture_ = nullptr;
  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t vocab_size_ = 0;
  int64_t trained_context_ = 0;
  Pooling pooling_ = Pooling::kLast;
};

// One token of a step.
struct StepToken {
  Token token;
  int slot = 0;
  bool want_logits = false;
};

struct PrefillOptions {  // How a prompt is read.
  // Looked at as in Executable::Run().
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(int64_t done, int64_t total)> progress;
  // Called with each token's index and logits, in order; needs logits_rows of
  // at least the chunk. Null: only the last token's logits are computed.
  std::function<void(int64_t index, absl::Span<const float>)> on_logits;
  int64_t chunk = 0;  // tokens per step; 0 = the session's batch
};

// Sequences that are being generated: KV caches, activations and threads. Not
// thread-safe; sessions of one model are independent of each other.
class Session {
 public:
  // Appends the tokens to the slot's sequence. Returns the logits f32[n_vocab]
  // of the last; the span is valid until the next call. InvalidArgument for no
  // tokens (or for a model that sees the whole text: for more than a batch),
  // OutOfRange for a token outside the vocabulary or a slot that does not
  // exist, ResourceExhausted when the context is full, Cancelled. After an
  // error the sequence is as it was before the chunk that failed, or forgotten
  // where the architecture does not rewind.
  absl::StatusOr<absl::Span<const float>> Prefill(
      int slot, absl::Span<const Token> tokens,
      const PrefillOptions& options = {});
  // Appends one token; the same as Prefill of one.
  absl::StatusOr<absl::Span<const float>> Decode(
      int slot, Token token, const std::atomic<bool>* cancel = nullptr);
  // Appends the tokens, of any slots, to their sequences in one step. Returns
  // a row of logits for each that wants them, in order: f32[wanted][n_vocab].
  absl::StatusOr<absl::Span<const float>> Step(
      absl::Span<const StepToken> batch,
      const std::atomic<bool>* cancel = nullptr);

  // Makes slot `to` a copy of slot `from`: both sequences go on from the same
  // tokens, each for itself. On the CPU backend the beginning that they have in
  // common stays where it is, and both refer to it: what is copied is the last
  // chunk of up to 64 positions, what a sliding window sees, the states of
  // recurrent layers, and later each chunk that one of them writes anew after
  // Truncate(). OutOfRange for slots that do not exist.
  absl::Status Fork(int from, int to);

  // The sequence of a slot as bytes, to go on with later, in another session or
  // on another machine: the next tokens are the same where model, kv types,
  // numerics, instruction set and pack_weights are. session_state.cc says how it is laid out.
  // The first state of a model that is saved or restored reads all of its
  // weights, 0.2 s a GB that is in memory: a state of any other is refused.
  int64_t StateBytes(int slot) const;
  // InvalidArgument unless `out` has StateBytes(slot) bytes.
  absl::Status SaveState(int slot, absl::Span<std::byte> out) const;
  // Replaces the slot's sequence. DataLoss for a state that is cut off or
  // damaged; InvalidArgument for what is none, for one of another version of
  // the layout, of another model, of other kv types or longer than the context.
  // The slot is as it was after an error.
  absl::Status RestoreState(int slot, absl::Span<const std::byte> state);

  // One vector f32[row_size] for a text, which replaces slot 0's sequence.
  // FailedPrecondition unless rows are hidden states (see
  // SessionOptions::embeddings); else the errors of Prefill, after which slot 0
  // is empty.
  absl::StatusOr<std::vector<float>> Embed(absl::Span<const Token> tokens,
                                           const EmbedOptions& options = {});

  // Floats of a row that a step returns: the vocabulary, or the width of a
  // hidden state.
  int64_t row_size() const { return row_size_; }
  // Number of tokens of a slot's sequence; 0 for a slot that does not exist.
  int64_t position(int slot) const {
    return HasSlot(slot) ? positions_[static_cast<size_t>(slot)] : 0;
  }
  // Forgets a slot's sequence from `position` on, or all of it: where the
  // architecture does not rewind, or where caches of sliding windows no longer
  // hold what lies before `position` (see BackendPlan::rewind; a batch can
  // always be taken back). Returns the position that it has then; what stood
  // before it has to be evaluated again. Changes nothing where `position` is
  // not before the sequence's end, forgets all where it is below 0, and gives 0
  // for a slot that does not exist.
  int64_t Truncate(int slot, int64_t position);
  // Adds the times of the steps that follow to `profile`, until called with
  // null (see Executable::SetProfile).
  absl::Status SetProfile(Profile* profile) {
    return executable_->SetProfile(profile);
  }

  // Values of SessionOptions::taps go there from the next step on; null, as at
  // first: nowhere. When off, or without taps, costs nothing.
  void SetTapSink(TapSink sink) { tap_sink_ = std::move(sink); }
  // By name and value of graph().
  absl::Span<const Tap> taps() const { return taps_; }
  // The fusions that the taps prevent and why, or "".
  const std::string& tap_costs() const { return tap_costs_; }

  // Why SessionOptions::pack_cache could not be written, or OK.
  const absl::Status& pack_cache_status() const { return pack_cache_status_; }

  // What the last step left in an output of graph(), see Executable::Output.
  absl::StatusOr<absl::Span<const std::byte>> Output(
      absl::string_view name) const {
    return executable_->Output(name);
  }

  const Model& model() const { return *model_; }
  const SessionOptions& options() const { return options_; }
  const Graph& graph() const { return *graph_; }
  const BackendPlan& plan() const { return executable_->plan(); }
  const FusionReport& fusion_report() const { return report_; }

 private:
  friend class Model;
  Session() = default;
  absl::Status Init();
  absl::Status CheckStep(absl::Span<const StepToken> batch) const;
  absl::Status EmitTaps(const SymbolValues& symbols) const;
  bool HasSlot(int slot) const { return slot >= 0 && slot < options_.slots; }
  absl::Status CheckSlot(int slot) const;
  absl::StatusOr<absl::Span<const float>> RunStep(
      absl::Span<const StepToken> batch, const std::atomic<bool>* cancel);
  absl::StatusOr<absl::Span<const float>> RunPrefill(
      int slot, absl::Span<const Token> tokens, const PrefillOptions& options);
  absl::StatusOr<std::vector<float>> RunEmbed(absl::Span<const Token> tokens,
                                              const EmbedOptions& options);
  uint64_t Fingerprint() const;  // of the model and the kinds of its states

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  std::shared_ptr<const Graph> graph_;
  FusionReport report_;
  std::unique_ptr<Executable> executable_;
  std::vector<Tap> taps_;
  std::string tap_costs_;
  absl::Status pack_cache_status_;
  TapSink tap_sink_;
  std::vector<int64_t> positions_;  // by slot
  std::vector<int64_t> pending_;    // by slot: positions within a step
  std::vector<int64_t> written_;    // by slot: positions ever written, but for
                                    // what was forgotten as a whole
  std::vector<StepToken> batch_;    // of Prefill
  int32_t *tokens_ = nullptr, *pos_ = nullptr, *slot_ = nullptr,
          *rows_ = nullptr;
  const float* rows_out_ = nullptr;
  int64_t row_size_ = 0;
  bool hidden_ = false;               // rows are hidden states
  mutable uint64_t fingerprint_ = 0;  // once it was asked for
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_ENGINE_H_
