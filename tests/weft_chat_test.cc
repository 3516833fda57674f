// Conversations: what is evaluated, what is kept, where an answer ends.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/bpe_vocab.h"
#include "tests/tiny_llama.h"
#include "tests/tokenizer_util.h"
#include "tests/tool_runner.h"
#include "tools/chat.h"

namespace weft::inline v0 {
namespace {

// Says what it is told to, and remembers what it has seen.
class ScriptedModel : public TextModel {
 public:
  ScriptedModel(std::unique_ptr<Tokenizer> tokenizer, int64_t context)
      : tokenizer_(std::move(tokenizer)), context_(context) {}

  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  int64_t context() const override { return context_; }
  int64_t position() const override {
    return static_cast<int64_t>(seen.size());
  }
  void Restart() override { seen.clear(); }
  void Rewind(int64_t position) override {
    const auto left = static_cast<size_t>(position);
    seen.resize(forgets && left < seen.size() ? 0 : left);
  }
  absl::StatusOr<absl::Span<const float>> Prefill(
      absl::Span<const Token> tokens, const PrefillOptions&) override {
    evaluated += tokens.size();
    seen.insert(seen.end(), tokens.begin(), tokens.end());
    return Next();
  }
  absl::StatusOr<absl::Span<const float>> Decode(
      Token token, const std::atomic<bool>*) override {
    seen.push_back(token);
    return Next();
  }

  Tokens seen;
  Tokens script;         // what it says, token by token
  size_t evaluated = 0;  // by Prefill
  bool forgets = false;  // everything, when it is taken back

 private:
  absl::Span<const float> Next() {
    logits_.assign(static_cast<size_t>(tokenizer_->vocab_size()), 0);
    const Token token = script.empty() ? tokenizer_->eos().value() : script[0];
    if (!script.empty()) script.erase(script.begin());
    logits_[static_cast<size_t>(token)] = 1;
    return logits_;
  }

  std::unique_ptr<Tokenizer> tokenizer_;
  int64_t context_;
  std::vector<float> logits_;
};

constexpr char kTemplate[] =
    "{% for m in messages %}<turn>{{ m.role }}:{{ m.content }}<end>"
    "{% endfor %}{% if add_generation_prompt %}<turn>assistant:{% endif %}";

class ChatTest : public testing::Test {
 protected:
  ChatTest() : model_(MakeVocabulary(), 200) {}

  static std::unique_ptr<Tokenizer> MakeVocabulary() {
    BpeVocab vocab = SmallBpeVocab();
    vocab.Add("<turn>", TokenType::kControl);
    return Make(vocab.Spec().Scalar("tokenizer.ggml.eos_token_id",
                                    GgufType::kUint32, 263u));
  }

  Chat MakeChat(const char* source = kTemplate, int64_t max_tokens = 0,
                const char* system = "") {
    ChatSetup setup;
    setup.system = system;
    setup.generator.max_tokens = max_tokens;
    setup.generator.sampler.temperature = 0;
    setup.generator.cancel = &cancel_;
    setup.generator.write = [this](absl::string_view text) {
      absl::StrAppend(&said_, text);
      if (cancel_after_ > 0 && said_.size() >= cancel_after_) cancel_ = true;
      return absl::OkStatus();
    };
    auto chat = Chat::Make(&model_, ChatTemplate::Make(source, "", "").value(),
                           std::move(setup));
    EXPECT_TRUE(chat.ok()) << chat.status();
    return *std::move(chat);
  }

  void Script(absl::string_view text) {
    model_.script = Encode(model_.tokenizer(), text);
  }
  // The text of all that the model has in its cache.
  std::string Seen() { return Decode(model_.tokenizer(), model_.seen, true); }

  ScriptedModel model_;
  std::atomic<bool> cancel_{false};
  size_t cancel_after_ = 0;
  std::string said_;
};

TEST_F(ChatTest, EvaluatesOnlyWhatIsNew) {
  Chat chat = MakeChat(kTemplate, 0, "sys");
  std::string expected = "<turn>system:sys<end>";
  size_t before = 0;
  for (const std::string turn : {"abcd", "x y", "third"}) {
    const std::string answer = absl::StrCat("re ", turn, "!");
    Script(answer);
    said_.clear();
    const auto reason = chat.Say(turn);
    ASSERT_TRUE(reason.ok()) << reason.status();
    EXPECT_EQ(*reason, StopReason::kEndOfText);
    EXPECT_EQ(said_, answer);
    absl::StrAppend(&expected, "<turn>user:", turn,
                    "<end><turn>assistant:", answer);
    EXPECT_EQ(Seen(), expected);
    EXPECT_EQ(chat.turn().kept, static_cast<int64_t>(before));
    EXPECT_EQ(chat.stats().prompt_tokens, chat.turn().read);
    before = model_.seen.size();
    absl::StrAppend(&expected, "<end>");
  }
  // Each token once, but for those that it said itself.
  EXPECT_LT(model_.evaluated, model_.seen.size());
}

TEST_F(ChatTest, AnAnswerOfTokensThatNobodyWouldWrite) {
  Chat chat = MakeChat();
  model_.script = {'a', 'b', 'c', 'd'};  // "abcd" is a token
  ASSERT_TRUE(chat.Say("x").ok());
  const Tokens seen = model_.seen;
  ASSERT_TRUE(chat.Say("y").ok());
  EXPECT_TRUE(std::equal(seen.begin(), seen.end(), model_.seen.begin()));
  EXPECT_EQ(chat.turn().kept, static_cast<int64_t>(seen.size()));
}

TEST_F(ChatTest, AnAnswerThatIsCutOff) {
  Chat chat = MakeChat(kTemplate, 3);
  Script("123456");
  EXPECT_EQ(chat.Say("x").value(), StopReason::kMaxTokens);
  EXPECT_EQ(Seen(), "<turn>user:x<end><turn>assistant:12");
  EXPECT_EQ(chat.Say("y").value(), StopReason::kMaxTokens);
  EXPECT_TRUE(absl::StartsWith(
      Seen(), "<turn>user:x<end><turn>assistant:123<end><turn>user:y<end>"))
      << Seen();
}

TEST_F(ChatTest, AnInterruptStopsTheAnswer) {
  Chat chat = MakeChat();
  cancel_after_ = 2;
  Script("123456");
  EXPECT_EQ(chat.Say("x").value(), StopReason::kInterrupted);
  EXPECT_EQ(said_, "12");
  cancel_ = false;
  cancel_after_ = 0;
  Script("ok");
  EXPECT_EQ(chat.Say("y").value(), StopReason::kEndOfText);
  EXPECT_EQ(Seen(),
            "<turn>user:x<end><turn>assistant:12<end><turn>user:y<end>"
            "<turn>assistant:ok");
}

TEST_F(ChatTest, ATemplateThatDropsThoughts) {
  Chat chat = MakeChat(
      "{% for m in messages %}<turn>{{ m.role }}:"
      "{{ m.content.split('|')[-1] }}<end>{% endfor %}<turn>assistant:");
  Script("thought|said");
  ASSERT_TRUE(chat.Say("x").ok());
  EXPECT_EQ(Seen(), "<turn>user:x<end><turn>assistant:thought|said");
  Script("b");
  ASSERT_TRUE(chat.Say("y").ok());
  EXPECT_EQ(Seen(),
            "<turn>user:x<end><turn>assistant:said<end><turn>user:y<end>"
            "<turn>assistant:b");
  // What stands before the answer was kept.
  EXPECT_EQ(chat.turn().kept,
            static_cast<int64_t>(Encode(model_.tokenizer(),
                                        "<turn>user:x<end><turn>assistant:",
                                        {.parse_special = true})
                                     .size()));
}

// A recurrent state, or a window whose cache has moved on.
TEST_F(ChatTest, AModelThatForgetsReadsAllAgain) {
  Chat chat = MakeChat(
      "{% for m in messages %}<turn>{{ m.role }}:"
      "{{ m.content.split('|')[-1] }}<end>{% endfor %}<turn>assistant:");
  model_.forgets = true;
  Script("thought|said");
  ASSERT_TRUE(chat.Say("x").ok());
  Script("b");
  ASSERT_TRUE(chat.Say("y").ok());
  EXPECT_EQ(Seen(),
            "<turn>user:x<end><turn>assistant:said<end><turn>user:y<end>"
            "<turn>assistant:b");
  EXPECT_EQ(chat.turn().kept, 0);
}

TEST_F(ChatTest, AfterAnErrorTheConversationIsAsItWas) {
  Chat chat = MakeChat(
      "{% if messages[-1].content == 'no' %}{{ raise_exception('no') }}"
      "{% endif %}{% for m in messages %}<turn>{{ m.content }}{% endfor %}");
  Script("a");
  ASSERT_TRUE(chat.Say("x").ok());
  const std::string seen = Seen();
  EXPECT_TRUE(absl::StrContains(chat.Say("no").status().message(),
                                "the template says: no"));
  EXPECT_EQ(Seen(), seen);
  const absl::Status full = chat.Say(std::string(300, 'z')).status();
  EXPECT_TRUE(absl::StrContains(full.message(), "the context 200 positions"))
      << full;
  Script("b");
  ASSERT_TRUE(chat.Say("y").ok());
  EXPECT_EQ(Seen(), "<turn>x<turn>a<turn>yb");
}

// ---- weft-run --chat ----

std::string ModelWith(const char* chat_template) {
  const std::string path = ScratchPath("chat.gguf");
  GgufSpec spec = TinyLlama();
  if (chat_template != nullptr)
    spec.String("tokenizer.chat_template", chat_template);
  WriteBytes(path, spec.Build());
  return absl::StrCat("--model=", path);
}

constexpr char kTinyTemplate[] =
    "{{ bos_token }}{% for m in messages %}{{ m.role[0] }} {{ m.content }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}a {% endif %}";

// The number before " tokens" in the lines that begin with `name`.
std::vector<int> Counts(const std::string& text, absl::string_view name) {
  std::vector<int> counts;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, absl::StrCat(name, " "))) continue;
    counts.push_back(std::atoi(std::string(line.substr(name.size())).c_str()));
  }
  return counts;
}

TEST(WeftRunChat, TurnsStayInTheCache) {
  const ToolResult result = RunTool(
      "weft-run",
      {ModelWith(kTinyTemplate), "--chat", "--system=abc", "--max_tokens=4"},
      {.input = "ab\n\ncd\nef\n"});
  ExpectSuccess(result);
  EXPECT_EQ(CountLines(result.out), 3) << result.out;
  const std::vector<int> kept = Counts(result.err, "kept");
  const std::vector<int> read = Counts(result.err, "prompt");
  ASSERT_EQ(kept.size(), 3u) << result.err;
  ASSERT_EQ(read.size(), 3u) << result.err;
  EXPECT_EQ(kept[0], 0);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_GE(kept[i], kept[i - 1] + read[i - 1]) << result.err;
    EXPECT_LT(read[i], kept[i]) << result.err;
  }
}

TEST(WeftRunChat, AnInterruptStopsTheAnswerOnly) {
  // Without the token that ends it, an answer takes too long for anybody to wait
  // for: the first signal cuts off the first, the second one the other.
  const ToolResult result = RunTool(
      "weft-run",
      {ModelWith(kTinyTemplate), "--chat", "--context=300000",
       "--logit_bias=2-inf"},
      {.input = "ab\ncd\n",
       .interrupt = true,
       .signal = 2,
       .signal_after_seconds = 3});
  ExpectSuccess(result);
  EXPECT_EQ(Counts(result.err, "kept").size(), 2u) << result.err;
  EXPECT_TRUE(absl::StrContains(result.err, "stopped by an interrupt"))
      << result.err;
}

TEST(WeftRunChat, Refuses) {
  const std::string model = ModelWith(kTinyTemplate);
  ExpectFailure(RunTool("weft-run", {model, "--chat", "--prompt=a"}),
                "weft-run", "--chat or --prompt, not both");
  ExpectFailure(RunTool("weft-run", {model, "--prompt=a", "--system=b"}),
                "weft-run", "--system goes with --chat");
  const auto run = [](const std::string& flag, const std::string& more) {
    return RunTool("weft-run", {flag, "--chat", more}, {.input = "a\n"});
  };
  const ToolResult none = run(ModelWith(nullptr), "--threads=1");
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(none.err, "CHAT-1")) << none.err;
  const ToolResult broken = run(ModelWith("{% if"), "--threads=1");
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(
      broken.err, "tokenizer.chat_template: JINJA-1: line 1, column 1"))
      << broken.err;
  const std::string path = ScratchPath("template.jinja");
  WriteBytes(path, "{{ x | odd_filter }}");
  const ToolResult unknown =
      run(ModelWith(nullptr), absl::StrCat("--chat_template=", path));
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(unknown.err, "the filter \"odd_filter\""))
      << unknown.err;
  WriteBytes(path, "{{ messages[-1].content }}");
  ExpectSuccess(
      run(ModelWith(nullptr), absl::StrCat("--chat_template=", path)));
}

}  // namespace
}  // namespace weft::inline v0
