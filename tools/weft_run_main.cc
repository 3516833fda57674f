// weft-run: text from a model.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "graph/status_macros.h"
#include "models/chat_template.h"
#include "models/engine.h"
#include "ops/pack.h"
#include "tools/backend_flags.h"
#include "tools/chat.h"
#include "tools/cli.h"
#include "tools/embed_texts.h"
#include "tools/generator.h"
#include "tools/model_flags.h"
#include "tools/profile_file.h"
#include "tools/profiled_model.h"
#include "tools/read_file.h"
#include "tools/sampler_flags.h"
#include "tools/tap_recorder.h"
#include "tools/terminal.h"
#include "tools/text_table.h"

ABSL_FLAG(std::string, prompt, "",
          "the text to go on with; without the flag, prompts are read from "
          "standard input");
ABSL_FLAG(int64_t, max_tokens, 256,
          "tokens to generate; 0: until the context is full");
ABSL_FLAG(bool, chat, false,
          "a conversation: each line is what the user says; the model's own "
          "chat template and its earlier turns are kept");
ABSL_FLAG(std::string, system, "", "--chat: the system prompt");
ABSL_FLAG(std::string, chat_template, "",
          "--chat: a file with a Jinja template instead of the model's");
ABSL_FLAG(bool, embed, false,
          "vectors of texts instead of text: of --prompt, or of each line of "
          "standard input");
ABSL_FLAG(int64_t, context, 0,
          "positions of the KV cache; 0: as the model says, at most 4096");
ABSL_FLAG(std::string, kv, "f16",
          "type of the KV cache, or K,V for different ones: f32, f16, bf16, "
          "q8_0 or q4_0");
ABSL_FLAG(bool, verbose, false, "say more about the model and its graph");
ABSL_FLAG(std::string, profile, "",
          "a file for the times of all steps, by node and thread, for "
          "graph-dump");
ABSL_FLAG(std::string, trace, "",
          "a file for every step of every thread, for Perfetto or "
          "chrome://tracing");

namespace weft::inline v0 {
namespace {

constexpr char kUsage[] =
    R"(weft-run: generates text with a model

  weft-run --prompt="Once upon a time"
  weft-run --model=stories.gguf --prompt="Once upon a time"
  weft-run --model=stories.gguf --temperature=0.8 --seed=7 < prompts.txt
  weft-run --model=stories.gguf      asks for prompts on a terminal
  weft-run --model=chat.gguf --chat --system="Be brief."
  weft-run --model=m.gguf --prompt=Hi --tap="layer.*" --tap_out=layers.npz
  weft-run --model=bert.gguf --embed --embed_format=json < texts.txt

The text that follows the prompt goes to standard output as it is made, and
nothing else does; the prompt is not repeated. On a terminal, and between the
texts of several prompts, a line feed ends it. It stops where the model ends the
text, after --max_tokens, or when the context is full. Speed and messages go to
standard error.

Prompts from standard input: each line begins a new text, an empty line goes on
with the last one. Ctrl-C stops the text and ends the program with its
statistics; a second Ctrl-C kills it.

With --chat each line of standard input is a turn of the user; the model answers
up to the token that ends its turn, or --max_tokens if given. What was said
stays in the KV cache, so that a turn evaluates its own tokens only: "kept" says
how many were there before. Ctrl-C stops the answer and not the conversation;
where no answer is being made it ends the program, as the end of the input does.

With temperature 0, the default, the best token is always taken; of the other
samplers only those matter then that change logits (bias, penalties, DRY,
grammar). The samplers and their names are llama.cpp's:

  weft-run --model=F.gguf --temperature=0.8 --samplers="top_k;temperature;min_p"
  weft-run --model=F.gguf --grammar='root ::= "yes" | "no"' --prompt="Is it? "
  weft-run --model=F.gguf --json_schema_file=person.json --prompt="Ann, 7: "
)";

// Events of a trace at most: 40 bytes each.
constexpr int64_t kTraceRoom = 1 << 18;

Program MakeProgram() {
  Program program = {.name = "weft-run", .usage = kUsage, .groups = {}};
  program.groups = {{"Text", {"model", "lora", "prompt", "max_tokens"}},
                    {"Conversation", {"chat", "system", "chat_template"}}};
  program.groups.push_back(EmbedFlagGroup());
  for (FlagGroup& group : SamplerFlagGroups())
    program.groups.push_back(std::move(group));
  program.groups.push_back(
      {"Machine",
       {"threads", "context", "kv", "numerics", "pack", "pack_cache", "target",
        "verbose", "profile", "trace"}});
  program.groups.push_back({"Inside the model", {"tap", "tap_out"}});
  return program;
}

// Whether --profile or --trace ask for times.
bool Timed() {
  return !absl::GetFlag(FLAGS_profile).empty() ||
         !absl::GetFlag(FLAGS_trace).empty();
}

absl::Status CheckFlags(const Arguments& args) {
  WEFT_RETURN_IF_ERROR(
      CheckFlag("max_tokens", absl::GetFlag(FLAGS_max_tokens), 0, kMaxContext));
  WEFT_RETURN_IF_ERROR(
      CheckFlag("context", absl::GetFlag(FLAGS_context), 0, kMaxContext));
  const bool chat = absl::GetFlag(FLAGS_chat);
  const bool embed = absl::GetFlag(FLAGS_embed);
  WEFT_RETURN_IF_ERROR(CheckEmbedFlags(args, embed));
  if (embed && (chat || Timed()))
    return absl::InvalidArgumentError(
        "--embed goes without --chat, --profile and --trace");
  if (chat && args.Given("prompt"))
    return absl::InvalidArgumentError(
        "--chat or --prompt, not both: a conversation reads standard input");
  for (const char* flag : {"system", "chat_template"}) {
    if (!chat && args.Given(flag))
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " goes with --chat"));
  }
  // Here already, so that nobody waits for a model to be told.
  if (args.Given("prompt"))
    WEFT_RETURN_IF_ERROR(CheckPrompt(absl::GetFlag(FLAGS_prompt)));
  return absl::OkStatus();
}

void ShowSession(const Model& model, const Session& session) {
  const BackendPlan& plan = session.plan();
  Say(absl::StrCat("model     ", model.architecture().name, ", ",
                   model.file().tensors().size(), " tensors, vocabulary of ",
                   model.vocab_size(), ", trained for ",
                   model.trained_context(), " positions"));
  Say(absl::StrCat("memory    weights ", MiB(plan.plan.weight_bytes),
                   ", of which ", MiB(PackedBytes(session.graph())),
                   " packed, KV cache ", MiB(plan.memory.state),
                   ", activations ", MiB(plan.memory.arena), ", scratch ",
                   MiB(plan.memory.scratch)));
  Say(absl::StrCat("runs on   ", session.options().backend, " ", plan.target,
                   ", ", plan.steps.size(), " steps"));
  Say(session.fusion_report().Summary());
}

// The template of --chat: that of a file, or the model's.
absl::StatusOr<ChatTemplate> OpenTemplate(const Model& model) {
  const std::string path = absl::GetFlag(FLAGS_chat_template);
  const Tokenizer& tokenizer = model.tokenizer();
  if (path.empty()) return ChatTemplate::FromFile(model.file(), tokenizer);
  WEFT_ASSIGN_OR_RETURN(const std::string source, ReadTextFile(path));
  const auto text = [&](std::optional<Token> token) {
    return token ? tokenizer.Piece(*token, true).value_or("") : std::string();
  };
  return ChatTemplate::Make(source, text(tokenizer.bos()),
                            text(tokenizer.eos()), path);
}

struct Opened {
  std::shared_ptr<const Model> model;
  std::unique_ptr<Session> session;
  double seconds = 0;  // that it took
};

// The model file with a session of its own.
absl::StatusOr<Opened> OpenSession(bool embed, TapRecorder* taps) {
  WEFT_ASSIGN_OR_RETURN(const KvTypes kv, ParseKv(absl::GetFlag(FLAGS_kv)));
  WEFT_ASSIGN_OR_RETURN(const Numerics numerics, NumericsFromFlags());
  const Stopwatch time;
  SessionOptions options;
  options.numerics = numerics;
  options.embeddings = embed;
  options.context = absl::GetFlag(FLAGS_context);
  options.kv_k = kv.k;
  options.kv_v = kv.v;
  options.backend_options = BackendFromFlags();
  if (taps != nullptr) options.taps = TapRecorder::Globs();
  WEFT_ASSIGN_OR_RETURN(std::shared_ptr<const Model> model,
                        LoadModelFor(options));
  Progress packing("packing");
  options.packing_progress = [&](double share) { packing.Update(share); };
  WEFT_ASSIGN_OR_RETURN(std::unique_ptr<Session> session,
                        model->NewSession(options));
  packing.Clear();
  if (const absl::Status& cache = session->pack_cache_status(); !cache.ok())
    Warn(absl::StrCat("--pack_cache: ", cache.message()));
  if (taps != nullptr) taps->Attach(*session);
  const double seconds = time.Seconds();
  if (absl::GetFlag(FLAGS_verbose)) ShowSession(*model, *session);
  const int64_t trained = model->trained_context();
  if (trained > 0 && session->options().context > trained)
    Warn(absl::StrCat("the model was trained for ", trained,
                      " positions; beyond them the text may degrade"));
  return Opened{std::move(model), std::move(session), seconds};
}

std::unique_ptr<SessionTextModel> MakeTextModel(Opened opened) {
  auto& [model, session, seconds] = opened;
  if (Timed())
    return std::make_unique<ProfiledTextModel>(
        std::move(model), std::move(session),
        absl::GetFlag(FLAGS_trace).empty() ? 0 : kTraceRoom);
  return std::make_unique<SessionTextModel>(std::move(model),
                                            std::move(session));
}

void SayLoaded(double seconds) {
  Say(absl::StrFormat("loaded in %.3f s", seconds));
}

// What --profile and --trace ask for.
absl::Status WriteTimes(const TextModel& model) {
  if (!Timed()) return absl::OkStatus();
  const auto& timed = static_cast<const ProfiledTextModel&>(model);
  if (const std::string path = absl::GetFlag(FLAGS_profile); !path.empty())
    WEFT_RETURN_IF_ERROR(WriteWhole(path, timed.Profile()));
  if (const std::string path = absl::GetFlag(FLAGS_trace); !path.empty())
    WEFT_RETURN_IF_ERROR(WriteWhole(path, timed.Trace()));
  return absl::OkStatus();
}

const char* Describe(StopReason reason) {
  switch (reason) {
    case StopReason::kEndOfText:
      return "at the end of the text";
    case StopReason::kMaxTokens:
      return "after --max_tokens";
    case StopReason::kContextFull:
      return "because the context is full; --context=N gives more room";
    case StopReason::kInterrupted:
      return "by an interrupt";
  }
  return "";
}

// Generates for one prompt, or for all lines of standard input.
class Runner {
 public:
  // `load_seconds`: what loading the model took.
  Runner(TextModel& model, double load_seconds, SamplerOptions sampler,
         const std::atomic<bool>& cancel)
      : model_(model),
        load_seconds_(load_seconds),
        sampler_(std::move(sampler)),
        cancel_(cancel) {}

  // `separate`: other texts may follow, so a line feed ends each.
  GeneratorOptions MakeOptions(bool separate) {
    separate_ = separate;
    GeneratorOptions options;
    options.max_tokens = absl::GetFlag(FLAGS_max_tokens);
    options.sampler = sampler_;
    options.cancel = &cancel_;
    options.write = [](absl::string_view text) {
      return Print(StdoutIsTerminal() ? WithoutControls(text)
                                      : std::string(text));
    };
    options.progress = [this](int64_t done, int64_t total) {
      TellLoaded();
      // The last call comes when the text begins.
      if (done == total) return progress_.reset();
      if (progress_ == nullptr)
        progress_ = std::make_unique<Progress>("reading the prompt");
      progress_->Update(static_cast<double>(done) / static_cast<double>(total));
    };
    return options;
  }

  absl::StatusOr<Generator> MakeGenerator(bool separate) {
    return Generator::Make(&model_, MakeOptions(separate));
  }

  absl::Status Finish(const GeneratorStats& stats, StopReason reason) {
    progress_.reset();
    last_reason_ = reason;
    if (separate_ || StdoutIsTerminal()) WEFT_RETURN_IF_ERROR(Print("\n"));
    Say(absl::StrCat(weft::Describe(stats), "\nstopped ", Describe(reason)));
    return absl::OkStatus();
  }

  absl::Status RunPrompt(const std::string& prompt) {
    WEFT_ASSIGN_OR_RETURN(Generator generator, MakeGenerator(false));
    WEFT_ASSIGN_OR_RETURN(const StopReason reason, generator.Begin(prompt));
    return Finish(generator.stats(), reason);
  }

  absl::Status RunLines() {
    WEFT_ASSIGN_OR_RETURN(Generator generator, MakeGenerator(true));
    return ForEachLine(
        [&](const std::string& line) { return RunLine(generator, line); });
  }

  absl::Status RunChat(ChatTemplate chat_template) {
    ChatSetup setup;
    setup.system = absl::GetFlag(FLAGS_system);
    setup.options.now = absl::ToUnixSeconds(absl::Now());
    setup.generator = MakeOptions(true);
    WEFT_ASSIGN_OR_RETURN(
        Chat chat,
        Chat::Make(&model_, std::move(chat_template), std::move(setup)));
    return ForEachLine([&](const std::string& line) -> absl::Status {
      if (line.empty()) return absl::OkStatus();
      WEFT_ASSIGN_OR_RETURN(const StopReason reason, chat.Say(line));
      WEFT_RETURN_IF_ERROR(Finish(chat.stats(), reason));
      Say(absl::StrFormat("%-9s %5d tokens of the conversation", "kept",
                          chat.turn().kept));
      // It stopped the answer; the next one is for the program.
      if (reason == StopReason::kInterrupted) ForgetInterrupt();
      return absl::OkStatus();
    });
  }

 private:
  // Once: when a prompt is accepted, so that the error of one that is not
  // stands alone; whoever types prompts is told before the first.
  void TellLoaded() {
    if (load_seconds_) SayLoaded(*std::exchange(load_seconds_, std::nullopt));
  }

  absl::Status ForEachLine(
      absl::FunctionRef<absl::Status(const std::string&)> run) {
    if (StdinIsTerminal()) TellLoaded();
    LineReader reader;
    for (std::string line; !cancel_;) {
      if (StdinIsTerminal() && StderrIsTerminal()) std::fputs("> ", stderr);
      WEFT_ASSIGN_OR_RETURN(const bool more, reader.Next(line));
      if (!more) {
        // Whatever comes next on this terminal begins on a line of its own.
        if (StdinIsTerminal() && StderrIsTerminal()) Say("");
        break;
      }
      const absl::Status status = run(line);
      if (status.ok()) continue;
      // At a terminal one can try again.
      if (!StdinIsTerminal() || IsReaderGone(status)) return status;
      Say(absl::StrCat(ProgramName(), ": ", status.message()));
    }
    // An interrupt between two texts: lines may be left.
    if (cancel_ && last_reason_ != StopReason::kInterrupted &&
        !StdinIsTerminal())
      Say(absl::StrCat("stopped ", Describe(StopReason::kInterrupted)));
    return absl::OkStatus();
  }

  absl::Status RunLine(Generator& generator, const std::string& line) {
    WEFT_ASSIGN_OR_RETURN(const StopReason reason, line.empty()
                                                       ? generator.Continue()
                                                       : generator.Begin(line));
    return Finish(generator.stats(), reason);
  }

  TextModel& model_;
  std::optional<double> load_seconds_;  // until it is told
  SamplerOptions sampler_;
  const std::atomic<bool>& cancel_;
  bool separate_ = false;
  StopReason last_reason_ = StopReason::kEndOfText;  // of the last text
  std::unique_ptr<Progress> progress_;
};

absl::Status RunWith(const Arguments& args, SessionTextModel& model,
                     double load_seconds, SamplerOptions sampler,
                     const std::atomic<bool>& cancel) {
  Runner runner(model, load_seconds, std::move(sampler), cancel);
  if (absl::GetFlag(FLAGS_chat)) {
    // An answer ends where the model ends it.
    if (!args.Given("max_tokens")) absl::SetFlag(&FLAGS_max_tokens, 0);
    WEFT_ASSIGN_OR_RETURN(ChatTemplate chat_template,
                          OpenTemplate(model.model()));
    return runner.RunChat(std::move(chat_template));
  }
  return args.Given("prompt") ? runner.RunPrompt(absl::GetFlag(FLAGS_prompt))
                              : runner.RunLines();
}

absl::Status Run(const Arguments& args) {
  WEFT_RETURN_IF_ERROR(CheckFlags(args));
  // Here already, so that nobody waits for a model to be told.
  WEFT_ASSIGN_OR_RETURN(SamplerOptions sampler, SamplerFromFlags(args));
  WEFT_ASSIGN_OR_RETURN(std::optional<TapRecorder> taps,
                        TapRecorder::FromFlags());
  const bool embed = absl::GetFlag(FLAGS_embed);
  WEFT_ASSIGN_OR_RETURN(Opened opened,
                        OpenSession(embed, taps ? &*taps : nullptr));
  const double load_seconds = opened.seconds;
  if (embed) {
    const std::string prompt = absl::GetFlag(FLAGS_prompt);
    WEFT_RETURN_IF_ERROR(EmbedTexts(*opened.model, *opened.session,
                                    args.Given("prompt") ? &prompt : nullptr,
                                    CatchInterrupt()));
    SayLoaded(load_seconds);
    return taps ? taps->Write() : absl::OkStatus();
  }
  const std::unique_ptr<SessionTextModel> model =
      MakeTextModel(std::move(opened));
  // Not before: until a model is there nothing can be stopped but all of it,
  // and a cache of packed weights has no name before it is whole.
  WEFT_RETURN_IF_ERROR(RunWith(args, *model, load_seconds, std::move(sampler),
                               CatchInterrupt()));
  if (taps) WEFT_RETURN_IF_ERROR(taps->Write());
  return WriteTimes(*model);
}

}  // namespace
}  // namespace weft::inline v0

int main(int argc, char** argv) {
  return weft::RunProgram(weft::MakeProgram(), argc, argv, weft::Run);
}
