// The vocabulary of a GGUF file, checked.
#ifndef WEFT_MODELS_VOCAB_H_
#define WEFT_MODELS_VOCAB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/gguf.h"
#include "models/name_index.h"
#include "models/tokenizer.h"

namespace weft::inline v0 {

// The numbers of tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

// What a kind of tokenizer takes where the file says nothing. An id that the
// vocabulary does not have counts as none.
struct VocabDefaults {
  Token bos = kNoToken;
  Token eos = kNoToken;
  Token unknown = kNoToken;
  Token separator = kNoToken;
  bool add_bos = false;
  bool add_eos = false;
};

// What is wrong with a key of the metadata. Whatever is quoted from the file
// has to go through QuoteInput.
struct VocabError {
  absl::string_view id;  // of the error site: "TOK-V5"
  absl::string_view key;
  absl::string_view value;             // what it is
  absl::string_view expected;          // the rule it breaks
  std::optional<size_t> element = {};  // of the key's array
};

// "<source>: <id> at byte <offset>: <key>[<element>] is <value>; expected
// <expected>" as a status, without the byte where the file lacks the key or is
// no GGUF.
absl::Status MakeVocabError(absl::StatusCode code, const GgufFile& file,
                            const VocabError& error);
// The same of a text or token that is not in the file, so without a byte.
absl::Status MakeVocabError(absl::StatusCode code, absl::string_view source,
                            const VocabError& error);

// Texts, scores, types and special ids of all tokens, copied out of the file.
// Immutable once read, so safe to share between threads.
class Vocab {
 public:
  // Error ids:
  //   TOK-V1  tokens missing (FailedPrecondition), no strings, or none at all
  //   TOK-V2  scores of another type or count, or not a number
  //   TOK-V4  token types of another type or count, or outside 1..6
  //   TOK-V5  special id outside the vocabulary (OutOfRange)
  //   TOK-V9  more tokens or bytes than can be numbered (ResourceExhausted)
  // InvalidArgument where nothing else is said, also where a special id is no
  // integer or a flag no bool. Two tokens of one text are a warning: the text
  // then means the last of them, as in llama.cpp.
  static absl::StatusOr<std::unique_ptr<const Vocab>> Read(
      const GgufFile& file, const VocabDefaults& defaults);

  Vocab(const Vocab&) = delete;  // views into itself
  Vocab& operator=(const Vocab&) = delete;

  int32_t size() const { return static_cast<int32_t>(texts_.size()); }
  bool Contains(Token token) const { return token >= 0 && token < size(); }

  // Of a token that the vocabulary contains.
  absl::string_view text(Token token) const { return texts_[Index(token)]; }
  float score(Token token) const { return scores_[Index(token)]; }
  TokenType type(Token token) const { return types_[Index(token)]; }

  // The token of that text, kNoToken when there is none. The empty text is no
  // token's, whatever the file says.
  Token Find(absl::string_view text) const;
  size_t longest() const { return longest_; }  // bytes of the longest text

  std::optional<Token> bos() const { return bos_; }
  std::optional<Token> eos() const { return eos_; }
  std::optional<Token> unknown() const { return unknown_; }
  std::optional<Token> separator() const { return separator_; }
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }
  bool IsEndOfGeneration(Token token) const;

  const std::string& source() const { return source_; }  // for errors
  absl::Span<const std::string> warnings() const { return warnings_; }

 private:
  explicit Vocab(std::string source) : source_(std::move(source)) {}
  static size_t Index(Token token) { return static_cast<size_t>(token); }
  // vocab.cc: the arrays.
  absl::Status ReadTexts(const GgufFile& file);
  void CopyTexts(size_t bytes);
  void IndexTexts();
  absl::Status ReadScores(const GgufFile& file);
  absl::Status ReadTypes(const GgufFile& file);

  // vocab_special.cc: what single tokens are for.
  struct Marker;
  absl::Status ReadSpecial(const GgufFile& file, const VocabDefaults& defaults);
  absl::StatusOr<std::optional<Token>> ReadId(const GgufFile& file,
                                              absl::string_view key) const;
  absl::StatusOr<std::optional<Token>> ReadIdOr(const GgufFile& file,
                                                absl::string_view key,
                                                Token fallback) const;
  absl::Status ReadMarker(const GgufFile& file, const Marker& marker);
  void FindEnds();
  void ForgetEnd(absl::string_view text, TokenType type);

  std::string source_;
  std::string bytes_;  // what texts_ point into
  std::vector<absl::string_view> texts_;
  NameIndex<absl::string_view> index_{&texts_};
  size_t longest_ = 0;
  std::vector<float> scores_;  // 0 where the file has none
  std::vector<TokenType> types_;
  std::optional<Token> bos_;
  std::optional<Token> eos_;
  std::optional<Token> unknown_;
  std::optional<Token> separator_;
  bool add_bos_ = false;
  bool add_eos_ = false;
  std::vector<Token> ends_;  // sorted
  std::vector<std::string> warnings_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_VOCAB_H_
