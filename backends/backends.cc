// The explicit list of backends.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backends/backend.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/reference/reference_backend.h"

namespace weft::inline v0 {
namespace {

struct Entry {
  absl::string_view name;
  absl::StatusOr<std::unique_ptr<Backend>> (*make)(const BackendOptions&);
};

constexpr Entry kBackends[] = {
    {"cpu", MakeCpuBackend},
    {"reference", MakeReferenceBackend},
};

}  // namespace

absl::Status Executable::SetProfile(Profile*) {
  return absl::UnimplementedError("this backend keeps no profile of its steps");
}

absl::Status Executable::SetObserver(StepObserver) {
  return absl::UnimplementedError("this backend lets nobody watch its steps");
}

absl::StatusOr<std::unique_ptr<Probe>> Backend::MakeProbe(int64_t) const {
  return absl::UnimplementedError(
      absl::StrCat("the backend ", name(), " has no probe of the machine"));
}

std::vector<std::string> BackendNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kBackends) names.emplace_back(entry.name);
  return names;
}

absl::StatusOr<std::unique_ptr<Backend>> MakeBackend(
    absl::string_view name, const BackendOptions& options) {
  for (const Entry& entry : kBackends)
    if (entry.name == name) return entry.make(options);
  return absl::NotFoundError(
      absl::StrCat("no backend is named ", name, "; there are ",
                   absl::StrJoin(BackendNames(), ", ")));
}

}  // namespace weft::inline v0
