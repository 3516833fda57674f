// Texts as vectors, one line of output for each: weft-run --embed.
#ifndef WEFT_TOOLS_EMBED_TEXTS_H_
#define WEFT_TOOLS_EMBED_TEXTS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/engine.h"
#include "tools/cli.h"

namespace weft::inline v0 {

// For --help.
FlagGroup EmbedFlagGroup();
// InvalidArgument for flags of --embed that are given without it, or that have
// another value than they may.
absl::Status CheckEmbedFlags(const Arguments& args, bool embed);

// Embeds the prompt if there is one, else every line of standard input that is
// not empty, and prints a line for each to standard output. `session` is made
// of `model` with SessionOptions::embeddings. Stops between two texts once
// `cancel` is set.
absl::Status EmbedTexts(const Model& model, Session& session,
                        const std::string* prompt,
                        const std::atomic<bool>& cancel);

// The line of a text: the vector's numbers with a space between them, or a JSON
// object {"index", "tokens", "embedding"}. Numbers read back as they are.
std::string FormatEmbedding(int64_t index, size_t tokens,
                            const std::vector<float>& vector, bool json);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_EMBED_TEXTS_H_
