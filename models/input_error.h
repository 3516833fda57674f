// The one form of error that readers of files give.
#ifndef WEFT_MODELS_INPUT_ERROR_H_
#define WEFT_MODELS_INPUT_ERROR_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {

// What is wrong with an input and where. `field` and `value` may quote bytes of
// the input only through QuoteInput.
struct InputError {
  absl::string_view id = {};  // stable name of the error site: "GGUF-H8"
  // Byte of the input; none where it has no such place (a key that is missing,
  // a model that is described out of another format).
  std::optional<uint64_t> at = 0;
  std::string field = {};     // what was read
  std::string value = {};     // what it is
  std::string expected = {};  // the rule it breaks
  std::string hint = {};      // optional: cause or cure
};

// "<source>: <id> at byte <at>: <field> is <value>; expected <expected>[;
// <hint>]"; without "at byte" where that is not known.
std::string FormatInputError(absl::string_view source, const InputError& error);

// The same as a status of `code`.
absl::Status MakeInputError(absl::StatusCode code, absl::string_view source,
                            const InputError& error);

// `bytes` in double quotes, fit for any terminal and log: what is no printable
// ASCII is escaped as in C, and what passes 128 bytes is cut ("...").
std::string QuoteInput(absl::string_view bytes);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_INPUT_ERROR_H_
