// Which tensor of a model gets which format: the usual mixtures, such as
// Q4_K_M, by the rules that files in the wild were made with.
#ifndef WEFT_TOOLS_MIXTURE_H_
#define WEFT_TOOLS_MIXTURE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "graph/dtype.h"
#include "models/gguf.h"

namespace weft::inline v0 {

// What the rules go by besides a tensor's name.
struct MixtureModel {
  int64_t layers = 0;
  int64_t heads_per_group = 1;  // query heads that share a K and V head
  int64_t experts = 0;
  bool has_output = true;  // output.weight; else token_embd.weight is both
};

struct MixtureRule;  // mixture.cc

// A target of quantisation. One of AllMixtures(), or a format by itself, which
// every matrix then gets.
struct Mixture {
  absl::string_view name;             // "Q4_K_M", "q4_k"
  DType base = DType::kF32;           // of matrices that no rule is about
  std::optional<uint32_t> file_type;  // general.file_type, where there is one
  absl::Span<const MixtureRule> rules = {};  // the first that applies counts
};

absl::Span<const Mixture> AllMixtures();

// By name, in any case. With `pure`, or for the name of a format that is no
// mixture's, every matrix has the same format. InvalidArgument lists the names.
absl::StatusOr<Mixture> FindMixture(absl::string_view name, bool pure);
// The formats that matrices can be written in, by name in any case.
absl::StatusOr<DType> FindMatrixType(absl::string_view name);
// All names, for help and messages.
std::string MixtureNames();

// Reads what the rules need; keys that are missing count as the defaults.
MixtureModel DescribeForMixture(const GgufFile& file);

// Whether a tensor is a matrix of weights. Others (vectors, norms, routers,
// convolutions, position tables) are small and stay as they are.
bool IsQuantizable(absl::string_view name, absl::Span<const int64_t> dims);

// The format for a quantizable tensor. Rows that it cannot hold get the nearest
// one of 32 values in a block, or f16.
DType TypeFor(const Mixture& mixture, const MixtureModel& model,
              absl::string_view name, absl::Span<const int64_t> dims);

// `type`, or what stands in for it in rows of that length.
DType FallbackFor(DType type, int64_t row_length);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_MIXTURE_H_
