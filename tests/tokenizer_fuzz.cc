// Vocabularies and texts made of the input: nothing may crash, loop or leave
// the vocabulary, and what was encoded decodes to the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "models/pre_tokenizers.h"
#include "models/tokenizer.h"
#include "tests/bpe_vocab.h"
#include "tests/spm_vocab.h"

namespace weft {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// Takes what it needs from the front of the input; zeros when that is empty.
class Input {
 public:
  explicit Input(absl::string_view bytes) : bytes_(bytes) {}

  uint8_t Byte() {
    if (bytes_.empty()) return 0;
    const char byte = bytes_[0];
    bytes_.remove_prefix(1);
    return static_cast<uint8_t>(byte);
  }
  std::string Text(size_t size) {
    const absl::string_view text = bytes_.substr(0, size);
    bytes_.remove_prefix(text.size());
    return std::string(text);
  }
  std::string Rest() { return Text(bytes_.size()); }

 private:
  absl::string_view bytes_;
};

struct Made {
  std::unique_ptr<Tokenizer> tokenizer;
  bool reversible = true;  // texts come back unchanged
};

// Byte-level BPE under any pre-tokenizer's name, with merges of the input.
Made MakeBpeVocabulary(Input& input) {
  Made made;
  const auto names = PreTokenizerNames();
  const absl::string_view name = names[input.Byte() % names.size()];
  BpeVocab vocab = SmallBpeVocab();
  for (int n = input.Byte() % 24; n > 0; --n) {
    const auto known = [&] {
      return vocab
          .texts[(input.Byte() * 256u + input.Byte()) % vocab.texts.size()];
    };
    const std::string left = known(), right = known();
    vocab.Merge(left, right);
  }
  const int kinds = input.Byte() % 4;
  for (int n = 0; n < kinds; ++n) {
    const auto type = static_cast<TokenType>(2 + input.Byte() % 3);
    vocab.Add(input.Text(1 + input.Byte() % 4), type);
  }
  // A text of raw characters has no tokens for most; special tokens hide bytes.
  made.reversible = kinds == 0 && !FindPreTokenizer(name)->raw_text;
  auto tokenizer = MakeTokenizer(vocab.Spec(name));
  if (tokenizer.ok()) made.tokenizer = *std::move(tokenizer);
  return made;
}

// WordPiece or Unigram.
Made MakeOtherVocabulary(Input& input, bool is_bert) {
  Made made;
  made.reversible = false;
  std::vector<std::string> texts = {"<pad>", "</s>", "<unk>", "▁", "▁a", "b"};
  std::vector<float> scores(texts.size());
  std::vector<int32_t> types = {3, 3, 2, 1, 1, 1};
  for (int n = input.Byte() % 24; n > 0; --n) {
    texts.push_back(input.Text(1 + input.Byte() % 6));
    scores.push_back(-static_cast<float>(input.Byte()));
    types.push_back(1 + input.Byte() % 5);
  }
  GgufSpec spec;
  spec.String("tokenizer.ggml.model", is_bert ? "bert" : "t5")
      .Strings("tokenizer.ggml.tokens", texts)
      .Array("tokenizer.ggml.scores", GgufType::kFloat32, scores)
      .Array("tokenizer.ggml.token_type", GgufType::kInt32, types)
      .Scalar("tokenizer.ggml.bos_token_id", GgufType::kUint32, 0u)
      .Scalar("tokenizer.ggml.seperator_token_id", GgufType::kUint32, 1u)
      .Scalar("tokenizer.ggml.unknown_token_id", GgufType::kUint32, 2u);
  if (const uint8_t size = input.Byte(); size > 0) {
    const std::string map = input.Text(4u * size);
    spec.Array("tokenizer.ggml.precompiled_charsmap", GgufType::kUint8,
               std::vector<uint8_t>(map.begin(), map.end()));
  }
  for (const char* key : {"add_space_prefix", "remove_extra_whitespaces"}) {
    spec.Scalar(absl::StrCat("tokenizer.ggml.", key), GgufType::kBool,
                static_cast<uint8_t>(input.Byte() & 1));
  }
  auto tokenizer = MakeTokenizer(spec);
  if (tokenizer.ok()) made.tokenizer = *std::move(tokenizer);
  return made;
}

Made MakeVocabulary(Input& input) {
  Made made;
  const uint8_t flags = input.Byte();
  if (flags >> 6 == 1) return MakeBpeVocabulary(input);
  if (flags >> 6 == 2) return MakeOtherVocabulary(input, (flags & 1) != 0);
  SpmVocab vocab = SmallSpmVocab();
  if ((flags & 1) != 0) vocab = SpmVocab();
  for (int n = input.Byte() % 24; n > 0; --n) {
    const uint8_t kind = input.Byte();
    const auto type = static_cast<TokenType>(1 + (kind & 7) % 6);
    vocab.Add(input.Text(kind >> 3 & 7), static_cast<float>(input.Byte() >> 4),
              type);
    // Texts that mean a space, and types that are printed as nothing or that
    // put a space after them.
    if (type != TokenType::kNormal ||
        absl::StrContains(vocab.texts.back(), "▁"))
      made.reversible = false;
  }
  GgufSpec spec = vocab.Spec();
  if ((flags & 1) != 0) {
    made.reversible = false;
    spec.keys.resize(4);  // special ids need not exist
  }
  if ((flags & 2) != 0) spec.String("general.name", "phi-3");
  if ((flags & 4) != 0) {
    spec.Scalar("tokenizer.ggml.add_space_prefix", GgufType::kBool, uint8_t{0});
  }
  auto tokenizer = MakeTokenizer(spec);
  if (tokenizer.ok()) made.tokenizer = *std::move(tokenizer);
  return made;
}

void TryText(const Made& made, const std::string& text, bool parse_special) {
  const Tokenizer& tokenizer = *made.tokenizer;
  const auto tokens = tokenizer.Encode(
      text, {.add_special = parse_special, .parse_special = parse_special});
  if (!tokens.ok()) {
    Check(tokens.status().code() == absl::StatusCode::kFailedPrecondition);
    return;
  }
  Utf8Stream stream;
  std::string shown;
  for (const Token token : *tokens) {
    Check(token >= 0 && token < tokenizer.vocab_size());
    shown += stream.Push(tokenizer.Piece(token).value());
  }
  shown += stream.Finish();
  Check(IsValidUtf8(shown));
  const auto decoded = tokenizer.Decode(*tokens);
  Check(decoded.ok() && tokenizer.Decode(*tokens, true).ok());
  if (made.reversible && !parse_special && !absl::StrContains(text, "▁"))
    Check(*decoded == text);
}

void FuzzFile(absl::string_view bytes) {
  const auto file = GgufFile::Parse(AsBytes(bytes), "fuzz");
  if (!file.ok()) return;
  Made made;
  made.reversible = false;
  auto tokenizer = MakeTokenizer(*file);
  if (!tokenizer.ok()) return;
  made.tokenizer = *std::move(tokenizer);
  TryText(made, "Once upon a time<s>\n中", true);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (absl::StartsWith(bytes, "GGUF")) {
    weft::FuzzFile(bytes);
    return 0;
  }
  weft::Input input(bytes);
  const weft::Made made = weft::MakeVocabulary(input);
  if (made.tokenizer == nullptr) return 0;
  const std::string text = input.Rest();
  weft::TryText(made, text, false);
  weft::TryText(made, text, true);
  return 0;
}
