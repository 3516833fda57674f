#include "tools/train/corpus.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "models/parallel.h"
#include "tools/normal.h"

namespace weft::inline v0 {
namespace {

// Longer documents are encoded in parts, cut at the ends of lines.
constexpr size_t kPartBytes = 1 << 20;
// Documents that are encoded before their tokens are joined.
constexpr int64_t kBlock = 1024;

absl::Status CheckUtf8(const std::string& path, absl::string_view text) {
  absl::string_view rest = text;
  while (!rest.empty()) {
    const Utf8Prefix prefix = ReadUtf8(rest);
    if (prefix.kind != Utf8Prefix::kCharacter)
      return MakeInputError(absl::StatusCode::kInvalidArgument, path,
                            {.id = "TRAIN-1",
                             .at = text.size() - rest.size(),
                             .field = "text",
                             .value = QuoteInput(rest.substr(0, 8)),
                             .expected = "UTF-8"});
    rest.remove_prefix(prefix.size);
  }
  return absl::OkStatus();
}

// The files that `path` means, sorted.
absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  fs::recursive_directory_iterator at(path, error);
  for (; !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    const bool hidden = absl::StartsWith(at->path().filename().string(), ".");
    if (hidden && at->is_directory(error)) at.disable_recursion_pending();
    if (!hidden && at->is_regular_file(error))
      files.push_back(at->path().string());
  }
  if (error)
    return absl::ErrnoToStatus(error.value(),
                               absl::StrCat("cannot read folder ", path));
  std::sort(files.begin(), files.end());
  if (files.empty())
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the folder has no files; expected texts"));
  return files;
}

absl::string_view NextPart(absl::string_view& text) {
  size_t size = text.size();
  if (size > kPartBytes) {
    const size_t line = text.rfind('\n', kPartBytes);
    size = line == text.npos || line == 0 ? kPartBytes : line;
    // Not within a character.
    while (size < text.size() && (text[size] & 0xC0) == 0x80) ++size;
  }
  const absl::string_view part = text.substr(0, size);
  text.remove_prefix(size);
  return part;
}

absl::Status Encode(absl::string_view text, const Tokenizer& tokenizer,
                    std::vector<Token>& out) {
  if (tokenizer.bos()) out.push_back(*tokenizer.bos());
  while (!text.empty()) {
    WEFT_ASSIGN_OR_RETURN(const std::vector<Token> tokens,
                          tokenizer.Encode(NextPart(text), {}));
    out.insert(out.end(), tokens.begin(), tokens.end());
  }
  if (tokenizer.eos()) out.push_back(*tokenizer.eos());
  return absl::OkStatus();
}

// Of all documents, by those that are encoded: a vector that grows would take
// twice as much.
size_t ExpectedTokens(const Corpus& corpus,
                      absl::Span<const std::vector<Token>> encoded) {
  double bytes = 0, tokens = 0;
  for (size_t i = 0; i < encoded.size(); ++i) {
    bytes += static_cast<double>(corpus.documents()[i].size());
    tokens += static_cast<double>(encoded[i].size());
  }
  return static_cast<size_t>(1.1 * tokens / bytes *
                             static_cast<double>(corpus.bytes()));
}

}  // namespace

absl::StatusOr<Corpus> Corpus::Open(const std::string& path,
                                    absl::string_view separator) {
  Corpus corpus;
  WEFT_ASSIGN_OR_RETURN(corpus.files_, FilesOf(path));
  for (const std::string& file : corpus.files_)
    WEFT_RETURN_IF_ERROR(corpus.AddFile(file, separator));
  if (corpus.documents_.empty())
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the corpus is empty; expected text"));
  return corpus;
}

absl::Status Corpus::AddFile(const std::string& path,
                             absl::string_view separator) {
  WEFT_ASSIGN_OR_RETURN(FileMapping mapping, FileMapping::Open(path));
  const auto bytes = mapping.bytes();
  mappings_.push_back(std::move(mapping));
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()),
                               bytes.size());
  WEFT_RETURN_IF_ERROR(CheckUtf8(path, text));
  if (separator.empty()) {
    AddDocument(text);
    return absl::OkStatus();
  }
  size_t begin = 0;
  for (size_t line = 0; line < text.size();) {
    const size_t end = std::min(text.find('\n', line), text.size());
    if (absl::StripAsciiWhitespace(text.substr(line, end - line)) ==
        separator) {
      AddDocument(text.substr(begin, line - begin));
      begin = end;
    }
    line = end + 1;
  }
  AddDocument(text.substr(begin));
  return absl::OkStatus();
}

void Corpus::AddDocument(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty()) return;
  documents_.push_back(text);
  bytes_ += static_cast<int64_t>(text.size());
}

absl::StatusOr<CorpusTokens> TokenizeCorpus(const Corpus& corpus,
                                            const Tokenizer& tokenizer,
                                            const SplitOptions& options) {
  const auto documents = corpus.documents();
  const auto count = static_cast<int64_t>(documents.size());
  const double share = options.validation_share;
  const bool by_document = static_cast<double>(count) * share >= 1;
  const uint64_t key = StreamKey(options.seed, "validation");
  CorpusTokens all;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    if (options.cancel != nullptr && *options.cancel)
      return absl::CancelledError("interrupted");
    if (options.progress)
      options.progress(static_cast<double>(begin) / static_cast<double>(count));
    const int64_t n = std::min(kBlock, count - begin);
    std::vector<std::vector<Token>> tokens(static_cast<size_t>(n));
    std::vector<absl::Status> statuses(static_cast<size_t>(n));
    ParallelFor(options.threads, n, [&](int64_t i) {
      const auto at = static_cast<size_t>(i);
      statuses[at] = Encode(documents[static_cast<size_t>(begin) + at],
                            tokenizer, tokens[at]);
    });
    if (begin == 0) all.training.reserve(ExpectedTokens(corpus, tokens));
    for (int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<size_t>(i);
      WEFT_RETURN_IF_ERROR(statuses[at]);
      const uint64_t draw = RandomBits(key, static_cast<uint64_t>(begin + i));
      const bool held_back =
          by_document && static_cast<double>(draw >> 11) * 0x1p-53 < share;
      all.validation_documents += held_back;
      std::vector<Token>& to = held_back ? all.validation : all.training;
      to.insert(to.end(), tokens[at].begin(), tokens[at].end());
    }
  }
  if (!by_document) {
    const auto train = static_cast<size_t>(
        static_cast<double>(all.training.size()) * (1 - share));
    all.validation.assign(all.training.begin() + static_cast<ptrdiff_t>(train),
                          all.training.end());
    all.training.resize(train);
  }
  return all;
}

}  // namespace weft::inline v0
