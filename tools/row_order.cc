#include "tools/row_order.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "models/glob.h"

namespace weft::inline v0 {
namespace {

std::string Key(const GgufFile& file, absl::string_view key) {
  return absl::StrCat(file.GetString("general.architecture").value_or(""), ".",
                      key);
}

}  // namespace

std::string HalvesKey(const GgufFile& file) { return Key(file, "rope.halves"); }

absl::StatusOr<RowOrder> RowOrderFor(const GgufFile& file,
                                     const GgufTensor& tensor) {
  if (!file.GetBool(HalvesKey(file)).value_or(false) || tensor.dims.empty() ||
      !(Matches("blk.*.attn_q.*", tensor.name) ||
        Matches("blk.*.attn_k.*", tensor.name)))
    return RowOrder();
  const auto number = [&](absl::string_view key, int64_t otherwise) {
    return file.GetInt64(Key(file, key)).value_or(otherwise);
  };
  RowOrder order;
  order.head =
      number("attention.key_length",
             number("embedding_length", 0) /
                 std::max<int64_t>(1, number("attention.head_count", 0)));
  order.rotated = number("rope.dimension_count", order.head);
  if (order.head <= 0 || order.rotated <= 0 || order.rotated > order.head ||
      order.rotated % 2 != 0 || tensor.dims[0] % order.head != 0)
    return absl::InvalidArgumentError(absl::StrCat(
        "it has ", tensor.dims[0], " rows; expected whole heads of ",
        order.head, " of which ", order.rotated,
        ", an even number, rotate in pairs"));
  return order;
}

}  // namespace weft::inline v0
