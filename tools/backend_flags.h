// The flag --threads of programs that compute with one number of threads.
#ifndef WEFT_TOOLS_BACKEND_FLAGS_H_
#define WEFT_TOOLS_BACKEND_FLAGS_H_

#include "absl/flags/declare.h"
#include "backends/backend.h"

ABSL_DECLARE_FLAG(int32_t, threads);

namespace weft::inline v0 {

// --threads and --target.
BackendOptions BackendFromFlags();

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_BACKEND_FLAGS_H_
