#include "tools/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <new>

#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "graph/status_macros.h"
#include "tools/terminal.h"
#include "tools/text_table.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kTextColumn = 26;  // where the descriptions of flags begin

absl::CommandLineFlag* FindFlag(const Program& program,
                                absl::string_view name) {
  for (const FlagGroup& group : program.groups)
    for (const absl::string_view flag : group.flags)
      if (flag == name) return absl::FindCommandLineFlag(name);
  return nullptr;
}

// One flag of the command line, as written.
struct Written {
  absl::string_view name;
  absl::string_view value;
  bool has_value = false;
};

Written Split(absl::string_view arg) {
  absl::ConsumePrefix(&arg, "-");
  absl::ConsumePrefix(&arg, "-");
  const size_t equals = arg.find('=');
  if (equals == arg.npos) return {arg, "", false};
  return {arg.substr(0, equals), arg.substr(equals + 1), true};
}

// The value that a flag has when the command line gives none, if it may.
bool BareValue(const Program& program, const absl::CommandLineFlag& flag,
               Written& written) {
  for (const auto& [name, value] : program.bare)
    if (name == flag.Name()) written = {name, value, true};
  if (!written.has_value && flag.IsOfType<bool>())
    written = {flag.Name(), "true", true};
  return written.has_value;
}

class ArgumentParser {
 public:
  ArgumentParser(const Program& program, absl::Span<char* const> args)
      : program_(program), args_(args) {}

  absl::StatusOr<Arguments> Parse() {
    for (; next_ < args_.size(); ++next_) {
      const absl::string_view arg = args_[next_];
      if (arg == "--") return TakeRest();
      if (arg.size() < 2 || arg[0] != '-') {
        WEFT_RETURN_IF_ERROR(TakeWord(arg));
        continue;
      }
      const Written written = Split(arg);
      if (written.name == "help" || arg == "-h") {
        result_.help = true;
        return std::move(result_);
      }
      WEFT_RETURN_IF_ERROR(TakeFlag(written));
    }
    return std::move(result_);
  }

 private:
  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(what, "; see ", program_.name, " --help"));
  }

  absl::Status TakeWord(absl::string_view word) {
    if (!program_.takes_words)
      return Error(absl::StrCat("there is no use for \"", word,
                                "\": flags only, as --name=value"));
    result_.words.emplace_back(word);
    return absl::OkStatus();
  }

  absl::StatusOr<Arguments> TakeRest() {
    for (++next_; next_ < args_.size(); ++next_)
      WEFT_RETURN_IF_ERROR(TakeWord(args_[next_]));
    return std::move(result_);
  }

  absl::Status TakeFlag(Written written) {
    absl::CommandLineFlag* flag = FindFlag(program_, written.name);
    absl::string_view name = written.name;
    if (flag == nullptr && !written.has_value &&
        absl::ConsumePrefix(&name, "no")) {
      flag = FindFlag(program_, name);
      if (flag != nullptr && !flag->IsOfType<bool>()) flag = nullptr;
      written = {name, "false", true};
    }
    if (flag == nullptr)
      return Error(absl::StrCat("unknown flag ", args_[next_]));
    if (!written.has_value && !BareValue(program_, *flag, written)) {
      if (next_ + 1 == args_.size() || absl::StartsWith(args_[next_ + 1], "--"))
        return Error(absl::StrCat("--", name, " needs a value"));
      written.value = args_[++next_];
    }
    // A list goes on where the flag is given again.
    std::string list;
    if (flag->IsOfType<std::vector<std::string>>() &&
        result_.Given(flag->Name())) {
      list = absl::StrCat(flag->CurrentValue(), ",", written.value);
      written.value = list;
    }
    std::string why;
    if (!flag->ParseFrom(written.value, &why))
      return Error(absl::StripTrailingAsciiWhitespace(why));
    result_.given.emplace(flag->Name());
    return absl::OkStatus();
  }

  const Program& program_;
  absl::Span<char* const> args_;
  size_t next_ = 0;
  Arguments result_;
};

void AppendFlag(const absl::CommandLineFlag& flag, std::string& out) {
  std::string left = absl::StrCat("  --", flag.Name());
  const std::string value = flag.DefaultValue();
  if (!flag.IsOfType<bool>() || value == "true")
    absl::StrAppend(&left, "=", value.empty() ? "..." : value);
  absl::StrAppend(&out, left);
  if (left.size() + 2 > kTextColumn)
    absl::StrAppend(&out, "\n", std::string(kTextColumn, ' '));
  else
    out.append(kTextColumn - left.size(), ' ');
  AppendWrapped(flag.Help(), kTextColumn, out);
}

// A program started with a closed standard stream would get its number for the
// first file that it opens, and then write messages into that file. What is
// written here fails, as it does on the closed stream.
void ReserveStandardStreams() {
  int fd;
  do {
    fd = open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

int Report(const absl::Status& status) {
  if (status.ok() || IsReaderGone(status)) return 0;
  Say(absl::StrCat(ProgramName(), ": ",
                   status.message().empty()
                       ? absl::StatusCodeToString(status.code())
                       : std::string(status.message())));
  return 1;
}

absl::Status ParseAndRun(const Program& program, absl::Span<char* const> args,
                         absl::Status (*run)(const Arguments& args)) {
  WEFT_ASSIGN_OR_RETURN(const Arguments arguments,
                        ParseArguments(program, args));
  return arguments.help ? Print(HelpText(program)) : run(arguments);
}

}  // namespace

absl::StatusOr<Arguments> ParseArguments(const Program& program,
                                         absl::Span<char* const> args) {
  return ArgumentParser(program, args).Parse();
}

std::string HelpText(const Program& program) {
  std::string out(program.usage);
  for (const FlagGroup& group : program.groups) {
    absl::StrAppend(&out, "\n", group.title, "\n");
    for (const absl::string_view name : group.flags)
      if (const auto* flag = absl::FindCommandLineFlag(name))
        AppendFlag(*flag, out);
  }
  return out;
}

int RunProgram(const Program& program, int argc, char** argv,
               absl::Status (*run)(const Arguments& args)) {
  SetProgramName(program.name);
  ReserveStandardStreams();
  // A gone reader and a file size limit are errors of write() instead.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  const auto args = absl::MakeConstSpan(argv, static_cast<size_t>(argc));
  try {
    return Report(ParseAndRun(program, args.subspan(argc > 0 ? 1 : 0), run));
  } catch (const std::bad_alloc&) {
    return Report(absl::ResourceExhaustedError("out of memory"));
  }
}

}  // namespace weft::inline v0
