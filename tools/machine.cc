#include "tools/machine.h"

#include <sys/utsname.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace weft::inline v0 {
namespace {

// The first value of a "key : value" line of a file in /proc, "" when there is
// none.
std::string ProcValue(const char* path, absl::string_view key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::StripAsciiWhitespace(parts.first) == key)
      return std::string(absl::StripAsciiWhitespace(parts.second));
  }
  return "";
}

std::string Cpu() {
  constexpr char kFile[] = "/proc/cpuinfo";
  if (std::string name = ProcValue(kFile, "model name"); !name.empty())
    return name;
  // Arm's kernels give numbers only.
  const std::string part = ProcValue(kFile, "CPU part");
  if (part.empty()) return "unknown";
  return absl::StrCat("implementer ", ProcValue(kFile, "CPU implementer"),
                      ", part ", part);
}

int64_t AvailableMemory() {
  const std::string text = ProcValue("/proc/meminfo", "MemAvailable");
  int64_t kib = 0;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(' ', 1));
  const int64_t free = absl::SimpleAtoi(parts.first, &kib) ? kib * 1024 : 0;
  // What a container may have; "max" where there is no limit.
  std::string limit;
  std::ifstream("/sys/fs/cgroup/memory.max") >> limit;
  int64_t allowed = 0;
  return absl::SimpleAtoi(limit, &allowed) ? std::min(free, allowed) : free;
}

std::string System() {
  utsname names;
  if (uname(&names) != 0) return "unknown";
  return absl::StrCat(names.sysname, " ", names.release, " ", names.machine);
}

}  // namespace

Machine DescribeMachine() {
  Machine machine;
  machine.cpu = Cpu();
  machine.cores = static_cast<int>(std::thread::hardware_concurrency());
  machine.memory = AvailableMemory();
  machine.system = System();
#if defined(__clang__)
  machine.compiler = __VERSION__;  // "Clang 19.1.0 ..."
#else
  machine.compiler = absl::StrCat("g++ ", __VERSION__);
#endif
  return machine;
}

bool HasRoomFor(int64_t bytes) {
  return AvailableMemory() >= bytes + bytes / 4;
}

}  // namespace weft::inline v0
