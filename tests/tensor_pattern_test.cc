#include "tools/tensor_pattern.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "models/glob.h"

namespace weft::inline v0 {
namespace {

TEST(TensorPattern, StarsAndQuestionMarks) {
  const struct {
    const char *pattern, *name;
    bool matches;
  } cases[] = {
      {"a", "a", true},
      {"a", "ab", false},
      {"a*", "a", true},
      {"a*", "abc", true},
      {"*", "", true},
      {"", "", true},
      {"", "a", false},
      {"*b", "aab", true},
      {"*b", "aba", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"*a*b*", "xaxxbx", true},
      {"*a*b*", "xbxxax", false},
      {"**", "a", true},
      {"?*?", "a", false},
      {"?*?", "ab", true},
      {"blk.*.ffn_down.weight", "blk.12.ffn_down.weight", true},
      {"blk.*.ffn_down.weight", "blk.12.ffn_down.bias", false},
      {"*aaaaaaaaaaaaaaab", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(Matches(c.pattern, c.name), c.matches)
        << c.pattern << " " << c.name;
}

TEST(TensorPattern, ListsHaveTypesOfTheirOwn) {
  const auto list = ParseTensorPatterns("include", "a*=Q6_K,b,c=f16");
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->size(), 3u);
  EXPECT_EQ((*list)[0].type, DType::kQ6_K);
  EXPECT_EQ((*list)[1].pattern, "b");
  EXPECT_FALSE((*list)[1].type.has_value());
  EXPECT_EQ(FindMatch(*list, "abc"), &(*list)[0]);
  EXPECT_EQ(FindMatch(*list, "x"), nullptr);
  EXPECT_TRUE(ParseTensorPatterns("include", "")->empty());
  for (const char* bad : {"=q8_0", "a,", ",a", "a=", "a=q9", "a=Q4_K_M"}) {
    const absl::Status status = ParseTensorPatterns("include", bad).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad;
    EXPECT_TRUE(absl::StrContains(status.message(), "--include")) << status;
  }
}

}  // namespace
}  // namespace weft::inline v0
