// Broken tensor tables and data.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "tests/gguf_builder.h"
#include "tests/gguf_malformed_cases.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;
using Cases = std::vector<MalformedGguf>;
using Numbers = std::initializer_list<uint64_t>;

constexpr uint64_t kMax = ~0ull;
constexpr uint32_t kF32 = 0;

std::string WithTensor(absl::FunctionRef<void(GgufTensorSpec&)> change) {
  return ChangedGguf([&](GgufSpec& s) { change(s.tensors[1]); });
}

// Where the entry of tensor 1, and what follows its name, begin.
constexpr absl::string_view kName = "blk.0.attn_q.weight";
uint64_t EntryAt() { return SmallGguf().OffsetOf(kName); }
uint64_t DimsAt() { return EntryAt() + 8 + kName.size(); }

// Tensor 1 as type `type` of `dims`.
std::string WithShape(uint32_t type, std::vector<uint64_t> dims) {
  return WithTensor([&](GgufTensorSpec& t) {
    t.type = type;
    t.dims = dims;
  });
}

void AddTensorNames(Cases& cases) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  const auto named = [](std::string name) {
    return WithTensor([&](GgufTensorSpec& t) { t.name = name; });
  };
  cases.push_back({"T1_empty",
                   named(""),
                   invalid,
                   {"GGUF-T1", "empty tensor name"},
                   EntryAt()});
  for (const size_t n : {64, 65, 4096, 70000})
    cases.push_back({absl::StrCat("T2_length_", n),
                     named(std::string(n, 'n')),
                     invalid,
                     {"GGUF-T2", "tensor name", "limit of 63", "tensor 1 of 3"},
                     EntryAt()});
  for (const std::string& name :
       {std::string("a\0b", 3), std::string("output.weight\0", 14),
        std::string("a\x1b[2J"), std::string("a\nb"), std::string("\x7f"),
        std::string("\xff"), std::string("\xc0\x80"),
        std::string("\xed\xa0\x80"), std::string("a\xe2\x82"),
        std::string("\xc2\x9b"), std::string("\xf4\x90\x80\x80")})
    cases.push_back({absl::StrCat("T3_name_", cases.size()),
                     named(name),
                     invalid,
                     {"GGUF-T3", "unprintable tensor name"},
                     EntryAt() + 8});
  cases.back().says.push_back("\\xf4\\x90");
  cases.push_back({"T4_duplicate",
                   named("token_embd.weight"),
                   StatusCode::kAlreadyExists,
                   {"GGUF-T4", "token_embd.weight", "tensor 1", "tensor 0"},
                   EntryAt() + 8});
  for (const uint64_t n : Numbers{1ull << 20, 1ull << 63, kMax})
    cases.push_back({absl::StrCat("T6_name_length_", n),
                     WithTensor([&](GgufTensorSpec& t) { t.length = n; }),
                     StatusCode::kDataLoss,
                     {"GGUF-T6", "tensor 1 of 3"}});
}

void AddShapes(Cases& cases) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  for (const uint32_t n : {5u, 8u, 9u, ~0u})
    cases.push_back({absl::StrCat("T7_n_dims_", n),
                     WithTensor([&](GgufTensorSpec& t) { t.n_dims = n; }),
                     StatusCode::kUnimplemented,
                     {"GGUF-T7", absl::StrCat("n_dims ", n), "at most 4",
                      "limit", "blk.0.attn_q.weight"},
                     DimsAt()});
  for (const uint64_t dim : Numbers{1ull << 63, kMax - 31, kMax})
    for (size_t at = 0; at < 4; ++at) {
      std::vector<uint64_t> dims(4, 1);
      dims[at] = dim;
      cases.push_back({absl::StrCat("T9_dim_", at, "_is_", dim),
                       WithShape(kF32, dims),
                       invalid,
                       {"GGUF-T9", "element count overflows"},
                       DimsAt() + 4 + 8 * at});
    }
  const uint64_t p32 = 1ull << 32, p62 = 1ull << 62;
  const std::vector<std::vector<uint64_t>> kOverflows = {
      {p32, p32},          {p62, 4},
      {p32, 1ull << 31},   {(1ull << 63) - 1, 2},
      {p32, p32, p32},     {0, p32, p32},
      {p32, 0, p32},       {2, 2, p62, 1},
      {p62, p62, p62, p62}};
  for (const std::vector<uint64_t>& dims : kOverflows)
    cases.push_back({absl::StrCat("T10_T11_", cases.size()),
                     WithShape(kF32, dims),
                     invalid,
                     {"GGUF-T10", "element count overflows"},
                     EntryAt()});
  cases.push_back({"T13_bytes",
                   WithShape(kF32, {p62}),
                   invalid,
                   {"GGUF-T13", "byte size overflows"},
                   EntryAt()});
  cases.push_back({"T13_bytes_f64",
                   WithShape(28, {1ull << 31, 1ull << 31}),
                   invalid,
                   {"GGUF-T13", "byte size overflows"},
                   EntryAt()});
  cases.push_back({"T14_padded",
                   WithShape(kF32, {p62 - 1}),
                   invalid,
                   {"GGUF-T14", "padded size overflows"},
                   EntryAt()});
}

void AddTensorTypes(Cases& cases) {
  const struct {
    uint32_t type;
    uint64_t ne0;
    std::string says;
  } kRagged[] = {
      {2, 31, "multiple of block 32"},   {2, 1, "multiple of block 32"},
      {8, 33, "multiple of block 32"},   {12, 255, "multiple of block 256"},
      {14, 32, "multiple of block 256"}, {40, 96, "multiple of block 64"}};
  for (const auto& [type, ne0, says] : kRagged)
    cases.push_back({absl::StrCat("T17_type_", type, "_ne0_", ne0),
                     WithShape(type, {ne0, 64}),
                     StatusCode::kInvalidArgument,
                     {"GGUF-T17", says},
                     EntryAt()});
  for (const uint32_t type :
       {4u, 5u, 31u, 36u, 43u, 255u, 256u, 0x7fffffffu, 0x80000000u, ~0u})
    cases.push_back({absl::StrCat("T19_type_", type),
                     WithShape(type, {32, 16}),
                     StatusCode::kUnimplemented,
                     {"GGUF-T19", "blk.0.attn_q.weight", absl::StrCat(type)},
                     DimsAt() + 4 + 2 * 8});
}

void AddOffsets(Cases& cases) {
  const auto at = [](size_t tensor, uint64_t offset) {
    return ChangedGguf([&](GgufSpec& s) { s.tensors[tensor].offset = offset; });
  };
  for (const uint64_t offset : Numbers{1ull, 16ull, 65ull, kMax})
    cases.push_back({absl::StrCat("T21_offset_", offset),
                     at(1, offset),
                     StatusCode::kInvalidArgument,
                     {"GGUF-T21", "offset", "alignment 32"},
                     DimsAt() + 4 + 2 * 8 + 4});
  const std::vector<std::string> overlap = {
      "GGUF-T22", "overlaps", "token_embd.weight", "blk.0.attn_q.weight"};
  cases.push_back(
      {"T22_same_offset", at(1, 0), StatusCode::kInvalidArgument, overlap});
  cases.push_back(
      {"T22_partial", at(1, 32), StatusCode::kInvalidArgument, overlap});
  cases.push_back(
      {"T22_inside",
       at(2, 64 + 96),
       StatusCode::kInvalidArgument,
       {"GGUF-T22", "overlaps", "output.weight", "blk.0.attn_q.weight"}});
  // Offset and data base wrap; offset and size wrap.
  for (const uint64_t offset : Numbers{kMax - 31, kMax - 63, kMax - 1023})
    cases.push_back({absl::StrCat("T25_offset_", offset),
                     at(1, offset),
                     StatusCode::kInvalidArgument,
                     {"GGUF-T25", "offset", "blk.0.attn_q.weight"},
                     DimsAt() + 4 + 2 * 8 + 4});
  cases.push_back({"T16_total",
                   ChangedGguf([](GgufSpec& s) {
                     s.tensors[0].dims = {1ull << 61};
                     s.tensors[1].dims = {1ull << 61};
                     s.tensors[1].type = kF32;
                   }),
                   StatusCode::kInvalidArgument,
                   {"GGUF-T16", "total size"}});
}

}  // namespace

std::vector<MalformedGguf> MalformedGgufTensors() {
  Cases cases;
  AddTensorNames(cases);
  AddShapes(cases);
  AddTensorTypes(cases);
  AddOffsets(cases);
  return cases;
}

std::vector<MalformedGguf> MalformedGgufData() {
  Cases cases;
  const std::string file = SmallGguf().Build();
  for (const size_t n : {1, 31, 32})
    cases.push_back(
        {absl::StrCat("D1_cut_by_", n),
         file.substr(0, file.size() - n),
         StatusCode::kDataLoss,
         {"GGUF-D1", "output.weight", absl::StrCat(n, " of 32 bytes missing")},
         SmallGguf().Build().size() - 32,
         true});
  cases.push_back(
      {"D1_far_offset",
       ChangedGguf([](GgufSpec& s) { s.tensors[2].offset = 1ull << 40; }),
       StatusCode::kDataLoss,
       {"GGUF-D1", "output.weight", "32 of 32 bytes missing"},
       {},
       true});
  cases.push_back({"D2_no_data",
                   SmallGguf().Metadata(),
                   StatusCode::kDataLoss,
                   {"GGUF-D2", "token_embd.weight"},
                   SmallGguf().Metadata().size(),
                   true});
  return cases;
}

}  // namespace weft::inline v0
