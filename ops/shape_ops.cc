// Reshape and permute; slice.cc has the ops along one axis.
#include "ops/shape_ops.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/sample.h"
#include "graph/status_macros.h"
#include "ops/matmul.h"
#include "ops/op_helpers.h"

namespace weft::inline v0 {
namespace {

// Product of the constant dims, which are positive; a product too large for
// int64 counts as the largest one.
int64_t ConstantProduct(const Shape& shape) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  int64_t product = 1;
  for (const Dim& dim : shape)
    if (dim.is_constant())
      product = product > kMax / dim.bound() ? kMax : product * dim.bound();
  return product;
}

std::vector<Dim> SymbolsOf(const Shape& shape) {
  std::vector<Dim> symbols;
  for (const Dim& dim : shape)
    if (dim.is_symbol()) symbols.push_back(dim);
  return symbols;
}

// Whether both hold the same symbols, each as often.
bool SameSymbols(const Shape& a, const Shape& b) {
  const std::vector<Dim> in_a = SymbolsOf(a);
  const std::vector<Dim> in_b = SymbolsOf(b);
  return std::is_permutation(in_a.begin(), in_a.end(), in_b.begin(),
                             in_b.end());
}

absl::StatusOr<TensorTypes> InferReshape(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  const Shape& from = call.in[0].shape;
  const Shape& to = call.attrs.GetShape("shape");
  WEFT_RETURN_IF_ERROR(call.Require(
      to.rank() <= kMaxRank &&
          std::all_of(to.begin(), to.end(),
                      [](const Dim& d) { return d.bound() > 0; }),
      absl::StrCat("C2: shape ", to.ToString(), " has a rank above ", kMaxRank,
                   " or a dim that is not positive")));
  WEFT_RETURN_IF_ERROR(call.Require(
      SameSymbols(from, to),
      absl::StrCat("C3: shape ", to.ToString(),
                   " does not keep the symbols of ", from.ToString())));
  const int64_t have = ConstantProduct(from);
  const int64_t want = ConstantProduct(to);
  WEFT_RETURN_IF_ERROR(call.Require(
      have == want, absl::StrCat("C4: shape ", to.ToString(), " has ", want,
                                 " elements per symbol, x has ", have)));
  return OneType(call.in[0].dtype, to);
}

absl::StatusOr<TensorTypes> InferPermute(const Call& call) {
  WEFT_RETURN_IF_ERROR(RequirePlain(call, "C1"));
  const Shape& x = call.in[0].shape;
  const auto perm = call.attrs.Ints("perm");
  std::vector<int64_t> sorted(perm.begin(), perm.end());
  std::sort(sorted.begin(), sorted.end());
  bool ok = static_cast<int>(perm.size()) == x.rank();
  for (size_t i = 0; i < sorted.size(); ++i)
    ok = ok && sorted[i] == static_cast<int64_t>(i);
  WEFT_RETURN_IF_ERROR(call.Require(
      ok, absl::StrCat("C2: (", absl::StrJoin(perm, ","),
                       ") is no permutation of ", x.rank(), " axes")));
  Shape y;
  for (const int64_t axis : perm) y.Append(x.dim(static_cast<int>(axis)));
  return OneType(call.in[0].dtype, std::move(y));
}

absl::Status PermuteReference(const RefCall& call) {
  const HostTensor& x = *call.in[0];
  const size_t bytes = ElementBytes(x.dtype);
  const Dims x_strides = RowMajorStrides(x.dims);
  Dims strides;  // of x, along the dimensions of y
  for (const int64_t axis : call.attrs.Ints("perm"))
    strides.push_back(x_strides[static_cast<size_t>(axis)]);
  std::byte* y = call.out[0]->bytes.data();
  ForEachIndex(call.out[0]->dims, [&](absl::Span<const int64_t> index) {
    const size_t from = static_cast<size_t>(Offset(index, strides)) * bytes;
    y = std::copy_n(x.bytes.data() + from, bytes, y);
  });
  return absl::OkStatus();
}

bool SwapsOnlyTheFastestTwo(const std::vector<int64_t>& perm) {
  const size_t n = perm.size();
  if (n < 2) return false;
  for (size_t i = 0; i + 2 < n; ++i)
    if (perm[i] != static_cast<int64_t>(i)) return false;
  return perm[n - 2] == static_cast<int64_t>(n - 1) &&
         perm[n - 1] == static_cast<int64_t>(n - 2);
}

}  // namespace

const OpDef kReshape = {
    .name = "reshape",
    .doc =
        "The same elements in row-major order under another shape.\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: the shape has at most 5 dims, all positive.\n"
        "C3: the shape has the same symbols as x, each as often.\n"
        "C4: the products of the constant dims are equal.",
    .infer = InferReshape,
    .reference =
        [](const RefCall& call) {
          call.out[0]->bytes = call.in[0]->bytes;
          return absl::OkStatus();
        },
    .samples = []() -> std::vector<Sample> {
      return {{"heads",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 return {Reshape(g.Normal({t, 192}), {t, 3, 64})};
               }},
              {"merge",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 return {Reshape(g.Normal({t, 3, 1, 17}), {t, 51})};
               }},
              {"ids", [](SampleGraph& g) -> Values {
                 return {Reshape(g.Ids({2, 9}, 100), {3, 6})};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      return {Reshape(c.grad[0], c.in[0].shape())};
    },
    .view = ViewKind::kReshape,
    .tolerance = 0,  // it moves bytes
};

const OpDef kPermute = {
    .name = "permute",
    .doc =
        "Dimension i of y is dimension perm[i] of x.\n"
        "C1: blocks of x's dtype hold one value.\n"
        "C2: perm is a permutation of x's axes.",
    .infer = InferPermute,
    .reference = PermuteReference,
    .samples = []() -> std::vector<Sample> {
      return {{"heads_first",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 5);
                 return {Permute(g.Normal({t, 17, 3, 8}), {0, 2, 1, 3})};
               }},
              {"keys",
               [](SampleGraph& g) -> Values {
                 const Dim t = Dim::Symbol("T", 3);
                 return {Permute(g.Normal({t, 17, 3, 8}), {0, 2, 3, 1})};
               }},
              {"reverse", [](SampleGraph& g) -> Values {
                 return {Permute(g.Ids({3, 4, 5}, 100), {2, 1, 0})};
               }}};
    },
    .gradient = [](const GradientCall& c) -> Values {
      const auto perm = c.attrs.Ints("perm");
      std::vector<int64_t> back(perm.size());
      for (size_t i = 0; i < perm.size(); ++i)
        back[static_cast<size_t>(perm[i])] = static_cast<int64_t>(i);
      return {Permute(c.grad[0], std::move(back))};
    },
    .view = ViewKind::kPermute,
    .tolerance = 0,  // it moves bytes
};

Value Reshape(Value x, Shape shape, Where at) {
  return EmitNode(kReshape, {x}, {{"shape", std::move(shape)}}, at);
}

Value Permute(Value x, std::vector<int64_t> perm, Where at) {
  // A pattern's value has no rank to compare with.
  const bool rank_fits =
      x.dtype() == DType::kUnknown || x.rank() == static_cast<int>(perm.size());
  if (rank_fits && SwapsOnlyTheFastestTwo(perm)) return Transpose(x, at);
  return EmitNode(kPermute, {x}, {{"perm", std::move(perm)}}, at);
}

}  // namespace weft::inline v0
