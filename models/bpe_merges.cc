#include "models/bpe_merges.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

using absl::StatusCode;

constexpr absl::string_view kMerges = "tokenizer.ggml.merges";

absl::Status MergeError(const GgufFile& file, size_t index,
                        absl::string_view merge, absl::string_view expected) {
  return MakeVocabError(
      StatusCode::kInvalidArgument, file,
      {"TOK-V11", kMerges, QuoteInput(merge), expected, index});
}

}  // namespace

absl::StatusOr<BpeMerges> BpeMerges::Read(const GgufFile& file,
                                          const Vocab& vocab) {
  if (!file.Has(kMerges)) {
    return MakeVocabError(
        StatusCode::kFailedPrecondition, file,
        {"TOK-V11", kMerges, "missing", "the merges of the vocabulary"});
  }
  WEFT_ASSIGN_OR_RETURN(const GgufFile::ArrayInfo info,
                        file.GetArrayInfo(kMerges));
  if (info.element != GgufType::kString) {
    return MakeVocabError(
        StatusCode::kInvalidArgument, file,
        {"TOK-V11", kMerges, absl::StrCat("an array of ", Name(info.element)),
         "element type string"});
  }
  WEFT_ASSIGN_OR_RETURN(const std::vector<absl::string_view> lines,
                        file.GetStrings(kMerges));
  BpeMerges merges;
  std::vector<BpeMerge>& list = *merges.merges_;
  list.reserve(lines.size());
  merges.index_.Reserve(lines.size());
  std::string both;
  for (size_t i = 0; i < lines.size(); ++i) {
    const absl::string_view line = lines[i];
    const size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos)
      return MergeError(file, i, line, "two texts with one space between");
    const absl::string_view left = line.substr(0, space);
    const absl::string_view right = line.substr(space + 1);
    const Token left_token = vocab.Find(left);
    const Token right_token = vocab.Find(right);
    if (left_token == kNoToken || right_token == kNoToken)
      return MergeError(file, i, line, "the texts of two tokens");
    both.assign(left.data(), left.size());
    both.append(right.data(), right.size());
    const Token token = vocab.Find(both);
    if (token == kNoToken)
      return MergeError(file, i, line, "texts that together are a token's");
    list.push_back(
        {Pair(left_token, right_token), static_cast<uint32_t>(i), token});
    if (merges.index_.Insert(static_cast<uint32_t>(list.size() - 1)))
      list.pop_back();
  }
  return merges;
}

}  // namespace weft::inline v0
