#include "tools/demo_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/blocks/q8_0.h"
#include "graph/status_macros.h"
#include "ops/ops.h"
#include "ops/optimize.h"

namespace weft::inline v0 {
namespace {

// Small enough to run at once in a debug build; every matrix row is whole
// q8_0 blocks of 32.
constexpr int64_t kLayers = 4, kWidth = 128, kHidden = 352;
constexpr int64_t kHeads = 8, kGroups = 4, kHeadSize = kWidth / kHeads;
constexpr int64_t kVocab = ByteTokenizer::kSize;
constexpr double kEps = 1e-5;
constexpr float kNever = -1e4f;  // a logit that no sampler picks

constexpr char kBias[] = "output.bias";

// The graph: the same mathematics as models/llama.cc, with every size known.
class DemoBuilder {
 public:
  DemoBuilder(Graph& graph, const DemoOptions& options)
      : graph_(graph), options_(options) {}

  void Build() {
    const Dim t = Dim::Symbol("T", DemoModel::kBatch);
    const Dim r = Dim::Symbol("R", 1);
    const Value tokens = graph_.Input("tokens", DType::kI32, {t});
    step_.pos = graph_.Input("pos", DType::kI32, {t});
    step_.slot = graph_.Input("slot", DType::kI32, {t});
    const Value rows = graph_.Input("out_rows", DType::kI32, {r});

    Value x = GatherRows(Dequant(Matrix("token_embd", kVocab, kWidth)), tokens);
    for (int64_t i = 0; i < kLayers; ++i) x = Block(x, i);
    x = RmsNorm(SelectRows(x, rows), kEps) * Vector("output_norm", kWidth);
    x = Linear(x, Matrix("output", kVocab, kWidth)) + Vector(kBias, kVocab);
    graph_.Output("logits", x);
    graph_.Expect("attention", kLayers);
    graph_.Expect("gated", kLayers);
  }

 private:
  Value Block(Value x, int64_t layer) {
    prefix_ = absl::StrCat("blk.", layer, ".");
    Value h = RmsNorm(x, kEps) * Vector("attn_norm", kWidth);
    x = x + Linear(Attention(h), Matrix("attn_output", kWidth, kWidth));
    h = RmsNorm(x, kEps) * Vector("ffn_norm", kWidth);
    const Value gate = Linear(h, Matrix("ffn_gate", kHidden, kWidth));
    const Value up = Linear(h, Matrix("ffn_up", kHidden, kWidth));
    x = x + Linear(SwiGlu(gate, up), Matrix("ffn_down", kWidth, kHidden));
    prefix_ = "";
    return x;
  }

  Value Attention(Value h) {
    constexpr int64_t kKvWidth = kGroups * kHeadSize;
    const RopeOptions rope = {.n_dims = kHeadSize};
    Value q = Heads(Linear(h, Matrix("attn_q", kWidth, kWidth)), kHeads);
    Value k = Heads(Linear(h, Matrix("attn_k", kKvWidth, kWidth)), kGroups);
    Value v = Heads(Linear(h, Matrix("attn_v", kKvWidth, kWidth)), kGroups);
    q = Rope(q, step_.pos, rope);
    k = Append(Cache("k", options_.kv_k), Rope(k, step_.pos, rope), step_);
    v = Append(Cache("v", options_.kv_v), v, step_);
    const double scale = 1 / std::sqrt(static_cast<double>(kHeadSize));
    return Merge(Attend(q, k, v, step_, {.scale = scale}));
  }

  Value Matrix(absl::string_view name, int64_t rows, int64_t columns) {
    return graph_.Weight(absl::StrCat(prefix_, name), DType::kQ8_0,
                         {rows, columns});
  }
  Value Vector(absl::string_view name, int64_t n) {
    return graph_.Weight(absl::StrCat(prefix_, name), DType::kF32, {n});
  }
  Value Cache(absl::string_view name, DType dtype) {
    return graph_.State(absl::StrCat(prefix_, name), dtype,
                        {1, options_.context, kGroups, kHeadSize});
  }

  Graph& graph_;
  const DemoOptions& options_;
  Step step_;
  std::string prefix_;
};

// Random blocks are as good as random weights that were quantised: evenly
// spread, with variance 1 / columns so that sizes stay as they are.
std::vector<std::byte> RandomMatrix(const Shape& shape,
                                    std::mt19937_64& random) {
  const int64_t columns = shape.dim(-1).bound();
  const double largest = std::sqrt(3.0 / static_cast<double>(columns));
  BlockQ8_0 block;
  block.d = F32ToF16(static_cast<float>(largest / 127));
  std::vector<std::byte> data(static_cast<size_t>(
      shape.BoundElements() / BlockQ8_0::kCount * int64_t{sizeof(block)}));
  for (size_t at = 0; at < data.size(); at += sizeof(block)) {
    for (int8_t& q : block.q)
      q = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    std::memcpy(&data[at], &block, sizeof(block));
  }
  return data;
}

bool IsPrintable(size_t token) { return token >= 0x20 && token < 0x7F; }

std::vector<std::byte> MakeVector(const Node& node, int64_t n) {
  std::vector<float> values(static_cast<size_t>(n), 1.0f);
  if (node.name == kBias)
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = IsPrintable(i) ? 0 : kNever;
  const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
  return {bytes, bytes + values.size() * sizeof(float)};
}

absl::StatusOr<int32_t*> Ints(Executable& executable, const char* name) {
  WEFT_ASSIGN_OR_RETURN(const auto bytes, executable.Input(name));
  return reinterpret_cast<int32_t*>(bytes.data());
}

}  // namespace

absl::StatusOr<std::unique_ptr<DemoModel>> DemoModel::Make(
    const DemoOptions& options) {
  std::unique_ptr<DemoModel> model(new DemoModel(options));
  WEFT_RETURN_IF_ERROR(model->Init(options));
  return model;
}

absl::Status DemoModel::Init(const DemoOptions& options) {
  auto graph = std::make_shared<Graph>();
  DemoBuilder(*graph, options).Build();
  FillWeights(*graph);
  WEFT_ASSIGN_OR_RETURN(report_,
                        Optimize(*graph, {.numerics = options.numerics}));
  WEFT_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> backend,
                        MakeBackend(options.backend, options.backend_options));
  const auto weight = [this](const Node& node) {
    return absl::MakeConstSpan(weights_.at(node.name));
  };
  WEFT_ASSIGN_OR_RETURN(executable_, backend->Compile(graph, weight));

  WEFT_ASSIGN_OR_RETURN(tokens_, Ints(*executable_, "tokens"));
  WEFT_ASSIGN_OR_RETURN(pos_, Ints(*executable_, "pos"));
  WEFT_ASSIGN_OR_RETURN(rows_, Ints(*executable_, "out_rows"));
  WEFT_ASSIGN_OR_RETURN(int32_t* slot, Ints(*executable_, "slot"));
  std::fill_n(slot, kBatch, 0);
  WEFT_ASSIGN_OR_RETURN(const auto logits, executable_->Output("logits"));
  logits_ = reinterpret_cast<const float*>(logits.data());
  return absl::OkStatus();
}

void DemoModel::FillWeights(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.op != &kWeightOp) continue;
    const TensorType& type = graph.value(node.outputs[0]).type;
    parameters_ += type.shape.BoundElements();
    weights_[node.name] = type.dtype == DType::kF32
                              ? MakeVector(node, type.shape.BoundElements())
                              : RandomMatrix(type.shape, random_);
  }
}

absl::Status DemoModel::Step(absl::Span<const Token> tokens,
                             const std::atomic<bool>* cancel) {
  if (position_ + static_cast<int64_t>(tokens.size()) > context_)
    return absl::ResourceExhaustedError(
        absl::StrCat("the context is full: ", context_, " positions"));
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens_[i] = tokens[i];
    pos_[i] = static_cast<int32_t>(position_) + static_cast<int32_t>(i);
  }
  rows_[0] = static_cast<int32_t>(tokens.size()) - 1;
  const auto n = static_cast<int64_t>(tokens.size());
  WEFT_RETURN_IF_ERROR(executable_->Run({{"T", n}, {"R", 1}}, cancel));
  position_ += n;
  return absl::OkStatus();
}

absl::StatusOr<absl::Span<const float>> DemoModel::Prefill(
    absl::Span<const Token> tokens, const PrefillOptions& options) {
  for (size_t done = 0; done < tokens.size();) {
    const auto chunk = tokens.subspan(done, kBatch);
    WEFT_RETURN_IF_ERROR(Step(chunk, options.cancel));
    done += chunk.size();
    if (options.progress)
      options.progress(static_cast<int64_t>(done),
                       static_cast<int64_t>(tokens.size()));
  }
  return absl::MakeConstSpan(logits_, static_cast<size_t>(kVocab));
}

absl::StatusOr<absl::Span<const float>> DemoModel::Decode(
    Token token, const std::atomic<bool>* cancel) {
  WEFT_RETURN_IF_ERROR(Step({&token, 1}, cancel));
  return absl::MakeConstSpan(logits_, static_cast<size_t>(kVocab));
}

}  // namespace weft::inline v0
