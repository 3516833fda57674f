// weft_graph.h, first half: the DSL for C.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/c_api/graph_handles.h"
#include "ops/ops.h"

using weft::Graph;
using weft::Value;
using weft::Where;

namespace {

// Lines of C programs are not known; those of this file say nothing.
constexpr Where kNowhere;

using In = absl::Span<const Value>;

// The ops that take values alone.
struct PlainOp {
  absl::string_view name;
  size_t values;
  Value (*make)(In in);
};
constexpr PlainOp kPlainOps[] = {
    {"add", 2, [](In v) { return Add(v[0], v[1], kNowhere); }},
    {"assign", 2, [](In v) { return Assign(v[0], v[1], kNowhere); }},
    {"dequant", 1, [](In v) { return Dequant(v[0], kNowhere); }},
    {"div", 2, [](In v) { return Div(v[0], v[1], kNowhere); }},
    {"exp", 1, [](In v) { return Exp(v[0], kNowhere); }},
    {"gather_rows", 2, [](In v) { return GatherRows(v[0], v[1], kNowhere); }},
    {"gelu", 1, [](In v) { return Gelu(v[0], kNowhere); }},
    {"gelu_quick", 1, [](In v) { return GeluQuick(v[0], kNowhere); }},
    {"gelu_tanh", 1, [](In v) { return GeluTanh(v[0], kNowhere); }},
    {"linear", 2, [](In v) { return Linear(v[0], v[1], kNowhere); }},
    {"matmul", 2, [](In v) { return MatMul(v[0], v[1], kNowhere); }},
    {"mul", 2, [](In v) { return Mul(v[0], v[1], kNowhere); }},
    {"relu", 1, [](In v) { return Relu(v[0], kNowhere); }},
    {"sigmoid", 1, [](In v) { return Sigmoid(v[0], kNowhere); }},
    {"silu", 1, [](In v) { return Silu(v[0], kNowhere); }},
    {"softmax", 1, [](In v) { return Softmax(v[0], {}, kNowhere); }},
    {"sqrt", 1, [](In v) { return Sqrt(v[0], kNowhere); }},
    {"sub", 2, [](In v) { return Sub(v[0], v[1], kNowhere); }},
    {"tanh", 1, [](In v) { return Tanh(v[0], kNowhere); }},
    {"transpose", 1, [](In v) { return Transpose(v[0], kNowhere); }},
};

// What f(graph) builds; errors stick to the graph.
template <class F>
weft_value Build(weft_graph* graph, F&& f) noexcept {
  // What memory ended in the middle of may be half built.
  if (graph == nullptr || graph->graph == nullptr || graph->out_of_memory)
    return -1;
  try {
    Graph& g = *graph->graph;
    return g.status().ok() ? f(g).id() : -1;
  } catch (...) {
    graph->out_of_memory = true;
    return -1;
  }
}

// The value behind a number; a poisoned one where there is none.
Value Get(Graph& g, weft_value v) {
  if (v >= 0 && v < g.num_values()) return Value(&g, v);
  return g.Fail(absl::StrCat("value ", v, " is none of this graph"), kNowhere);
}

std::vector<Value> GetAll(Graph& g, const weft_value* values, size_t count) {
  std::vector<Value> all;
  for (size_t i = 0; i < count && values != nullptr; ++i)
    all.push_back(Get(g, values[i]));
  return all;
}

// More dims than tensors have are an error of whoever gets the shape.
weft::Shape ToShape(const weft_dim* dims, int32_t rank) {
  weft::Shape shape;
  for (int32_t i = 0; dims != nullptr && i < rank && i <= weft::kMaxRank; ++i)
    shape.Append(dims[i].symbol == nullptr
                     ? weft::Dim(dims[i].size)
                     : weft::Dim::Symbol(dims[i].symbol, dims[i].size));
  return shape;
}

using Source = Value (Graph::*)(absl::string_view, weft::DType, weft::Shape,
                                Where);
weft_value AddSource(weft_graph* graph, Source make, const char* name,
                     const char* dtype, const weft_dim* dims, int32_t rank) {
  return Build(graph, [&](Graph& g) {
    if (name == nullptr || dtype == nullptr || (dims == nullptr && rank > 0))
      return g.Fail("a tensor's name, dtype or dims are NULL", kNowhere);
    const std::optional<weft::DType> type = weft::c_api::DTypeNamed(dtype);
    if (!type.has_value())
      return g.Fail(absl::StrCat(name, " is of dtype \"", dtype,
                                 "\", which weft does not have"),
                    kNowhere);
    return (g.*make)(name, *type, ToShape(dims, rank), kNowhere);
  });
}

}  // namespace

weft_code weft_graph_new(weft_graph** graph, weft_error* error) {
  return weft::c_api::Call(error, [&]() -> absl::Status {
    if (graph == nullptr) return weft::c_api::IsNull("where the graph goes");
    auto handle = std::make_unique<weft_graph>();
    handle->graph = std::make_unique<Graph>();
    *graph = handle.release();
    return absl::OkStatus();
  });
}

void weft_graph_free(weft_graph* graph) { delete graph; }

weft_value weft_graph_input(weft_graph* graph, const char* name,
                            const char* dtype, const weft_dim* dims,
                            int32_t rank) {
  return AddSource(graph, &Graph::Input, name, dtype, dims, rank);
}

weft_value weft_graph_weight(weft_graph* graph, const char* name,
                             const char* dtype, const weft_dim* dims,
                             int32_t rank) {
  return AddSource(graph, &Graph::Weight, name, dtype, dims, rank);
}

weft_value weft_graph_state(weft_graph* graph, const char* name,
                            const char* dtype, const weft_dim* dims,
                            int32_t rank) {
  return AddSource(graph, &Graph::State, name, dtype, dims, rank);
}

weft_value weft_graph_constant(weft_graph* graph, const float* values,
                               const int64_t* dims, int32_t rank) {
  return Build(graph, [&](Graph& g) {
    weft::Dims shape;
    int64_t count = 1;
    for (int32_t i = 0; dims != nullptr && i < rank; ++i) {
      // A constant is small: what weights are for is not copied into a graph.
      if (i == weft::kMaxRank || dims[i] < 1 || dims[i] > (1 << 24) / count)
        return g.Fail(
            "a constant has up to 5 dims and 2^24 values, and dims are "
            "positive",
            kNowhere);
      count *= dims[i];
      shape.push_back(dims[i]);
    }
    if (values == nullptr || (dims == nullptr && rank > 0))
      return g.Fail("a constant's values or dims are NULL", kNowhere);
    return g.Constant(weft::HostTensor::FromFloats(
                          shape, {values, static_cast<size_t>(count)}),
                      kNowhere);
  });
}

weft_value weft_graph_op(weft_graph* graph, const char* op,
                         const weft_value* values, size_t count) {
  return Build(graph, [&](Graph& g) {
    const absl::string_view name = op == nullptr ? "" : op;
    const auto* found =
        std::find_if(std::begin(kPlainOps), std::end(kPlainOps),
                     [&](const PlainOp& known) { return known.name == name; });
    if (found == std::end(kPlainOps)) {
      std::string names;
      for (const PlainOp& known : kPlainOps)
        absl::StrAppend(&names, " ", known.name);
      return g.Fail(
          absl::StrCat("there is no op \"", name, "\"; there are", names),
          kNowhere);
    }
    const std::vector<Value> in = GetAll(g, values, count);
    if (in.size() != found->values)
      return g.Fail(absl::StrCat(name, " takes ", found->values,
                                 " values; given ", in.size()),
                    kNowhere);
    return found->make(in);
  });
}

weft_value weft_graph_scale(weft_graph* graph, weft_value x, double factor) {
  return Build(graph,
               [&](Graph& g) { return Scale(Get(g, x), factor, kNowhere); });
}

weft_value weft_graph_rms_norm(weft_graph* graph, weft_value x, double eps) {
  return Build(graph,
               [&](Graph& g) { return RmsNorm(Get(g, x), eps, kNowhere); });
}

weft_value weft_graph_layer_norm(weft_graph* graph, weft_value x, double eps) {
  return Build(graph,
               [&](Graph& g) { return LayerNorm(Get(g, x), eps, kNowhere); });
}

weft_value weft_graph_reshape(weft_graph* graph, weft_value x,
                              const weft_dim* dims, int32_t rank) {
  return Build(graph, [&](Graph& g) {
    return Reshape(Get(g, x), ToShape(dims, rank), kNowhere);
  });
}

weft_value weft_graph_permute(weft_graph* graph, weft_value x,
                              const int64_t* order, int32_t rank) {
  return Build(graph, [&](Graph& g) {
    std::vector<int64_t> perm;
    for (int32_t i = 0; order != nullptr && i < rank && i <= weft::kMaxRank;
         ++i)
      perm.push_back(order[i]);
    return Permute(Get(g, x), std::move(perm), kNowhere);
  });
}

weft_value weft_graph_slice(weft_graph* graph, weft_value x, int32_t axis,
                            int64_t begin, int64_t end) {
  return Build(graph, [&](Graph& g) {
    return Slice(Get(g, x), axis, begin, end, kNowhere);
  });
}

weft_value weft_graph_concat(weft_graph* graph, const weft_value* values,
                             size_t count, int32_t axis) {
  return Build(graph, [&](Graph& g) {
    const std::vector<Value> parts = GetAll(g, values, count);
    if (parts.empty()) return g.Fail("concat of no values", kNowhere);
    return Concat(parts, axis, kNowhere);
  });
}

weft_value weft_graph_attend(weft_graph* graph, weft_value q, weft_value k,
                             weft_value v, double scale,
                             const weft_value* positions) {
  return Build(graph, [&](Graph& g) {
    weft::AttendOptions options;
    options.scale = scale;
    options.causal = positions != nullptr;
    const Value pos = positions == nullptr ? Value() : Get(g, *positions);
    return AttendAll(Get(g, q), Get(g, k), Get(g, v), pos, options, {}, {},
                     kNowhere);
  });
}

void weft_graph_output(weft_graph* graph, const char* name, weft_value value) {
  Build(graph, [&](Graph& g) {
    if (name == nullptr) return g.Fail("an output's name is NULL", kNowhere);
    const Value v = Get(g, value);
    g.Output(name, v, kNowhere);
    return v;
  });
}
