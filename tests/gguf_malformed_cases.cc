#include "tests/gguf_malformed_cases.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "tests/gguf_builder.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;
using Cases = std::vector<MalformedGguf>;
using Numbers = std::initializer_list<uint64_t>;

constexpr uint64_t kMax = ~0ull;

// The small file with one more key, the last.
std::string WithKey(GgufKeySpec key) {
  return ChangedGguf([&](GgufSpec& s) { s.keys.push_back(key); });
}

std::string WithKeyNamed(std::string name) {
  return WithKey({name, 0, LittleEndian<uint8_t>(1)});
}

// Where such a key begins.
uint64_t LastKeyAt() {
  GgufSpec spec = SmallGguf();
  spec.tensors.clear();
  return spec.Metadata().size();
}

// The small file up to its keys, and then `rest` as the last one.
std::string EndingInKey(std::string rest) {
  GgufSpec spec = SmallGguf();
  spec.tensors.clear();
  spec.n_kv = spec.keys.size() + 1;
  return spec.Metadata() + rest;
}

std::string KeyHead(absl::string_view name, uint32_t type) {
  return GgufString(name) + LittleEndian(type);
}

std::string ArrayHead(uint32_t element, uint64_t count) {
  return LittleEndian(element) + LittleEndian(count);
}

std::string WithAlignment(uint32_t type, std::string payload) {
  return ChangedGguf([&](GgufSpec& s) {
    s.Key("general.alignment").type = type;
    s.Key("general.alignment").payload = payload;
  });
}

void AddMagics(Cases& cases) {
  for (const char* magic : {"gguf", "GGUG", "ABCD", "\xff\xff\xff\xff"})
    cases.push_back({absl::StrCat("H3_magic_", cases.size()),
                     ChangedGguf([&](GgufSpec& s) { s.magic = magic; }),
                     StatusCode::kInvalidArgument,
                     {"GGUF-H3", "magic"},
                     0});
  for (const char* old : {"GGML", "lmgg", "ggjt", "tjgg", "ggmf", "fmgg"})
    cases.push_back({absl::StrCat("H3_old_", old),
                     ChangedGguf([&](GgufSpec& s) { s.magic = old; }),
                     StatusCode::kInvalidArgument,
                     {"GGUF-H3", "magic", old, "old format"},
                     0});
}

void AddVersions(Cases& cases) {
  const auto add = [&](absl::string_view row, uint32_t version, StatusCode code,
                       std::string says) {
    cases.push_back({absl::StrCat(row, "_version_", version),
                     ChangedGguf([&](GgufSpec& s) { s.version = version; }),
                     code,
                     {absl::StrCat("GGUF-", row), "version", says},
                     4});
  };
  add("H4", 0, StatusCode::kInvalidArgument, "version 0");
  add("H5", 1, StatusCode::kUnimplemented, "version 1 no longer supported");
  for (const uint32_t v : {4u, 255u, 0x7fffffffu, ~0u})
    add("H6", v, StatusCode::kUnimplemented, absl::StrCat("version ", v));
  for (const uint32_t v : {1u << 24, 2u << 24, 3u << 24, 0x80000000u})
    add("H7", v, StatusCode::kUnimplemented, "big-endian");
}

void AddCounts(Cases& cases) {
  const uint64_t rest = SmallGguf().Build().size() - 24;
  for (const uint64_t n : Numbers{rest / 33 + 1, 1ull << 32, 1ull << 63, kMax})
    cases.push_back({absl::StrCat("H8_n_tensors_", n),
                     ChangedGguf([&](GgufSpec& s) { s.n_tensors = n; }),
                     StatusCode::kDataLoss,
                     {"GGUF-H8", "n_tensors", "file can hold at most"},
                     8});
  for (const uint64_t n : Numbers{rest / 14 + 1, 1ull << 32, 1ull << 63, kMax})
    cases.push_back({absl::StrCat("H9_n_kv_", n),
                     ChangedGguf([&](GgufSpec& s) { s.n_kv = n; }),
                     StatusCode::kDataLoss,
                     {"GGUF-H9", "n_kv", "file can hold at most"},
                     16});
  cases.push_back({"H10_n_tensors_plus_1",
                   ChangedGguf([](GgufSpec& s) { s.n_tensors = 4; }),
                   StatusCode::kDataLoss,
                   {"GGUF-H10", "tensor 3 of 4"}});
  for (const uint64_t n : Numbers{0, 1, 2})
    cases.push_back({absl::StrCat("H12_n_tensors_", n, "_of_3"),
                     ChangedGguf([&](GgufSpec& s) { s.n_tensors = n; }),
                     StatusCode::kInvalidArgument,
                     {"GGUF-H12", "n_tensors", "follows"}});
}

void AddKeyNames(Cases& cases) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  cases.push_back({"K1_empty",
                   WithKeyNamed(""),
                   invalid,
                   {"GGUF-K1", "empty key", "25"},
                   LastKeyAt() + 8});
  for (const size_t n : {65536, 100000})
    cases.push_back({absl::StrCat("K2_length_", n),
                     WithKeyNamed(std::string(n, 'k')),
                     invalid,
                     {"GGUF-K2", "key longer than 65535"},
                     LastKeyAt()});
  const std::string head = GgufString("abc");
  for (size_t n = 0; n < head.size(); ++n)
    cases.push_back({absl::StrCat("K3_cut_after_", n),
                     EndingInKey(head.substr(0, n) + ""),
                     StatusCode::kDataLoss,
                     {"key 25", "cut off"}});
  for (const uint64_t n : Numbers{1ull << 20, 1ull << 63, kMax})
    cases.push_back({absl::StrCat("K3_length_", n),
                     WithKey({"abc", 0, "1", n}),
                     StatusCode::kDataLoss,
                     {"GGUF-K3", "key 25"}});
  for (const std::string& name :
       {std::string("a\0b", 3), std::string("\0", 1), std::string("s.u8\0", 5)})
    cases.push_back({absl::StrCat("K4_", cases.size()),
                     WithKeyNamed(name),
                     invalid,
                     {"GGUF-K4", "NUL in key", "\\x00"},
                     LastKeyAt() + 8 + name.find('\0')});
  cases.push_back({"K5_high",
                   WithKeyNamed("a\xff"),
                   invalid,
                   {"GGUF-K5", "non-ASCII key", "a\\xff"},
                   LastKeyAt() + 9});
  cases.push_back({"K5_escape",
                   WithKeyNamed("\x1b[2J"),
                   invalid,
                   {"GGUF-K5", "non-ASCII key", "\\x1b[2J"},
                   LastKeyAt() + 8});
  cases.push_back({"K5_utf8",
                   WithKeyNamed("k\xc3\xa9y"),
                   invalid,
                   {"GGUF-K5", "non-ASCII key", "\\xc3\\xa9"}});
}

void AddDuplicateKeys(Cases& cases) {
  const std::vector<std::string> says = {"GGUF-K7", "s.u8", "key 25", "key 2"};
  cases.push_back({"K6_same_type", WithKeyNamed("s.u8"),
                   StatusCode::kAlreadyExists, says, LastKeyAt() + 8});
  cases.push_back({"K7_other_type", WithKey({"s.u8", 8, GgufString("x")}),
                   StatusCode::kAlreadyExists, says, LastKeyAt() + 8});
  cases.push_back(
      {"K27_two_alignments",
       WithKey({"general.alignment", 4, LittleEndian<uint32_t>(32)}),
       StatusCode::kAlreadyExists,
       {"GGUF-K7", "general.alignment"}});
}

void AddTypes(Cases& cases) {
  for (const uint32_t type : {13u, 255u, 0x80000000u, ~0u}) {
    cases.push_back({absl::StrCat("K9_type_", type),
                     WithKey({"x.y", type, "12345678"}),
                     StatusCode::kUnimplemented,
                     {"GGUF-K9", "x.y", absl::StrCat(type)},
                     LastKeyAt() + 11});
    cases.push_back({absl::StrCat("K16_element_", type),
                     WithKey({"x.y", 9, ArrayHead(type, 1) + "12345678"}),
                     StatusCode::kUnimplemented,
                     {"GGUF-K16", "x.y", "element type", absl::StrCat(type)},
                     LastKeyAt() + 15});
  }
  cases.push_back({"K14_nested",
                   WithKey({"x.y", 9, ArrayHead(9, 1) + ArrayHead(0, 1) + "1"}),
                   StatusCode::kUnimplemented,
                   {"GGUF-K14", "nested arrays", "x.y"},
                   LastKeyAt() + 15});
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += ArrayHead(9, 1);
  cases.push_back({"K15_nested_100000",
                   WithKey({"x.y", 9, deep}),
                   StatusCode::kUnimplemented,
                   {"GGUF-K14", "nested arrays"}});
}

void AddCutValues(Cases& cases) {
  constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
  for (uint32_t type = 0; type < std::size(kSizes); ++type)
    for (size_t n = 0; n < kSizes[type]; ++n)
      cases.push_back({absl::StrCat("K10_type_", type, "_cut_after_", n),
                       EndingInKey(KeyHead("x.y", type) + std::string(n, '\0')),
                       StatusCode::kDataLoss,
                       {type == 8 ? "GGUF-K11" : "GGUF-K10", "x.y", "cut off"},
                       LastKeyAt() + 15});
  for (const size_t n : {0, 1, 3})
    cases.push_back({absl::StrCat("K10_type_number_cut_after_", n),
                     EndingInKey(KeyHead("x.y", 0).substr(0, 11 + n)),
                     StatusCode::kDataLoss,
                     {"GGUF-K6", "x.y", "value type"},
                     LastKeyAt() + 11});
  for (const size_t n : {0, 3, 4, 11})
    cases.push_back(
        {absl::StrCat("K18_array_head_cut_after_", n),
         EndingInKey(KeyHead("x.y", 9) + ArrayHead(0, 1).substr(0, n)),
         StatusCode::kDataLoss,
         {n < 4 ? "GGUF-K15" : "GGUF-K18", "x.y", "element"},
         LastKeyAt() + (n < 4 ? 15 : 19)});
  for (const uint64_t n : Numbers{4ull, 1ull << 40, 1ull << 63, kMax - 7, kMax})
    cases.push_back({absl::StrCat("K11_length_", n),
                     EndingInKey(KeyHead("x.y", 8) + LittleEndian(n) + "abc"),
                     StatusCode::kDataLoss,
                     {"GGUF-K11", "x.y"}});
}

void AddArrays(Cases& cases) {
  for (const uint32_t element : {0u, 2u, 4u, 7u, 10u, 12u})
    for (const uint64_t n :
         Numbers{17ull, 1ull << 61, 1ull << 62, 1ull << 63, kMax})
      cases.push_back({absl::StrCat("K17_type_", element, "_count_", n),
                       EndingInKey(KeyHead("x.y", 9) + ArrayHead(element, n) +
                                   std::string(16, '\0')),
                       StatusCode::kDataLoss,
                       {"GGUF-K17", "x.y", absl::StrCat(n)},
                       LastKeyAt() + 27});
  for (const uint64_t n : Numbers{3ull, 1ull << 60, 1ull << 61, kMax})
    cases.push_back({absl::StrCat("K19_strings_", n),
                     EndingInKey(KeyHead("x.y", 9) + ArrayHead(8, n) +
                                 std::string(16, '\0')),
                     StatusCode::kDataLoss,
                     {"GGUF-K19", "x.y", absl::StrCat(n)},
                     LastKeyAt() + 27});
  for (const uint64_t n : Numbers{3ull, 1ull << 63, kMax})
    cases.push_back({absl::StrCat("K20_last_string_", n),
                     EndingInKey(KeyHead("x.y", 9) + ArrayHead(8, 2) +
                                 GgufString("a") + LittleEndian(n) + "ab"),
                     StatusCode::kDataLoss,
                     {"GGUF-K20", "x.y", "element 1 of 2"}});
  cases.push_back({"K20_length_cut",
                   EndingInKey(KeyHead("x.y", 9) + ArrayHead(8, 2) +
                               GgufString("abcdefgh") + "abc"),
                   StatusCode::kDataLoss,
                   {"GGUF-K20", "element 1 of 2"}});
  for (const uint8_t byte : {2, 0x80, 0xff}) {
    const std::vector<std::string> says = {"bool must be 0 or 1", "x.y",
                                           absl::StrCat(byte)};
    cases.push_back({absl::StrCat("K13_bool_", byte),
                     WithKey({"x.y", 7, LittleEndian(byte)}),
                     StatusCode::kInvalidArgument, says, LastKeyAt() + 15});
    cases.push_back(
        {absl::StrCat("K21_bool_", byte),
         WithKey({"x.y", 9, ArrayHead(7, 3) + "\1\1" + LittleEndian(byte)}),
         StatusCode::kInvalidArgument,
         {says[0], says[1], says[2], "element 2 of 3"},
         LastKeyAt() + 15 + 12 + 2});
  }
}

void AddAlignments(Cases& cases) {
  const auto add = [&](absl::string_view row, uint32_t value, StatusCode code,
                       std::string says) {
    cases.push_back({absl::StrCat(row, "_alignment_", value),
                     WithAlignment(4, LittleEndian(value)),
                     code,
                     {absl::StrCat("GGUF-", row), "alignment", says},
                     SmallGguf().OffsetOf("general.alignment")});
  };
  add("K22", 0, StatusCode::kInvalidArgument, "alignment 0");
  for (const uint32_t v : {3u, 12u, 24u, 33u, 0x7fffffffu, ~0u})
    add("K23", v, StatusCode::kInvalidArgument, "power of two");
  for (const uint32_t v : {1u << 17, 1u << 31})
    add("K25", v, StatusCode::kResourceExhausted, "65536");
  const struct {
    uint32_t type;
    std::string name, payload;
  } kOthers[] = {{5, "int32", LittleEndian<int32_t>(32)},
                 {10, "uint64", LittleEndian<uint64_t>(32)},
                 {6, "float32", LittleEndian(32.0f)},
                 {8, "string", GgufString("32")},
                 {0, "uint8", LittleEndian<uint8_t>(32)},
                 {7, "bool", LittleEndian<uint8_t>(1)},
                 {9, "array", ArrayHead(4, 1) + LittleEndian<uint32_t>(32)}};
  for (const auto& [type, name, payload] : kOthers)
    cases.push_back({absl::StrCat("K26_alignment_", name),
                     WithAlignment(type, payload),
                     StatusCode::kInvalidArgument,
                     {"GGUF-K26", "general.alignment",
                      absl::StrCat("must be uint32 but is ", name)}});
}

}  // namespace

std::vector<MalformedGguf> MalformedGgufHeaders() {
  Cases cases;
  cases.push_back(
      {"H1_empty", "", StatusCode::kDataLoss, {"GGUF-H1", "empty file"}});
  const std::string file = SmallGguf().Build();
  for (size_t n = 1; n < 24; ++n)
    cases.push_back({absl::StrCat("H2_bytes_", n),
                     file.substr(0, n),
                     StatusCode::kDataLoss,
                     {"GGUF-H2", "needs 24 bytes", absl::StrCat(n, " bytes")}});
  AddMagics(cases);
  AddVersions(cases);
  AddCounts(cases);
  return cases;
}

std::vector<MalformedGguf> MalformedGgufKeys() {
  Cases cases;
  AddKeyNames(cases);
  AddDuplicateKeys(cases);
  AddTypes(cases);
  AddCutValues(cases);
  AddArrays(cases);
  AddAlignments(cases);
  return cases;
}

std::vector<MalformedGguf> AllMalformedGgufs() {
  Cases all;
  for (const auto make : {MalformedGgufHeaders, MalformedGgufKeys,
                          MalformedGgufTensors, MalformedGgufData}) {
    Cases cases = make();
    std::move(cases.begin(), cases.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace weft::inline v0
