// Ranges of integers, digit by digit.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/grammar/schema_pattern.h"

namespace weft::inline v0 {
namespace {

// 10^18 is the largest power of ten in 64 bits.
constexpr int kMaxDigits = 18;

std::string Digit(char low, char high) {
  return low == high ? absl::StrCat("\"", std::string(1, low), "\"")
                     : absl::StrCat("[", std::string(1, low), "-",
                                    std::string(1, high), "]");
}

std::string AnyDigits(size_t least, size_t most) {
  if (most == 0) return "";
  return least == most ? absl::StrCat(" [0-9]{", least, "}")
                       : absl::StrCat(" [0-9]{", least, ",", most, "}");
}

// Numbers of equally many digits, from low to high: the first digit alone, or
// with the bounds of the rest.
void SameLength(absl::string_view low, absl::string_view high,
                const std::string& before, std::vector<std::string>& out) {
  if (low.empty()) return out.push_back(before);
  const absl::string_view low_rest = low.substr(1), high_rest = high.substr(1);
  const auto more = [&](char digit) {
    return absl::StrCat(before, before.empty() ? "" : " ", Digit(digit, digit));
  };
  if (low[0] == high[0])
    return SameLength(low_rest, high_rest, more(low[0]), out);
  const std::string nines(low_rest.size(), '9'), zeros(low_rest.size(), '0');
  char first = low[0], last = high[0];
  const bool cut_low = low_rest != zeros, cut_high = high_rest != nines;
  if (cut_low) SameLength(low_rest, nines, more(first++), out);
  if (cut_high) --last;
  if (first <= last)
    out.push_back(absl::StrCat(before, before.empty() ? "" : " ",
                               Digit(first, last),
                               AnyDigits(low_rest.size(), low_rest.size())));
  if (cut_high) SameLength(zeros, high_rest, more(high[0]), out);
}

// Numbers from low, not negative, to high.
void FromTo(uint64_t low, uint64_t high, const std::string& sign,
            std::vector<std::string>& out) {
  std::string from = absl::StrCat(low);
  const std::string to = absl::StrCat(high);
  while (from.size() < to.size()) {
    SameLength(from, std::string(from.size(), '9'), sign, out);
    from = absl::StrCat("1", std::string(from.size(), '0'));
  }
  SameLength(from, to, sign, out);
}

uint64_t Magnitude(int64_t x) {
  return x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
}

}  // namespace

std::string IntegersToGbnf(std::optional<int64_t> low,
                           std::optional<int64_t> high) {
  if (!low.has_value() && !high.has_value())
    return absl::StrCat("\"-\"? (\"0\" | [1-9] [0-9]{0,", kMaxDigits - 1, "})");
  constexpr int64_t kMost = 999'999'999'999'999'999;
  const int64_t from = low.value_or(std::min(-kMost, high.value_or(0)));
  const int64_t to = high.value_or(std::max(kMost, low.value_or(0)));
  std::vector<std::string> out;
  if (from < 0)
    FromTo(to < 0 ? Magnitude(to) : 1, Magnitude(from), "\"-\"", out);
  if (to >= 0)
    FromTo(static_cast<uint64_t>(std::max<int64_t>(from, 0)),
           static_cast<uint64_t>(to), "", out);
  return absl::StrJoin(out, " | ");
}

}  // namespace weft::inline v0
