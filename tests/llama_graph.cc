#include "tests/llama_graph.h"

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace weft::inline v0 {
namespace {

// Values are made in statements of their own: the order in which operands are
// evaluated, and with it ids, is the compiler's choice.
class Builder {
 public:
  Builder(Graph& graph, const LlamaGraphOptions& o) : graph_(graph), o_(o) {}

  void Build() {
    const Dim t = Dim::Symbol("T", o_.tokens);
    const Value tokens = graph_.Input("tokens", DType::kI32, {t});
    step_.pos = graph_.Input("pos", DType::kI32, {t});
    step_.slot = graph_.Input("slot", DType::kI32, {t});
    const Value rows =
        graph_.Input("out_rows", DType::kI32, {Dim::Symbol("R", 4)});
    const Value table = Weight("token_embd", {o_.vocab, o_.width});
    Value x = GatherRows(Dequant(table), tokens);
    for (int64_t i = 0; i < o_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      x = FeedForward(SelfAttention(x)).Named(absl::StrCat("layer.", i));
    }
    prefix_ = "";
    x = Norm(SelectRows(x, rows), "output_norm");
    graph_.Output("logits", Linear(x, Weight("output", {o_.vocab, o_.width})));
  }

 private:
  int64_t head_size() const { return o_.width / o_.heads; }

  Value Weight(absl::string_view name, Shape shape) {
    return graph_.Weight(absl::StrCat(prefix_, name), o_.weights,
                         std::move(shape));
  }

  Value Norm(Value x, absl::string_view name) {
    const Value w = graph_.Weight(absl::StrCat(prefix_, name), DType::kF32,
                                  {o_.width});
    return RmsNorm(x, 1e-5) * w;
  }

  Value Cached(absl::string_view name, Value x) {
    const Value state =
        graph_.State(absl::StrCat(prefix_, name), o_.kv,
                     {2, o_.context, o_.groups, head_size()});
    return Append(state, x, step_);
  }

  Value SelfAttention(Value x) {
    const int64_t kv_width = o_.groups * head_size();
    const RopeOptions rope = {.n_dims = head_size()};
    const Value h = Norm(x, "attn_norm");
    const Value q = Linear(h, Weight("attn_q", {o_.width, o_.width}));
    const Value k = Linear(h, Weight("attn_k", {kv_width, o_.width}));
    const Value v = Linear(h, Weight("attn_v", {kv_width, o_.width}));
    const Value query = Rope(Heads(q, o_.heads), step_.pos, rope);
    const Value key = Rope(Heads(k, o_.groups), step_.pos, rope);
    const Value keys = Cached("k", key);
    const Value values = Cached("v", Heads(v, o_.groups));
    const Value a =
        Attend(query, keys, values, step_,
               {.scale = 1 / std::sqrt(static_cast<double>(head_size()))});
    return x + Linear(Merge(a), Weight("attn_output", {o_.width, o_.width}));
  }

  Value FeedForward(Value x) {
    const Value h = Norm(x, "ffn_norm");
    const Value gate = Linear(h, Weight("ffn_gate", {o_.hidden, o_.width}));
    const Value up = Linear(h, Weight("ffn_up", {o_.hidden, o_.width}));
    const Value y = SwiGlu(gate, up);
    return x + Linear(y, Weight("ffn_down", {o_.width, o_.hidden}));
  }

  Graph& graph_;
  const LlamaGraphOptions& o_;
  Step step_;
  std::string prefix_;
};

}  // namespace

void BuildLlamaGraph(Graph& graph, const LlamaGraphOptions& options) {
  Builder(graph, options).Build();
}

}  // namespace weft::inline v0
