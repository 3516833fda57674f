// A sequence that is saved, restored or forked goes on as it would have; what
// is no state of this model is refused, and changes nothing.
#include <cstring>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "models/checksum.h"
#include "models/engine.h"
#include "tests/gguf_builder.h"
#include "tests/golden.h"
#include "tests/greedy.h"
#include "tests/tiny_llama.h"

namespace weft::inline v0 {
namespace {

using Bytes = std::vector<std::byte>;

std::unique_ptr<Session> NewSession(const Model& model,
                                    SessionOptions options = {}) {
  options.backend_options.threads = 1;
  auto session = model.NewSession(options);
  EXPECT_TRUE(session.ok()) << session.status();
  return *std::move(session);
}

Bytes Save(const Session& session, int slot) {
  Bytes out(static_cast<size_t>(session.StateBytes(slot)));
  EXPECT_TRUE(session.SaveState(slot, absl::MakeSpan(out)).ok());
  return out;
}

struct KvCase {
  const char* model;  // "tiny", or a golden model
  DType k, v;
  const char* backend;
};

class RestoreTest : public testing::TestWithParam<KvCase> {};

TEST_P(RestoreTest, GoesOnAsItWould) {
  const KvCase& param = GetParam();
  std::shared_ptr<const Model> model = TinyModel();
  if (std::string(param.model) != "tiny") {
    const std::string path = SharedPath(param.model);
    if (path.empty()) GTEST_SKIP() << "no model in " << WEFT_SHARED_DIR;
    LoadOptions load;
    load.tokenizer = false;
    auto loaded = Model::Load(path, load);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    model = *loaded;
  }
  const int count = model == TinyModel() ? 40 : 100;
  SessionOptions options;
  options.slots = 3;
  options.kv_k = param.k;
  options.kv_v = param.v;
  options.backend = param.backend;
  auto session = NewSession(*model, options);
  std::vector<Token> prompt;
  for (int i = 0; i < 21; ++i) prompt.push_back(1 + i * 7 % 20);
  const auto logits = session->Prefill(1, prompt);
  ASSERT_TRUE(logits.ok()) << logits.status();
  const Token next = BestToken(*logits);
  const Bytes state = Save(*session, 1);
  // A fork, which the first one's going on does not touch.
  ASSERT_TRUE(session->Fork(1, 2).ok());
  const std::vector<Token> want = Greedy(*session, 1, next, count);
  EXPECT_EQ(Greedy(*session, 2, next, count), want);
  // Other slots and another context: the layout of states differs.
  SessionOptions other = options;
  other.slots = 2;
  other.context = session->options().context - 1;
  auto restored = NewSession(*model, other);
  ASSERT_TRUE(restored->Prefill(0, prompt).ok());
  ASSERT_TRUE(restored->RestoreState(0, state).ok());
  EXPECT_EQ(restored->position(0), 21);
  EXPECT_EQ(Save(*restored, 0), state);
  EXPECT_EQ(Greedy(*restored, 0, next, count), want);
}

INSTANTIATE_TEST_SUITE_P(
    States, RestoreTest,
    testing::Values(
        KvCase{"tiny", DType::kF16, DType::kF16, "cpu"},
        KvCase{"tiny", DType::kF32, DType::kQ8_0, "cpu"},
        KvCase{"tiny", DType::kQ4_0, DType::kBF16, "cpu"},
        KvCase{"tiny", DType::kF16, DType::kQ8_0, "reference"},
        KvCase{"models/stories260K.gguf", DType::kF16, DType::kF16, "cpu"},
        KvCase{"golden/open/mamba.gguf", DType::kF16, DType::kF16, "cpu"}));

SessionOptions WithContext(int64_t context) {
  SessionOptions options;
  options.context = context;
  return options;
}

class RefusedTest : public testing::Test {
 protected:
  void SetUp() override {
    session_ = NewSession(*TinyModel(), WithContext(32));
    const std::vector<Token> tokens = {1, 5, 9};
    ASSERT_TRUE(session_->Prefill(0, tokens).ok());
    state_ = Save(*session_, 0);
    // What must stay.
    const std::vector<Token> more = {4, 4};
    ASSERT_TRUE(session_->Prefill(0, more).ok());
    before_ = Save(*session_, 0);
  }

  // InvalidArgument or DataLoss, and nothing has changed.
  void ExpectRefused(const Bytes& state, const std::string& what) {
    const absl::Status status = session_->RestoreState(0, state);
    EXPECT_TRUE(absl::IsInvalidArgument(status) || absl::IsDataLoss(status))
        << what << ": " << status;
    ASSERT_EQ(session_->position(0), 5) << what;
    ASSERT_EQ(Save(*session_, 0), before_) << what;
  }
  // With a checksum that fits.
  void ExpectRefusedThough(uint64_t value, size_t at, size_t bytes) {
    Bytes state = state_;
    std::memcpy(state.data() + at, &value, bytes);
    const auto text = [&](size_t from, size_t n) {
      return absl::string_view(
          reinterpret_cast<const char*>(state.data()) + from, n);
    };
    const uint64_t sum =
        Checksum(text(48, state.size() - 48), Checksum(text(0, 40)));
    std::memcpy(state.data() + 40, &sum, 8);
    ExpectRefused(state, absl::StrCat(value, " at byte ", at));
  }

  std::unique_ptr<Session> session_;
  Bytes state_, before_;
};

TEST_F(RefusedTest, EveryTruncation) {
  for (size_t n = 0; n < state_.size(); ++n)
    ExpectRefused(Bytes(state_.begin(), state_.begin() + static_cast<long>(n)),
                  absl::StrCat("cut to ", n));
  Bytes longer = state_;
  longer.push_back(std::byte{0});
  ExpectRefused(longer, "a byte more");
}

TEST_F(RefusedTest, EveryBitFlip) {
  for (size_t bit = 0; bit < state_.size() * 8; ++bit) {
    Bytes flipped = state_;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    ExpectRefused(flipped, absl::StrCat("bit ", bit));
  }
}

TEST_F(RefusedTest, WhatIsConsistentAndWrong) {
  ExpectRefusedThough(2, 8, 4);    // version
  ExpectRefusedThough(77, 16, 8);  // model
  for (const uint64_t positions :
       {uint64_t{2}, uint64_t{4}, uint64_t{33}, uint64_t{0xffffffff},
        uint64_t{1} << 61, ~uint64_t{0}})
    ExpectRefusedThough(positions, 24, 8);
  for (const uint64_t bytes : {uint64_t{0}, ~uint64_t{0}})
    ExpectRefusedThough(bytes, 32, 8);
}

TEST_F(RefusedTest, AnotherModelAndOtherTypes) {
  GgufSpec spec = TinyLlama();
  // One bit, neither at the beginning nor in the middle nor at the end.
  std::string& data = spec.tensors.back().data;
  data[data.size() / 4] ^= 1;
  const std::string bytes = spec.Build();
  auto file = GgufFile::Parse(AsBytes(bytes), "other");
  ASSERT_TRUE(file.ok());
  auto other = Model::FromFile(*std::move(file));
  ASSERT_TRUE(other.ok()) << other.status();
  const absl::Status refused = NewSession(**other)->RestoreState(0, state_);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_NE(refused.message().find("another model"), absl::string_view::npos);
  SessionOptions wide;
  wide.kv_k = DType::kF32;
  EXPECT_TRUE(absl::IsInvalidArgument(
      NewSession(*TinyModel(), wide)->RestoreState(0, state_)));
  EXPECT_TRUE(absl::IsInvalidArgument(
      NewSession(*TinyModel(), WithContext(2))->RestoreState(0, state_)));
}

TEST_F(RefusedTest, SlotsThatDoNotExist) {
  for (const int slot : {-1, 1, 1 << 30}) {
    EXPECT_TRUE(absl::IsOutOfRange(session_->RestoreState(slot, state_)));
    EXPECT_TRUE(absl::IsOutOfRange(session_->Fork(0, slot)));
    EXPECT_TRUE(absl::IsOutOfRange(session_->Fork(slot, 0)));
    EXPECT_EQ(session_->StateBytes(slot), 0);
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      session_->SaveState(0, absl::MakeSpan(state_))));  // too short by now
}

}  // namespace
}  // namespace weft::inline v0
