// Grammars, schemas and texts made of the input: nothing may crash, loop or
// take more than its budget.
#include <cstdint>
#include <memory>

#include "absl/strings/string_view.h"
#include "models/grammar/grammar.h"
#include "models/grammar/json_schema.h"
#include "models/grammar/states.h"

namespace weft {
namespace {

// The input itself as the text: as far as it goes.
void TryText(std::shared_ptr<const Grammar> grammar, absl::string_view text) {
  GrammarStates states(std::move(grammar));
  GrammarStates::Id at = states.start();
  for (size_t i = 0; i < text.size() && at != GrammarStates::kDead; ++i) {
    at = states.Next(at, static_cast<uint8_t>(text[i]));
    if (i % 64 == 63) at = states.Forget(at);
  }
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  // A grammar, a zero byte, a text.
  const size_t end = bytes.find('\0');
  const absl::string_view text =
      end == bytes.npos ? bytes : bytes.substr(end + 1);
  if (auto grammar = weft::Grammar::Parse(bytes.substr(0, end)); grammar.ok())
    weft::TryText(*std::move(grammar), text);
  if (auto grammar = weft::ParseJsonSchema(bytes.substr(0, end)); grammar.ok())
    weft::TryText(*std::move(grammar), text);
  return 0;
}
