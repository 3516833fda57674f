// The files of page/, which the build puts into the library.
#ifndef WEFT_GRAPH_DUMP_PAGE_H_
#define WEFT_GRAPH_DUMP_PAGE_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

// Everything down to the page's data: page.html with page.css in it.
absl::string_view PageHead();
// What follows the data, in order.
absl::Span<const absl::string_view> PageScripts();

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_PAGE_H_
