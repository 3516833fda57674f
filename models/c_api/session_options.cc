#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/c_api/handles.h"

namespace weft::inline v0 {
namespace c_api {

std::optional<DType> DTypeNamed(absl::string_view name) {
  for (const DTypeInfo& info : AllDTypes())
    if (info.name == name) return info.type;
  return std::nullopt;
}

namespace {

absl::StatusOr<DType> ReadDType(const char* what, const char* name,
                                DType otherwise) {
  if (name == nullptr) return otherwise;
  if (const std::optional<DType> type = DTypeNamed(name)) return *type;
  return absl::InvalidArgumentError(absl::StrCat(
      what, " is \"", name, "\"; expected f32, f16, bf16, q8_0 or q4_0"));
}

}  // namespace

absl::StatusOr<SessionOptions> ReadSessionOptions(
    const weft_session_options* given, HostExecutor* executor) {
  WEFT_ASSIGN_OR_RETURN(const weft_session_options o,
                        Known(given, weft_session_options{}));
  SessionOptions out;
  out.context = o.context;
  if (o.batch != 0) out.batch = o.batch;
  if (o.logits_rows != 0) out.logits_rows = o.logits_rows;
  if (o.slots != 0) out.slots = o.slots;
  WEFT_ASSIGN_OR_RETURN(out.kv_k, ReadDType("kv_k", o.kv_k, out.kv_k));
  WEFT_ASSIGN_OR_RETURN(out.kv_v, ReadDType("kv_v", o.kv_v, out.kv_v));
  out.numerics = o.exact != 0 ? Numerics::kExact : Numerics::kFast;
  out.embeddings = o.embeddings != 0;
  out.pack_weights = o.pack_weights != 0;
  if (o.pack_cache != nullptr) out.pack_cache = o.pack_cache;
  if (o.backend != nullptr) out.backend = o.backend;
  BackendOptions& backend = out.backend_options;
  backend.threads = o.threads;
  if (o.target != nullptr) backend.target = o.target;
  backend.max_bytes = o.max_bytes;
  backend.memory = {o.allocate, o.release, o.memory_user};
  if (o.run != nullptr) backend.executor = executor;
  return out;
}

}  // namespace c_api
}  // namespace weft::inline v0
