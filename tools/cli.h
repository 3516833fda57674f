// What the command-line programs share: their flags, help, errors and exit
// codes. Results go to standard output and everything else to standard error;
// a program ends with 0, or with 1 and one message "<program>: <what>".
#ifndef WEFT_TOOLS_CLI_H_
#define WEFT_TOOLS_CLI_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weft::inline v0 {

struct FlagGroup {
  absl::string_view title;
  std::vector<absl::string_view> flags;  // names of ABSL_FLAGs
};

struct Program {
  absl::string_view name;   // "weft-run"
  absl::string_view usage;  // what --help says above the flags
  // The flags that the program takes, in the order of --help. An ABSL_FLAG that
  // is not listed is unknown, whatever library defines it.
  std::vector<FlagGroup> groups;
  // Flags that may stand without a value, and the value that they have then.
  std::vector<std::pair<absl::string_view, absl::string_view>> bare = {};
  // Whether it takes anything but flags.
  bool takes_words = false;
};

struct Arguments {
  std::vector<std::string> words;          // what is no flag, in order
  absl::flat_hash_set<std::string> given;  // names of the flags given
  bool help = false;  // --help or -h; nothing else was looked at

  bool Given(absl::string_view flag) const { return given.contains(flag); }
};

// Sets the flags in `args`, the command line after the program's name: --f=x,
// --f x, and for booleans --f and --nof. A flag that is a list of strings goes
// on when it is given again. "--" ends the flags. InvalidArgument
// for flags that do not exist, bad values, and words where none are taken.
absl::StatusOr<Arguments> ParseArguments(const Program& program,
                                         absl::Span<char* const> args);

// The usage, then every flag with its default, in 80 columns.
std::string HelpText(const Program& program);

// The body of main(): parses, answers --help, calls `run`, reports its error.
// A gone reader of standard output (see terminal.h) is no error.
int RunProgram(const Program& program, int argc, char** argv,
               absl::Status (*run)(const Arguments& args));

}  // namespace weft::inline v0

#endif  // WEFT_TOOLS_CLI_H_
