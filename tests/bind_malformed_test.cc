// Hyper-parameters and tensors that are not what an architecture needs: each
// row of a table is a change of a sound model, named by its kind, with the
// status, the id, the byte and the text that it must get.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/architecture.h"
#include "models/engine.h"
#include "tests/gguf_builder.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr StatusCode kInvalid = StatusCode::kInvalidArgument;
constexpr StatusCode kRange = StatusCode::kOutOfRange;
constexpr StatusCode kUnimplemented = StatusCode::kUnimplemented;

absl::StatusOr<std::unique_ptr<Graph>> Built(const std::string& bytes) {
  const auto file = GgufFile::Parse(AsBytes(bytes), "m.gguf");
  if (!file.ok()) return file.status();
  const auto architecture = FindArchitecture(*file);
  if (!architecture.ok()) return architecture.status();
  BuildOptions options;
  options.max_tokens = 4;
  options.context = 64;
  return BuildModel(*file, **architecture, options);
}

struct Row {
  std::string name;
  std::function<void(GgufSpec&)> change;
  StatusCode code;
  std::string id;
  std::string at;      // key or tensor whose byte is given; "": none is
  std::string says;    // what follows the byte
  size_t element = 0;  // of an array
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class BindMalformedTest : public testing::TestWithParam<Row> {};

TEST_P(BindMalformedTest, IsRefused) {
  const Row& row = GetParam();
  GgufSpec spec = TinyLlama();
  row.change(spec);
  const absl::Status status = Built(spec.Build()).status();
  EXPECT_EQ(status.code(), row.code);
  std::string start = absl::StrCat("m.gguf: ", row.id);
  if (!row.at.empty())
    absl::StrAppend(&start, " at byte ", spec.OffsetOf(row.at, row.element));
  absl::StrAppend(&start, ": ", row.says);
  EXPECT_TRUE(absl::StartsWith(status.message(), start))
      << status << "\nexpected: " << start;
}

std::string NameOf(const testing::TestParamInfo<Row>& info) {
  return info.param.name;
}

// ---- Rows ----

void Remove(GgufSpec& spec, const std::string& key) {
  std::erase_if(spec.keys, [&](const GgufKeySpec& k) { return k.key == key; });
}

// A key of llama.* as a scalar.
template <class T>
std::function<void(GgufSpec&)> With(const std::string& key, GgufType type,
                                    T value) {
  return [=](GgufSpec& spec) {
    Remove(spec, key);
    spec.Scalar(key, type, value);
  };
}

Row Number(const std::string& name, const std::string& key, uint32_t value,
           StatusCode code, const std::string& id, const std::string& rule) {
  return {absl::StrCat(name, "_", value),
          With("llama." + key, GgufType::kUint32, value),
          code,
          id,
          "llama." + key,
          absl::StrCat("llama.", key, " is ", value, "; expected ", rule)};
}

std::vector<Row> Sizes() {
  std::vector<Row> rows;
  for (const uint32_t n : {0u, 513u, 0x7FFFFFFFu, 0xFFFFFFFFu})
    rows.push_back(Number("A1_block_count", "block_count", n, kRange, "BIND-A1",
                          "a number from 1 to 512"));
  const std::string count = "attention.head_count", kv = count + "_kv";
  rows.push_back(Number("A2_head_count", count, 0, kInvalid, "BIND-A2",
                        "at least one head"));
  for (const uint32_t n : {0u, 3u, 8u})
    rows.push_back(Number("A2_head_count_kv", kv, n, kInvalid, "BIND-A2",
                          "a divisor of the 4 heads"));
  for (const char* key : {"key_length", "value_length"})
    for (const uint32_t n : {0u, 7u, 4097u, 4098u, 0xFFFFFFFFu})
      rows.push_back(Number(absl::StrCat("A4_", key),
                            absl::StrCat("attention.", key), n, kInvalid,
                            "BIND-A4", "an even number from 2 to 4096"));
  return rows;
}

std::vector<Row> Arrays() {
  const std::string key = "llama.attention.head_count_kv";
  const auto array = [&](std::vector<int32_t> values) {
    return [=](GgufSpec& spec) {
      Remove(spec, key);
      spec.Array(key, GgufType::kInt32, values);
    };
  };
  const std::string divisor = "; expected a divisor of the 4 heads for layer ";
  const std::string range = "; expected a number from 0 to 4096 for layer ";
  const auto floats = [=](GgufSpec& spec) {
    Remove(spec, key);
    spec.Array<float>(key, GgufType::kFloat32, {2, 2});
  };
  const auto text = [=](GgufSpec& spec) {
    Remove(spec, key);
    spec.String(key, "2");
  };
  const std::string wrong = absl::StrCat("type of key \"", key, "\" is ");
  std::vector<Row> rows = {
      {"A5_no_element", array({}), kInvalid, "BIND-A5", key,
       key + " is an array of 0; expected one number for each of 2 layers"},
      {"A5_one_element", array({2}), kInvalid, "BIND-A5", key,
       key + " is an array of 1; expected one number for each of 2 layers"},
      {"A5_three_elements", array({2, 2, 2}), kInvalid, "BIND-A5", key,
       key + " is an array of 3; expected one number for each of 2 layers"},
      {"A5_zero_first", array({0, 2}), kInvalid, "BIND-A5", key,
       key + "[0] is 0" + divisor + "0"},
      {"A5_zero_last", array({2, 0}), kInvalid, "BIND-A5", key,
       key + "[1] is 0" + divisor + "1", 1},
      {"A5_no_divisor", array({2, 3}), kInvalid, "BIND-A5", key,
       key + "[1] is 3" + divisor + "1", 1},
      {"A5_negative", array({2, -1}), kInvalid, "BIND-A5", key,
       key + "[1] is -1" + range + "1", 1},
      {"A5_floats", floats, kInvalid, "GGUF-G4", key,
       "element " + wrong + "float32; expected an integer type"},
      {"A5_string", text, kInvalid, "GGUF-G2", key,
       wrong + "string; expected an integer"},
  };
  return rows;
}

std::vector<Row> Reals() {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  std::vector<Row> rows;
  const auto add = [&](const std::string& name, const std::string& key,
                       const std::vector<float>& values, const std::string& id,
                       const std::string& rule) {
    for (const float v : values) {
      const std::string text = absl::StrCat(v);
      const std::string full = "llama." + key;
      rows.push_back({absl::StrCat(name, "_", v < 0 ? "minus_1" : text),
                      [=](GgufSpec& spec) {
                        // Only YaRN asks for all of them.
                        spec.String("llama.rope.scaling.type", "yarn");
                        With(full, GgufType::kFloat32, v)(spec);
                      },
                      kInvalid, id, full,
                      full + " is " + text + "; expected " + rule});
    }
  };
  const std::string above = "a number above 0", finite = "a finite number";
  add("A7_freq_base", "rope.freq_base", {0, -1, nan, inf}, "BIND-A7", above);
  add("A7_factor", "rope.scaling.factor", {-1, nan, inf}, "BIND-A7", above);
  add("A7_attn_factor", "rope.scaling.attn_factor", {0, -1, nan, inf},
      "BIND-A7", above);
  for (const char* key :
       {"yarn_ext_factor", "yarn_beta_fast", "yarn_beta_slow"})
    add(absl::StrCat("A7_", key), absl::StrCat("rope.scaling.", key),
        {nan, inf}, "BIND-A7", finite);
  add("A8_eps", "attention.layer_norm_rms_epsilon", {0, -1, nan, inf},
      "BIND-A8", above);
  for (const uint32_t n : {0u, 7u, 10u})
    rows.push_back(Number("A7_rope_dims", "rope.dimension_count", n, kInvalid,
                          "BIND-A7", "an even number up to the head size 8"));
  const std::string type = "llama.rope.scaling.type";
  rows.push_back({"A7_scaling_type_unknown",
                  [=](GgufSpec& spec) { spec.String(type, "f\x1b"); },
                  kUnimplemented, "BIND-A7", type,
                  type + " is \"f\\x1b\"; expected none, linear, longrope or "
                         "yarn"});
  return rows;
}

constexpr char kUp[] = "blk.1.ffn_up.weight";
constexpr char kNorm[] = "blk.1.ffn_norm.weight";

// A tensor made again as `type` of `dims`, fastest first.
std::function<void(GgufSpec&)> Remade(const std::string& name, DType type,
                                      std::vector<uint64_t> dims) {
  return [=](GgufSpec& spec) {
    std::erase_if(spec.tensors,
                  [&](const GgufTensorSpec& t) { return t.name == name; });
    spec.Tensor(name, type, dims);
  };
}

std::vector<Row> Tensors() {
  const auto without = [](const std::string& name) {
    return [=](GgufSpec& spec) {
      std::erase_if(spec.tensors,
                    [&](const GgufTensorSpec& t) { return t.name == name; });
    };
  };
  std::vector<Row> rows;
  for (const std::string name :
       {"token_embd.weight", "output_norm.weight", kNorm, kUp}) {
    std::string row = "A10_" + name;
    for (char& c : row)
      if (c == '.') c = '_';
    rows.push_back({row, without(name), StatusCode::kNotFound, "BIND-A10", "",
                    absl::StrCat("tensor \"", name, "\" is missing")});
  }
  const auto shaped = [&](const std::string& row, std::vector<uint64_t> dims,
                          const std::string& found) {
    rows.push_back({row, Remade(kUp, DType::kF32, dims), kInvalid, "BIND-A11",
                    kUp,
                    absl::StrCat("tensor \"", kUp, "\" is ", found,
                                 "; expected [64,32]")});
  };
  shaped("A11_transposed", {64, 32}, "[32,64]");
  shaped("A11_row_more", {32, 65}, "[65,32]");
  shaped("A11_column_less", {31, 64}, "[64,31]");
  shaped("A11_vector", {32}, "[32]");
  shaped("A11_cube", {32, 64, 2}, "[2,64,32]");
  for (size_t axis = 0; axis < 4; ++axis) {
    std::vector<uint64_t> dims = {32, 64, 1, 1};
    dims[axis] = 0;
    rows.push_back(
        {absl::StrCat("T8_zero_dimension_", axis),
         Remade(kUp, DType::kF32, dims), kInvalid, "BIND-T8", kUp,
         absl::StrCat("tensor \"", kUp, "\" is [", dims[3], ",", dims[2], ",",
                      dims[1], ",", dims[0], "]; expected no zero dimension")});
  }
  rows.push_back(
      {"A13_norm_as_q8_0", Remade(kNorm, DType::kQ8_0, {32}), kUnimplemented,
       "BIND-A13", kNorm,
       absl::StrCat("tensor \"", kNorm, "\" is of type q8_0; expected f32")});
  for (const DType type : {DType::kI8, DType::kI32, DType::kF64})
    rows.push_back({absl::StrCat("T20_weight_as_", Name(type)),
                    Remade(kUp, type, {32, 64}), kUnimplemented, "BIND-A13",
                    kUp,
                    absl::StrCat("tensor \"", kUp, "\" is of type ", Name(type),
                                 "; expected a type that weft can compute")});
  return rows;
}

INSTANTIATE_TEST_SUITE_P(Sizes, BindMalformedTest, testing::ValuesIn(Sizes()),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Arrays, BindMalformedTest, testing::ValuesIn(Arrays()),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Reals, BindMalformedTest, testing::ValuesIn(Reals()),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(Tensors, BindMalformedTest,
                         testing::ValuesIn(Tensors()), NameOf);

// ---- What is accepted ----

TEST(BindAccepts, TheModelItself) {
  const auto graph = Built(TinyLlama().Build());
  EXPECT_TRUE(graph.ok()) << graph.status();
}

TEST(BindAccepts, A5_HeadsByLayer) {
  GgufSpec spec = TinyLlama();
  Remove(spec, "llama.attention.head_count_kv");
  spec.Array<int32_t>("llama.attention.head_count_kv", GgufType::kInt32,
                      {2, 2});
  const auto graph = Built(spec.Build());
  EXPECT_TRUE(graph.ok()) << graph.status();
}

// "Not set", in files of llama.cpp's converter.
TEST(BindAccepts, A7_NegativeExtFactor) {
  GgufSpec spec = TinyLlama();
  spec.String("llama.rope.scaling.type", "yarn");
  spec.Scalar("llama.rope.scaling.yarn_ext_factor", GgufType::kFloat32, -1.0f);
  const auto graph = Built(spec.Build());
  EXPECT_TRUE(graph.ok()) << graph.status();
}

TEST(BindAccepts, T8_ZeroDimensionOfATensorThatNobodyReads) {
  GgufSpec spec = TinyLlama();
  spec.Tensor("unused.weight", DType::kF32, {32, 0});
  const auto graph = Built(spec.Build());
  EXPECT_TRUE(graph.ok()) << graph.status();
}

// `bytes` must outlive it.
std::unique_ptr<Session> NewSession(const std::string& bytes) {
  auto file = GgufFile::Parse(AsBytes(bytes), "m.gguf");
  EXPECT_TRUE(file.ok()) << file.status();
  const auto model = Model::FromFile(*std::move(file));
  EXPECT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.context = 16;
  options.batch = 4;
  auto session = (*model)->NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

std::vector<float> Copy(absl::StatusOr<absl::Span<const float>> row) {
  EXPECT_TRUE(row.ok()) << row.status();
  return std::vector<float>(row->begin(), row->end());
}

// The logits of token 5 alone.
std::vector<float> LogitsOf(const GgufSpec& spec) {
  const std::string bytes = spec.Build();
  return Copy(NewSession(bytes)->Decode(0, 5));
}

// Without output.weight the embeddings are the output matrix too; with it, it
// is used. (A10_token_embd_weight: neither is an error, as is output alone.)
TEST(BindAccepts, A14_TiedAndUntiedOutput) {
  const GgufSpec tied = TinyLlama();
  GgufSpec same = tied, other = tied;
  GgufTensorSpec output = tied.tensors[0];
  ASSERT_EQ(output.name, "token_embd.weight");
  output.name = "output.weight";
  same.tensors.push_back(output);
  // Rows in another order: the logits of other tokens.
  std::rotate(output.data.begin(), output.data.begin() + 34, output.data.end());
  other.tensors.push_back(output);
  std::vector<float> logits = LogitsOf(tied);
  EXPECT_EQ(LogitsOf(same), logits);
  std::rotate(logits.begin(), logits.begin() + 1, logits.end());
  EXPECT_EQ(LogitsOf(other), logits);
}

TEST(BindMalformed, A14_OutputWithoutEmbeddings) {
  GgufSpec spec = TinyLlama();
  spec.tensors[0].name = "output.weight";
  const absl::Status status = Built(spec.Build()).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_PRED2(Says, status.message(), "tensor \"token_embd.weight\"");
}

// What would be read or written outside of a table is refused before the step,
// and the session goes on as if nobody had asked.
TEST(SessionIds, A16_OutOfRangeLeavesTheSessionUsable) {
  const std::string bytes = TinyLlama().Build();
  const auto session = NewSession(bytes), untouched = NewSession(bytes);
  const Token vocab = static_cast<Token>(session->row_size());
  Copy(session->Decode(0, 3));
  Copy(untouched->Decode(0, 3));
  for (const Token token : {-1, vocab, std::numeric_limits<Token>::max(),
                            std::numeric_limits<Token>::min()}) {
    for (const absl::Status& status :
         {session->Decode(0, token).status(),
          session->Prefill(0, {4, token}).status(),
          session->Step({{{4}, {token, 0, true}}}).status()}) {
      EXPECT_EQ(status.code(), kRange) << status;
      EXPECT_PRED2(Says, status.message(), absl::StrCat("token ", token));
    }
  }
  for (const int slot : {-1, 1, std::numeric_limits<int>::max()}) {
    for (const absl::Status& status :
         {session->Decode(slot, 4).status(),
          session->Prefill(slot, {4, 5}).status(),
          session->Step({{{4}, {4, slot, true}}}).status()}) {
      EXPECT_EQ(status.code(), kRange) << status;
      EXPECT_PRED2(Says, status.message(), absl::StrCat("slot ", slot));
    }
  }
  EXPECT_EQ(session->position(0), 1);
  EXPECT_EQ(Copy(session->Decode(0, 5)), Copy(untouched->Decode(0, 5)));
}

}  // namespace
}  // namespace weft::inline v0
