// Pieces of JSON text.
#ifndef WEFT_GRAPH_DUMP_JSON_TEXT_H_
#define WEFT_GRAPH_DUMP_JSON_TEXT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "graph/escape.h"

namespace weft::inline v0 {

// "[a, b]" with what `write` makes of each item.
template <class Items, class F>
std::string JsonList(const Items& items, F write,
                     absl::string_view separator = ", ") {
  return absl::StrCat("[",
                      absl::StrJoin(items, separator,
                                    [&write](std::string* s, const auto& item) {
                                      absl::StrAppend(s, write(item));
                                    }),
                      "]");
}

// The same with a line for each item.
template <class Items, class F>
std::string JsonLines(const Items& items, F write) {
  return JsonList(items, write, ",\n");
}

inline std::string JsonObject(
    const std::vector<std::pair<std::string, std::string>>& members) {
  return absl::StrCat("{",
                      absl::StrJoin(members, ", ",
                                    [](std::string* s, const auto& m) {
                                      absl::StrAppend(s, Quoted(m.first), ": ",
                                                      Quoted(m.second));
                                    }),
                      "}");
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_JSON_TEXT_H_
