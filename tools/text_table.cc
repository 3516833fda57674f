#include "tools/text_table.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace weft::inline v0 {

std::string TextTable(absl::Span<const TableRow> rows, size_t first_number,
                      size_t end_number) {
  std::vector<size_t> widths(rows.empty() ? 0 : rows[0].size());
  for (const TableRow& row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  std::string out;
  for (const TableRow& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string fill(widths[i] - row[i].size(), ' ');
      const bool right = i >= first_number && i < end_number;
      absl::StrAppend(&line, i == 0 ? "" : "  ", right ? fill : row[i],
                      right ? row[i] : fill);
    }
    absl::StrAppend(&out, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return out;
}

std::string ShortNumber(double value) {
  if (value == 0) return "0";
  return value >= 99.95 ? absl::StrFormat("%.0f", value)
                        : absl::StrFormat("%#.3g", value);
}

std::string MiB(int64_t bytes) {
  return absl::StrCat(ShortNumber(static_cast<double>(bytes) / (1 << 20)),
                      " MiB");
}

std::string Percent(double share) {
  const double percent = 100 * share;
  return percent < 9.95 ? absl::StrFormat("%.1f %%", percent)
                        : absl::StrFormat("%.0f %%", percent);
}

void AppendWrapped(absl::string_view text, size_t column, std::string& out) {
  size_t at = column;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (at > column && at + 1 + word.size() > kTerminalColumns) {
      absl::StrAppend(&out, "\n", std::string(column, ' '));
      at = column;
    } else if (at > column) {
      out += ' ';
      ++at;
    }
    absl::StrAppend(&out, word);
    at += word.size();
  }
  out += '\n';
}

}  // namespace weft::inline v0
