#include "tools/embed_texts.h"

#include <cmath>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "graph/status_macros.h"
#include "models/input_error.h"
#include "tools/read_file.h"
#include "tools/stopwatch.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, pooling, "model",
          "--embed: how tokens become one vector: mean, cls (the first), last, "
          "or as the model says");
ABSL_FLAG(bool, normalize, true, "--embed: vectors of length 1");
ABSL_FLAG(std::string, embed_format, "text",
          "--embed: text (numbers) or json (an object a line)");

namespace weft::inline v0 {
namespace {

constexpr std::pair<absl::string_view, Pooling> kPoolings[] = {
    {"model", Pooling::kModel},
    {"mean", Pooling::kMean},
    {"cls", Pooling::kFirst},
    {"last", Pooling::kLast},
};

absl::StatusOr<Pooling> PoolingFromFlags() {
  const std::string text = absl::GetFlag(FLAGS_pooling);
  for (const auto& [name, pooling] : kPoolings)
    if (name == text) return pooling;
  return absl::InvalidArgumentError(
      absl::StrCat("--pooling is ", QuoteInput(text),
                   "; expected model, mean, cls or last"));
}

// JSON has no infinities; nine digits tell all f32 apart.
std::string Number(float x, bool json) {
  return json && !std::isfinite(x) ? "null" : absl::StrFormat("%.9g", x);
}

}  // namespace

FlagGroup EmbedFlagGroup() {
  return {"Embeddings", {"embed", "pooling", "normalize", "embed_format"}};
}

absl::Status CheckEmbedFlags(const Arguments& args, bool embed) {
  for (const char* flag : {"pooling", "normalize", "embed_format"})
    if (!embed && args.Given(flag))
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " goes with --embed"));
  WEFT_RETURN_IF_ERROR(PoolingFromFlags().status());
  const std::string format = absl::GetFlag(FLAGS_embed_format);
  if (format == "text" || format == "json") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--embed_format is ", QuoteInput(format), "; expected text or json"));
}

absl::Status EmbedTexts(const Model& model, Session& session,
                        const std::string* prompt,
                        const std::atomic<bool>& cancel) {
  EmbedOptions options;
  WEFT_ASSIGN_OR_RETURN(options.pooling, PoolingFromFlags());
  options.normalize = absl::GetFlag(FLAGS_normalize);
  options.cancel = &cancel;
  const bool json = absl::GetFlag(FLAGS_embed_format) == "json";
  int64_t texts = 0, tokens = 0;
  double seconds = 0;
  const auto embed = [&](const std::string& text) -> absl::Status {
    WEFT_ASSIGN_OR_RETURN(
        const std::vector<Token> ids,
        model.tokenizer().Encode(text, {.add_special = true}));
    const int64_t context = session.options().context;
    if (static_cast<int64_t>(ids.size()) > context)
      return absl::InvalidArgumentError(absl::StrCat(
          "text ", texts, " has ", ids.size(), " tokens, the context ", context,
          " positions: use a larger --context or a shorter text"));
    const Stopwatch time;
    const absl::StatusOr<std::vector<float>> vector =
        session.Embed(ids, options);
    if (absl::IsCancelled(vector.status())) return absl::OkStatus();  // the end
    WEFT_RETURN_IF_ERROR(vector.status());
    seconds += time.Seconds();
    tokens += static_cast<int64_t>(ids.size());
    return Print(absl::StrCat(
        FormatEmbedding(texts++, ids.size(), *vector, json), "\n"));
  };
  if (prompt != nullptr) {
    WEFT_RETURN_IF_ERROR(embed(*prompt));
  } else {
    LineReader reader;
    for (std::string line; !cancel;) {
      WEFT_ASSIGN_OR_RETURN(const bool more, reader.Next(line));
      if (!more) break;
      if (!line.empty()) WEFT_RETURN_IF_ERROR(embed(line));
    }
  }
  Say(absl::StrFormat("embedded  %5d texts, %d tokens %9.1f tokens/s", texts,
                      tokens,
                      seconds > 0 ? static_cast<double>(tokens) / seconds : 0));
  return absl::OkStatus();
}

std::string FormatEmbedding(int64_t index, size_t tokens,
                            const std::vector<float>& vector, bool json) {
  const auto number = [json](std::string* out, float x) {
    absl::StrAppend(out, Number(x, json));
  };
  if (!json) return absl::StrJoin(vector, " ", number);
  return absl::StrCat("{\"index\":", index, ",\"tokens\":", tokens,
                      ",\"embedding\":[", absl::StrJoin(vector, ",", number),
                      "]}");
}

}  // namespace weft::inline v0
