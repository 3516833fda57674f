#include "ops/gather.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/encode_row.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/gradient_ops.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

absl::StatusOr<TensorTypes> InferGatherRows(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C1", 0, DType::kF32));
  WEFT_RETURN_IF_ERROR(RequireMinRank(call, "C1", 0, 1));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kI32));
  WEFT_RETURN_IF_ERROR(RequireRank(call, "C2", 1, 1));
  Shape shape = call.in[0].shape;
  shape.dim(0) = call.in[1].shape.dim(0);
  return OneType(DType::kF32, std::move(shape));
}

absl::Status GatherRowsReference(const RefCall& call) {
  const HostTensor& table = *call.in[0];
  const HostTensor& ids = *call.in[1];
  const AxisView rows(table, 0);
  std::byte* y = call.out[0]->bytes.data();
  for (int64_t t = 0; t < ids.elements(); ++t) {
    const int64_t id = ids.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("ids", t, id, rows.n));
    y = std::copy_n(table.bytes.data() + rows.At(0, id), rows.inner_bytes, y);
  }
  return absl::OkStatus();
}

std::vector<Sample> GatherRowsSamples() {
  return {{"embedding",
           [](SampleGraph& g) -> Values {
             const Value table = g.Normal({99, 64});
             return {GatherRows(table, g.Ids({Dim::Symbol("T", 7)}, 99))};
           }},
          {"select",
           [](SampleGraph& g) -> Values {
             const Value x = g.Normal({8, 257});
             return {SelectRows(x, g.Ids({Dim::Symbol("R", 3)}, 8))};
           }},
          {"slots",
           [](SampleGraph& g) -> Values {
             const Value state = g.Normal({3, 9, 2, 5});
             return {GatherRows(state, g.Ids({Dim::Symbol("T", 4)}, 3))};
           }},
          {"vector", [](SampleGraph& g) -> Values {
             const Value table = g.Normal({17});
             return {GatherRows(table, g.Ids({5}, 17))};
           }}};
}

// Whether `state` is [slots, context] followed by the dims of a row of x.
bool HoldsRowsOf(const Shape& state, const Shape& x) {
  return state.rank() == x.rank() + 1 && x.rank() >= 1 &&
         state.dims().subspan(2) == x.dims().subspan(1);
}

absl::StatusOr<TensorTypes> InferAppend(const Call& call) {
  const TensorType& state = call.in[0];
  const TensorType& x = call.in[1];
  WEFT_RETURN_IF_ERROR(
      call.Require(CanEncodeRow(state.dtype),
                   absl::StrCat("C1: a state of ", Name(state.dtype),
                                " cannot be written; f32, f16, bf16, q8_0 and "
                                "q4_0 can")));
  WEFT_RETURN_IF_ERROR(RequireDType(call, "C2", 1, DType::kF32));
  WEFT_RETURN_IF_ERROR(call.Require(
      HoldsRowsOf(state.shape, x.shape),
      absl::StrCat("C3: a state of shape ", state.shape.ToString(),
                   " does not hold rows of ", x.shape.ToString())));
  WEFT_RETURN_IF_ERROR(call.Require(
      Info(state.dtype).block_values == 1 || state.shape.rank() > 2,
      absl::StrCat("C5: one ", Name(state.dtype),
                   " block would hold several positions")));
  const Shape per_token({x.shape.dim(0)});
  for (const size_t i : {size_t{2}, size_t{3}}) {
    WEFT_RETURN_IF_ERROR(RequireDType(call, "C4", i, DType::kI32));
    WEFT_RETURN_IF_ERROR(
        call.Require(call.in[i].shape == per_token,
                     absl::StrCat("C4: operand ", i, " has shape ",
                                  call.in[i].shape.ToString(), ", not ",
                                  per_token.ToString())));
  }
  return TensorTypes{state};
}

absl::Status AppendReference(const RefCall& call) {
  const HostTensor& x = *call.in[1];
  const HostTensor& slot = *call.in[2];
  const HostTensor& pos = *call.in[3];
  HostTensor& state = *call.out[0];
  const size_t place_bytes =
      state.bytes.size() / static_cast<size_t>(state.dim(0) * state.dim(1));
  // Each row of the fastest dimension by itself: a block never straddles two.
  const int64_t n = x.rank() < 2 ? 1 : x.dim(-1);
  const int64_t rows = Elements(x.dims) / std::max<int64_t>(1, x.dim(0) * n);
  const int64_t row_bytes = PaddedRowBytes(state.dtype, n).value_or(0);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const int64_t s = slot.i32()[t];
    const int64_t p = pos.i32()[t];
    WEFT_RETURN_IF_ERROR(CheckIndex("slot", t, s, state.dim(0)));
    WEFT_RETURN_IF_ERROR(CheckIndex("pos", t, p, state.dim(1)));
    std::byte* place = state.bytes.data() +
                       static_cast<size_t>(s * state.dim(1) + p) * place_bytes;
    for (int64_t row = 0; row < rows; ++row)
      EncodeRow(state.dtype, x.f32() + (t * rows + row) * n, n,
                place + row * row_bytes);
  }
  return absl::OkStatus();
}

Sample AppendSample(DType dtype, int64_t slots, Shape row, int64_t first) {
  return {std::string(Name(dtype)), [=](SampleGraph& g) -> Values {
            const Dim t = Dim::Symbol("T", 5);
            Shape state({slots, 16});
            Shape x({t});
            for (const Dim& dim : row) {
              state.Append(dim);
              x.Append(dim);
            }
            const Value cache = g.State(dtype, state);
            const Value rows = g.Normal(x);
            const Value pos = g.Positions({t}, first);
            return {Append(cache, rows, {pos, g.Ids({t}, slots)})};
          }};
}

}  // namespace

const OpDef kGatherRows = {
    .name = "gather_rows",
    .doc =
        "y[t] = table[ids[t]].\n"
        "table f32[N, ...], ids i32[T] -> f32[T, ...]\n"
        "At run time, OutOfRange for an id outside [0, N).\n"
        "C1: table is f32 of rank >= 1.\n"
        "C2: ids is i32 of rank 1.",
    .infer = InferGatherRows,
    .reference = GatherRowsReference,
    .samples = GatherRowsSamples,
    .gradient = [](const GradientCall& c) -> Values {
      return {ScatterRows(c.grad[0], c.in[1], c.in[0].dim(0)), Value()};
    },
    .tolerance = 0,  // it moves bytes
};

const OpDef kAppend = {
    .name = "append",
    .doc =
        "The state with state[slot[t], pos[t]] = x[t] for each token.\n"
        "state [slots, context, ...], x f32[T, ...], slot i32[T], "
        "pos i32[T] -> the state\n"
        "x is rounded to the state's dtype (graph/encode_row.h); a row that "
        "ends within a block is padded with zeros. The last of two tokens "
        "with one place wins. At run time, OutOfRange for a place outside the "
        "state.\n"
        "C1: the state's dtype is f32, f16, bf16, q8_0 or q4_0.\n"
        "C2: x is f32.\n"
        "C3: the dims after [slots, context] are those after x's T.\n"
        "C4: slot and pos are i32[T].\n"
        "C5: a state of a block format has rank >= 3.",
    .infer = InferAppend,
    .reference = AppendReference,
    .samples = []() -> std::vector<Sample> {
      return {AppendSample(DType::kF32, 2, {3, 17}, 0),
              AppendSample(DType::kF16, 3, {2, 64}, 11),
              AppendSample(DType::kBF16, 1, {33}, 5),
              AppendSample(DType::kQ8_0, 2, {2, 64}, 3),
              AppendSample(DType::kQ4_0, 2, {3, 20}, 9)};
    },
    .writes_state = true,
    .tolerance = 0,  // a rounding is right or wrong
};

Value GatherRows(Value table, Value ids, Where at) {
  return EmitNode(kGatherRows, {table, ids}, {}, at);
}

Value SelectRows(Value x, Value rows, Where at) {
  return GatherRows(x, rows, at);
}

Value Append(Value state, Value x, const Step& step, Where at) {
  return EmitNode(kAppend, {state, x, step.slot, step.pos}, {}, at);
}

}  // namespace weft::inline v0
