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
    const Dim r = Dim::Symbol("R", 4);
    const Value tokens = graph_.Input("tokens", DType::kI32, {t});
    step_.pos = graph_.Input("pos", DType::kI32, {t});
    step_.slot = graph_.Input("slot", DType::kI32, {t});
    const Value rows = graph_.Input("out_rows", DType::kI32, {r});
    const Value table = Weight("token_embd", {o_.vocab, o_.width});
    Value x = GatherRows(Dequant(table), tokens);
    for (int64_t i = 0; i < o_.layers; ++i) {
      prefix_ = absl::StrCat("blk.", i, ".");
      x = FeedForward(SelfAttention(x)).Named(absl::StrCat("layer.", i));
    }
    prefix_ = "";
    x = Norm(SelectRows(x, rows), "output_norm");
    graph_.Output("logits", Product(x, "output", o_.vocab));
  }

 private:
  int64_t head_size() const { return o_.width / o_.heads; }

  Value Weight(absl::string_view name, Shape shape, Where at = {}) {
    const std::string full = absl::StrCat(prefix_, name);
    return graph_.Weight(full, o_.weights, std::move(shape), at);
  }

  // Lines are the callers'.
  Value Product(Value x, absl::string_view name, int64_t rows,
                Where at = std::source_location::current()) {
    return Linear(x, Weight(name, {rows, x.dim(-1)}, at), at);
  }

  Value Norm(Value x, absl::string_view name,
             Where at = std::source_location::current()) {
    const std::string full = absl::StrCat(prefix_, name);
    const Value w = graph_.Weight(full, DType::kF32, {o_.width}, at);
    return Mul(RmsNorm(x, 1e-5, at), w, at);
  }

  Value Cached(absl::string_view name, Value x,
               Where at = std::source_location::current()) {
    const std::string full = absl::StrCat(prefix_, name);
    const Shape shape = {2, o_.context, o_.groups, head_size()};
    return Append(graph_.State(full, o_.kv, shape, at), x, step_, at);
  }

  Value SelfAttention(Value x) {
    const int64_t kv_width = o_.groups * head_size();
    const RopeOptions rope = {.n_dims = head_size()};
    AttendOptions options;
    options.scale = 1 / std::sqrt(static_cast<double>(head_size()));
    const Value h = Norm(x, "attn_norm");
    const Value q = Heads(Product(h, "attn_q", o_.width), o_.heads);
    const Value k = Heads(Product(h, "attn_k", kv_width), o_.groups);
    const Value v = Heads(Product(h, "attn_v", kv_width), o_.groups);
    const Value query = Rope(q, step_.pos, rope);
    const Value keys = Cached("k", Rope(k, step_.pos, rope));
    const Value values = Cached("v", v);
    const Value a = Attend(query, keys, values, step_, options);
    return x + Product(Merge(a), "attn_output", o_.width);
  }

  Value FeedForward(Value x) {
    const Value h = Norm(x, "ffn_norm");
    const Value gate = Product(h, "ffn_gate", o_.hidden);
    const Value up = Product(h, "ffn_up", o_.hidden);
    return x + Product(SwiGlu(gate, up), "ffn_down", o_.width);
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
