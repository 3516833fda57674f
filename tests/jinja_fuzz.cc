// Templates and JSON made of the input: nothing may crash, loop or take more
// than its budget.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "models/chat_template.h"
#include "models/jinja/interpreter.h"
#include "models/jinja/json.h"
#include "models/jinja/parser.h"

namespace weft {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

void TryTemplate(absl::string_view source) {
  const auto root = jinja::Parse(source);
  if (!root.ok()) return;
  const auto messages = jinja::ParseJson(
      R"([{"role": "user", "content": "a b"}, {"role": "x", "n": [1, 2.5]}])");
  // Small, so that a run takes a moment only.
  const jinja::Limits limits = {.steps = 20'000, .bytes = 1 << 16};
  jinja::Interpreter interpreter(limits, 0);
  interpreter.Set("messages", *messages);
  const auto text = interpreter.Run(**root);
  Check(!text.ok() || static_cast<int64_t>(text->size()) <= limits.bytes);
}

void TryJson(absl::string_view text) {
  const auto value = jinja::ParseJson(text);
  if (!value.ok()) return;
  const auto written = jinja::ToJson(*value, {});
  Check(written.ok());
  const auto again = jinja::ParseJson(*written);
  Check(again.ok() && jinja::ToJson(*again, {}).value() == *written);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  weft::TryTemplate(bytes);
  weft::TryJson(bytes);
  return 0;
}
