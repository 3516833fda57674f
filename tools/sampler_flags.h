// The flags of sampling, and the options that they make.
#ifndef WEFT_TOOLS_SAMPLER_FLAGS_H_
#define WEFT_TOOLS_SAMPLER_FLAGS_H_

#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/sampler_options.h"
#include "tools/cli.h"

ABSL_DECLARE_FLAG(double, temperature);

namespace weft::inline v0 {

// For --help.
std::vector<FlagGroup> SamplerFlagGroups();

// InvalidArgument for what CheckSamplerOptions refuses, for a flag that has no
// place in --samplers, and for a grammar or schema that is none, with the name
// of its file; errors of ReadTextFile.
absl::StatusOr<SamplerOptions> SamplerFromFlags(const Arguments& args);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_SAMPLER_FLAGS_H_
