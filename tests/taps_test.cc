// Taps: what is observed is what the references compute, and NumPy can read it.
#include "models/taps.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "models/engine.h"
#include "tests/golden.h"
#include "tests/tiny_llama.h"
#include "tests/tool_runner.h"
#include "tools/npz.h"
#include "tools/value_difference.h"

namespace weft::inline v0 {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::unique_ptr<Session> Open(std::vector<std::string> taps,
                              const std::string& backend = "cpu") {
  const auto model = Model::Load(TinyLlamaPath());
  EXPECT_TRUE(model.ok()) << model.status();
  SessionOptions options;
  options.numerics = Numerics::kExact;
  options.taps = std::move(taps);
  options.context = 16;
  options.backend = backend;
  auto session = (*model)->NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

using Seen = std::map<std::string, HostTensor>;

// What the taps give in a prompt of three and one more token, by name and step.
Seen Watch(Session& session) {
  Seen seen;
  int step = 0;
  session.SetTapSink([&](absl::string_view name, HostTensor value) {
    seen.emplace(absl::StrCat(name, "@", step), std::move(value));
    return absl::OkStatus();
  });
  const std::vector<Token> tokens = {1, 5, 7};
  EXPECT_TRUE(session.Prefill(0, tokens).ok());
  step = 1;
  EXPECT_TRUE(session.Decode(0, 4).ok());
  return seen;
}

TEST(Taps, AStepWhoseSinkFailsHasNotBeen) {
  const auto session = Open({"layer.*"});
  const auto want = session->Decode(0, 5);
  ASSERT_TRUE(want.ok()) << want.status();
  const std::vector<float> logits(want->begin(), want->end());
  session->Truncate(0, 0);
  session->SetTapSink([](absl::string_view, const HostTensor&) {
    return absl::AbortedError("full");
  });
  EXPECT_TRUE(absl::IsAborted(session->Decode(0, 5).status()));
  EXPECT_EQ(session->position(0), 0);
  session->SetTapSink(
      [](absl::string_view, const HostTensor&) { return absl::OkStatus(); });
  const auto again = session->Decode(0, 5);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(std::vector<float>(again->begin(), again->end()), logits);
}

TEST(Taps, EveryValueIsWhatTheReferencesCompute) {
  // Scalar references of a whole model take minutes there.
  if (sizeof(WEFT_EMULATOR) > 1) GTEST_SKIP() << "under an emulator";
  const auto session = Open({"*"});
  EXPECT_GT(session->taps().size(), 80u);
  const Seen got = Watch(*session);
  const Seen want = Watch(*Open({"*"}, "reference"));
  ASSERT_EQ(got.size(), want.size());
  EXPECT_EQ(got.size(), 2 * session->taps().size());
  for (const auto& [name, value] : got) {
    // f32 sums in another order, through two layers of cached f16.
    EXPECT_LT(Compare(value, want.at(name)).nmse, 1e-7)
        << name << ToString(Compare(value, want.at(name)));
  }
  EXPECT_EQ(got.at("blk.0.attn_q@0").dims, (Dims{3, 32}));
  EXPECT_EQ(got.at("layer.1@1").dims, (Dims{1, 32}));
}

TEST(Taps, TellWhichFusionsTheyCost) {
  // A sum that a fused norm gives besides, and the operand of a fused op.
  const auto cheap = Open({"layer.0", "blk.?.attn_q"});
  EXPECT_EQ(cheap->taps().size(), 3u);
  EXPECT_EQ(cheap->tap_costs(), "");
  const auto dear = Open({"*.softmax"});
  EXPECT_THAT(dear->tap_costs(),
              HasSubstr("rule attention matches 0 times and not 2"));
  EXPECT_THAT(dear->tap_costs(),
              HasSubstr("softmax is an output of the graph"));
  EXPECT_THAT(dear->tap_costs(), HasSubstr("llama.cc:"));
}

TEST(Taps, ChangeNothingWhenUnused) {
  const auto plain = Open({});
  EXPECT_THAT(plain->taps(), IsEmpty());
  const auto tapped = Open({"layer.*"});
  const std::vector<Token> tokens = {1, 5, 7};
  const auto a = plain->Prefill(0, tokens), b = tapped->Prefill(0, tokens);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_TRUE(std::equal(a->begin(), a->end(), b->begin(), b->end()));
}

TEST(Taps, AnUnknownNameListsOthers) {
  const auto model = Model::Load(TinyLlamaPath());
  SessionOptions options;
  options.taps = {"nothing.*"};
  const auto session = (*model)->NewSession(options);
  ASSERT_EQ(session.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(session.status().message()),
              HasSubstr("blk.0.attn_q"));
}

// Byte for byte what numpy.save writes.
TEST(Npz, ArraysAreNumPys) {
  const std::string npy =
      NpyBytes(HostTensor::FromFloats({2, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(npy.substr(0, 10), std::string("\x93NUMPY\x01\0v\0", 10));
  EXPECT_EQ(npy.size(), 128u + 24);
  EXPECT_THAT(npy, HasSubstr("{'descr': '<f4', 'fortran_order': False, "
                             "'shape': (2, 3), }"));
  EXPECT_THAT(NpyBytes(HostTensor::FromInts({4}, {1, 2, 3, 4})),
              HasSubstr("'<i4', 'fortran_order': False, 'shape': (4,), }"));
}

TEST(WeftRun, WritesTaps) {
  const std::string path = ScratchPath("taps.npz");
  const std::vector<std::string> args = {
      "--model=" + TinyLlamaPath(), "--prompt=a", "--max_tokens=3",
      "--tap=layer.*,*.softmax", "--tap_out=" + path};
  const ToolResult result = RunTool("weft-run", args);
  ExpectSuccess(result);
  EXPECT_THAT(result.err, HasSubstr("the taps cost fusions:\nrule attention"));
  const std::string bytes = ReadText(path);
  EXPECT_EQ(bytes.substr(0, 4), "PK\3\4");
  for (const char* name : {"layer.0.npy", "layer.1.npy", ".softmax.npy"})
    EXPECT_THAT(bytes, HasSubstr(name));
  // A second run writes the same bytes.
  ExpectSuccess(RunTool("weft-run", args));
  EXPECT_EQ(ReadText(path), bytes);
  ExpectFailure(RunTool("weft-run", {"--model=" + TinyLlamaPath(), "--prompt=a",
                                     "--tap=layer.*"}),
                "weft-run", "--tap_out=FILE");
  // The distribution's comes with the distribution's numpy.
  std::string python;
  for (const char* name : {"python3", "/usr/bin/python3"})
    if (std::system(
            absl::StrCat(name, " -c 'import numpy' 2> /dev/null").c_str()) == 0)
      python = name;
  if (python.empty()) GTEST_SKIP() << "no python3 with numpy";
  // zipfile checks every CRC; numpy reads the shapes.
  const std::string check = absl::StrCat(
      python,
      " -c 'import numpy, zipfile\n"
      "assert zipfile.ZipFile(\"",
      path,
      "\").testzip() is None\n"
      "z = numpy.load(\"",
      path,
      "\")\n"
      "assert z[\"layer.1\"].shape[1] == 32 and z[\"layer.1\"].dtype == "
      "\"f4\"\n"
      "assert z[\"layer.0\"].shape == z[\"layer.1\"].shape\n'");
  EXPECT_EQ(std::system(check.c_str()), 0) << check;
}

}  // namespace
}  // namespace weft::inline v0
