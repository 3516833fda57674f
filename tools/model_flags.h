// Flags that several programs take, and what is made from them.
#ifndef WEFT_TOOLS_MODEL_FLAGS_H_
#define WEFT_TOOLS_MODEL_FLAGS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/engine.h"

ABSL_DECLARE_FLAG(std::string, model);
ABSL_DECLARE_FLAG(std::string, target);
ABSL_DECLARE_FLAG(std::string, numerics);
ABSL_DECLARE_FLAG(std::string, pack);
ABSL_DECLARE_FLAG(std::string, pack_cache);
ABSL_DECLARE_FLAG(std::vector<std::string>, lora);

namespace weft::inline v0 {

// --model, or weft's own; InvalidArgument when there is neither.
absl::StatusOr<std::string> ModelPath();

// --lora: each FILE or FILE:SCALE.
std::vector<AdapterOptions> AdaptersFromFlags();

// Opens --model and --lora with progress on a terminal, and shows its warnings.
absl::StatusOr<std::shared_ptr<const Model>> LoadModel();

// The first few as "<program>: warning: ..." and how many more there are.
void ShowWarnings(absl::Span<const std::string> warnings);

// --numerics.
absl::StatusOr<Numerics> NumericsFromFlags();

// --pack; InvalidArgument for what it cannot be.
enum class PackWhen { kNever, kAlways, kIfThereIsRoom };
absl::StatusOr<PackWhen> PackFromFlags();

// LoadModel() for one kind of session: sets what --pack and --pack_cache mean
// for it, and leaves it to packing to read the file, where there is any.
absl::StatusOr<std::shared_ptr<const Model>> LoadModelFor(
    SessionOptions& options);

// What --kv means: a dtype that a KV cache can have, or two as "K,V".
struct KvTypes {
  DType k, v;
};
absl::StatusOr<KvTypes> ParseKv(absl::string_view text);

// InvalidArgument naming the flag unless `low` <= `value` <= `high`.
absl::Status CheckFlag(absl::string_view flag, int64_t value, int64_t low,
                       int64_t high);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_MODEL_FLAGS_H_
