// Tables and wrapped text for terminals.
#ifndef WEFT_TOOLS_TEXT_TABLE_H_
#define WEFT_TOOLS_TEXT_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

using TableRow = std::vector<std::string>;

// Columns as wide as their widest entry, two blanks between them, a line feed
// after each row. Columns begin at the left; those in [first_number,
// end_number) end at the right. All rows have as many entries as the first.
std::string TextTable(absl::Span<const TableRow> rows,
                      size_t first_number = std::string::npos,
                      size_t end_number = std::string::npos);

// Three digits or more, as short as that allows: 1234, 123, 12.3, 0.0123.
std::string ShortNumber(double value);

// Bytes as "12.3 MiB".
std::string MiB(int64_t bytes);

// 0.123 as "12 %"; a digit after the point below 10 %.
std::string Percent(double share);

// What a terminal has, and help texts and listings fill.
inline constexpr size_t kTerminalColumns = 80;

// Appends the words of `text` in lines that begin at `column` and end before
// kTerminalColumns; the first goes on where `out` ends. With a final newline.
void AppendWrapped(absl::string_view text, size_t column, std::string& out);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TEXT_TABLE_H_
