// weft_sampler_options are SamplerOptions, field by field.
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "models/c_api/handles.h"
#include "models/sampler.h"
#include "tests/greedy.h"

namespace weft::inline v0 {
namespace {

using C = weft_sampler_options;
using Cpp = SamplerOptions;

// A number, and a value for it that is no default's and no other one's.
struct Field {
  const char* name;
  double value;
  void (*set)(C& o, double value);
  double (*c)(const C& o);
  double (*cpp)(const Cpp& o);
  size_t bytes;
};

template <auto InC, auto InCpp>
constexpr Field Of(const char* name, double value) {
  using Type = std::remove_reference_t<decltype(std::declval<C&>().*InC)>;
  return {name,
          value,
          [](C& o, double v) { o.*InC = static_cast<Type>(v); },
          [](const C& o) { return static_cast<double>(o.*InC); },
          [](const Cpp& o) { return static_cast<double>(o.*InCpp); },
          sizeof(Type)};
}

// Halves and quarters, which float holds.
constexpr Field kFields[] = {
    Of<&C::temperature, &Cpp::temperature>("temperature", 1.25),
    Of<&C::top_k, &Cpp::top_k>("top_k", 41),
    Of<&C::top_p, &Cpp::top_p>("top_p", 0.875),
    Of<&C::min_p, &Cpp::min_p>("min_p", 0.0625),
    Of<&C::repeat_penalty, &Cpp::repeat_penalty>("repeat_penalty", 1.5),
    Of<&C::repeat_last_n, &Cpp::repeat_last_n>("repeat_last_n", 63),
    Of<&C::seed, &Cpp::seed>("seed", 77),
    Of<&C::presence_penalty, &Cpp::presence_penalty>("presence_penalty", 0.5),
    Of<&C::frequency_penalty, &Cpp::frequency_penalty>("frequency_penalty",
                                                       0.25),
    Of<&C::typical_p, &Cpp::typical_p>("typical_p", 0.75),
    Of<&C::top_n_sigma, &Cpp::top_n_sigma>("top_n_sigma", 3),
    Of<&C::xtc_probability, &Cpp::xtc_probability>("xtc_probability", 0.375),
    Of<&C::xtc_threshold, &Cpp::xtc_threshold>("xtc_threshold", 0.03125),
    Of<&C::dynatemp_range, &Cpp::dynatemp_range>("dynatemp_range", 1.125),
    Of<&C::dynatemp_exponent, &Cpp::dynatemp_exponent>("dynatemp_exponent",
                                                       2.5),
    Of<&C::dry_multiplier, &Cpp::dry_multiplier>("dry_multiplier", 0.625),
    Of<&C::dry_base, &Cpp::dry_base>("dry_base", 3.5),
    Of<&C::dry_allowed_length, &Cpp::dry_allowed_length>("dry_allowed_length",
                                                         4),
    Of<&C::dry_penalty_last_n, &Cpp::dry_penalty_last_n>("dry_penalty_last_n",
                                                         99),
    Of<&C::mirostat, &Cpp::mirostat>("mirostat", 2),
    Of<&C::mirostat_tau, &Cpp::mirostat_tau>("mirostat_tau", 6),
    Of<&C::mirostat_eta, &Cpp::mirostat_eta>("mirostat_eta", 0.15625),
};

// Those above, `size`, five pointers and what aligns these. A new field belongs
// there, or into a test of its own.
TEST(CSampler, EveryFieldIsInTheList) {
  size_t bytes = sizeof(C::size) + 5 * sizeof(void*);
  for (const Field& field : kFields) bytes += field.bytes;
  EXPECT_LT(sizeof(C) - bytes, sizeof(void*));
}

class CSamplerTest : public testing::Test {
 protected:
  CSamplerTest() {
    model_.model = TinyModel();
    weft_sampler_defaults(&options_, sizeof options_);
    options_.model = &model_;
  }
  ~CSamplerTest() override { weft_sampler_free(sampler_); }
  const Cpp& Made() {
    weft_sampler_free(sampler_);
    sampler_ = nullptr;
    EXPECT_EQ(weft_sampler_new(&options_, &sampler_, &error_), WEFT_OK)
        << error_.message;
    return sampler_->sampler.options();
  }

  weft_model model_;
  C options_;
  weft_sampler* sampler_ = nullptr;
  weft_error error_;
};

TEST_F(CSamplerTest, DefaultsAreThoseOfCpp) {
  const Cpp defaults;
  for (const Field& field : kFields) {
    EXPECT_EQ(field.c(options_), field.cpp(defaults)) << field.name;
    EXPECT_NE(field.value, field.cpp(defaults)) << field.name;
  }
  // Of which a sampler keeps what makes a difference.
  EXPECT_EQ(Made().chain, Sampler::Make(defaults)->options().chain);
  EXPECT_EQ(Made().dry_sequence_breakers, defaults.dry_sequence_breakers);
}

TEST_F(CSamplerTest, EachFieldIsTheOneOfItsName) {
  for (const Field& field : kFields) field.set(options_, field.value);
  const Cpp& made = Made();
  for (const Field& field : kFields)
    EXPECT_EQ(field.cpp(made), field.value) << field.name;
}

TEST_F(CSamplerTest, TextsAreCopied) {
  {
    std::string chain = "top_k;temperature", bias = "7+1.5,8-inf";
    options_.chain = chain.c_str();
    options_.logit_bias = bias.c_str();
    Made();
    std::fill(chain.begin(), chain.end(), '#');
    std::fill(bias.begin(), bias.end(), '#');
  }
  const Cpp& made = sampler_->sampler.options();
  EXPECT_EQ(FormatSamplerChain(made.chain), "logit_bias;top_k;temperature");
  ASSERT_EQ(made.logit_bias.size(), 2u);
  EXPECT_EQ(made.logit_bias[0].token, 7);
  EXPECT_EQ(made.logit_bias[0].bias, 1.5f);
  EXPECT_EQ(made.logit_bias[1].bias, -HUGE_VALF);
}

// With each field alone, tokens are drawn as the sampler of C++ draws them.
TEST_F(CSamplerTest, DrawsWhatTheSamplerOfCppDraws) {
  std::vector<float> logits(271);
  for (size_t i = 0; i < logits.size(); ++i)
    logits[i] = static_cast<float>(i * 37 % 101) / 20;
  const auto pieces =
      std::make_shared<const TokenPieces>(model_.model->tokenizer());
  for (const Field& field : kFields) {
    weft_sampler_defaults(&options_, sizeof options_);
    options_.model = &model_;
    options_.seed = 5;
    field.set(options_, field.value);
    auto sampler = weft::Sampler::Make(Made(), pieces);
    ASSERT_TRUE(sampler.ok()) << field.name << sampler.status();
    const int32_t prompt[] = {4, 5, 6, 4, 5};
    ASSERT_EQ(weft_sampler_observe(sampler_, prompt, 5, &error_), WEFT_OK);
    for (const Token token : prompt) sampler->Observe(token);
    for (int i = 0; i < 50; ++i) {
      int32_t token = -1;
      ASSERT_EQ(weft_sampler_sample(sampler_, logits.data(), logits.size(),
                                    &token, &error_),
                WEFT_OK)
          << error_.message;
      ASSERT_EQ(token, *sampler->Sample(logits)) << field.name;
      ASSERT_EQ(weft_sampler_accept(sampler_, token, &error_), WEFT_OK);
      sampler->Accept(token);
    }
  }
}

}  // namespace
}  // namespace weft::inline v0
