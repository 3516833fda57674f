#include "tools/backend_flags.h"

#include "absl/flags/flag.h"
#include "tools/model_flags.h"

ABSL_FLAG(int32_t, threads, 0, "threads that compute; 0: one per core");

namespace weft::inline v0 {

BackendOptions BackendFromFlags() {
  BackendOptions options;
  options.threads = absl::GetFlag(FLAGS_threads);
  options.target = absl::GetFlag(FLAGS_target);
  return options;
}

}  // namespace weft::inline v0
