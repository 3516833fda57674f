// Text to train on.
#ifndef WEFT_TOOLS_TRAIN_CORPUS_H_
#define WEFT_TOOLS_TRAIN_CORPUS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/file_mapping.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// Texts of one file, or of all files at or below a folder in the order of their
// names; hidden ones are left out. Keeps the files mapped.
class Corpus {
 public:
  // A line that is `separator` and nothing else stands between two documents of
  // a file; "": a file is one document. Blank space around documents is not
  // theirs, and empty ones do not count. The errors of FileMapping::Open;
  // InvalidArgument for what is not UTF-8, with the place, and for a corpus
  // without text.
  static absl::StatusOr<Corpus> Open(const std::string& path,
                                     absl::string_view separator);

  absl::Span<const absl::string_view> documents() const { return documents_; }
  absl::Span<const std::string> files() const { return files_; }
  int64_t bytes() const { return bytes_; }  // of all documents

 private:
  absl::Status AddFile(const std::string& path, absl::string_view separator);
  void AddDocument(absl::string_view text);

  std::vector<std::string> files_;
  std::vector<FileMapping> mappings_;
  std::vector<absl::string_view> documents_;
  int64_t bytes_ = 0;
};

// A corpus as tokens: documents one after the other, BOS before and EOS after
// each where the vocabulary has them.
struct CorpusTokens {
  std::vector<Token> training, validation;
  int64_t validation_documents = 0;
};

struct SplitOptions {
  // Of documents, drawn by `seed`; of the last tokens instead where documents
  // are too few.
  double validation_share = 0.01;
  uint64_t seed = 0;
  int threads = 1;
  const std::atomic<bool>* cancel = nullptr;
  std::function<void(double share)> progress = nullptr;  // from 0 to 1
};

// The same for any number of threads. The errors of Tokenizer::Encode;
// Cancelled.
absl::StatusOr<CorpusTokens> TokenizeCorpus(const Corpus& corpus,
                                            const Tokenizer& tokenizer,
                                            const SplitOptions& options);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_TRAIN_CORPUS_H_
