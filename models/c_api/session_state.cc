#include "models/c_api/handles.h"

using weft::c_api::Call;
using weft::c_api::IsNull;

int64_t weft_session_position(const weft_session* session, int32_t slot) {
  return session == nullptr ? 0 : session->session->position(slot);
}

int64_t weft_session_truncate(weft_session* session, int32_t slot,
                              int64_t position) {
  return session == nullptr ? 0 : session->session->Truncate(slot, position);
}

weft_code weft_session_fork(weft_session* session, int32_t from, int32_t to,
                            weft_error* error) {
  return Call(error, [&] {
    return session == nullptr ? IsNull("the session")
                              : session->session->Fork(from, to);
  });
}

size_t weft_session_state_size(const weft_session* session, int32_t slot) {
  return session == nullptr
             ? 0
             : static_cast<size_t>(session->session->StateBytes(slot));
}

weft_code weft_session_save(const weft_session* session, int32_t slot,
                            void* bytes, size_t size, weft_error* error) {
  return Call(error, [&] {
    if (session == nullptr || bytes == nullptr)
      return IsNull("the session or the buffer");
    return session->session->SaveState(slot,
                                       {static_cast<std::byte*>(bytes), size});
  });
}

weft_code weft_session_restore(weft_session* session, int32_t slot,
                               const void* bytes, size_t size,
                               weft_error* error) {
  return Call(error, [&] {
    if (session == nullptr || bytes == nullptr)
      return IsNull("the session or the state");
    return session->session->RestoreState(
        slot, {static_cast<const std::byte*>(bytes), size});
  });
}
