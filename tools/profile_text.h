// Tables of profiles, for weft-bench and graph-dump.
#ifndef WEFT_TOOLS_PROFILE_TEXT_H_
#define WEFT_TOOLS_PROFILE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "tools/profile_summary.h"
#include "tools/roofline.h"

namespace weft::inline v0 {

std::string ThreadsText(int threads);  // "1 thread"

// A part of a limit in percent, or "-" where limits are not known.
std::string PartOfLimit(double share, const Limits& limits);

// "Profile of decode, 2 threads: 320 runs of 15.5 ms each".
std::string ProfileTitle(absl::string_view test, const ProfileSummary& profile);

// Times and work of one run of the plan.
std::string KernelTable(const ProfileSummary& profile, const Limits& limits);
std::string LayerTable(const ProfileSummary& profile, const Limits& limits);
std::string NodeTable(const ProfileSummary& profile, const Limits& limits);

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_PROFILE_TEXT_H_
