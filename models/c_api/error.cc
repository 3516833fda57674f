#include "models/c_api/handles.h"

namespace weft::inline v0 {
namespace c_api {

weft_code End(const absl::Status& status, weft_error* error) noexcept {
  const auto code = static_cast<weft_code>(status.code());
  if (error == nullptr) return code;
  error->code = code;
  // Without memory a status has no text.
  absl::string_view text = status.message();
  if (text.empty() && status.code() == absl::StatusCode::kResourceExhausted)
    text = "out of memory";
  const size_t n = std::min(text.size(), sizeof(error->message) - 1);
  if (n > 0) std::memcpy(error->message, text.data(), n);
  error->message[n] = '\0';
  return code;
}

absl::Status Give(absl::string_view text, char* to, size_t capacity,
                  size_t* size) {
  if (size == nullptr) return IsNull("where the size goes");
  if (to == nullptr && capacity > 0) return IsNull("the buffer");
  const size_t n = std::min(text.size(), capacity);
  if (n > 0) std::memcpy(to, text.data(), n);
  if (n < capacity) to[n] = '\0';
  *size = text.size();
  return absl::OkStatus();
}

}  // namespace c_api
}  // namespace weft::inline v0

uint32_t weft_abi_version(void) { return WEFT_ABI_VERSION; }

const char* weft_version(void) { return WEFT_VERSION; }

const char* weft_code_name(weft_code code) {
  switch (code) {
    case WEFT_OK:
      return "OK";
    case WEFT_CANCELLED:
      return "CANCELLED";
    case WEFT_INVALID_ARGUMENT:
      return "INVALID_ARGUMENT";
    case WEFT_NOT_FOUND:
      return "NOT_FOUND";
    case WEFT_ALREADY_EXISTS:
      return "ALREADY_EXISTS";
    case WEFT_PERMISSION_DENIED:
      return "PERMISSION_DENIED";
    case WEFT_RESOURCE_EXHAUSTED:
      return "RESOURCE_EXHAUSTED";
    case WEFT_FAILED_PRECONDITION:
      return "FAILED_PRECONDITION";
    case WEFT_OUT_OF_RANGE:
      return "OUT_OF_RANGE";
    case WEFT_UNIMPLEMENTED:
      return "UNIMPLEMENTED";
    case WEFT_INTERNAL:
      return "INTERNAL";
    case WEFT_DATA_LOSS:
      return "DATA_LOSS";
    default:
      return "UNKNOWN";
  }
}
