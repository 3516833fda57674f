#include "tools/tap_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "graph/status_macros.h"
#include "tools/terminal.h"

ABSL_FLAG(std::string, tap, "",
          "values to observe, by patterns of their names as in "
          "\"blk.0.*,layer.?\"; a pattern that fits nothing lists names");
ABSL_FLAG(std::string, tap_out, "",
          "a file for those values, which numpy.load reads (.npz)");

namespace weft::inline v0 {
namespace {

// Whether steps can follow each other in one array.
bool IsByToken(const Shape& shape) {
  if (shape.rank() == 0 || !shape.dim(0).is_symbol()) return false;
  return std::none_of(shape.begin() + 1, shape.end(),
                      [](const Dim& dim) { return dim.is_symbol(); });
}

}  // namespace

absl::StatusOr<std::optional<TapRecorder>> TapRecorder::FromFlags() {
  const std::string path = absl::GetFlag(FLAGS_tap_out);
  if (absl::GetFlag(FLAGS_tap).empty() != path.empty())
    return absl::InvalidArgumentError(
        "--tap=NAMES says what to observe and --tap_out=FILE where to; give "
        "both");
  if (path.empty()) return std::nullopt;
  WEFT_ASSIGN_OR_RETURN(NpzWriter file, NpzWriter::Create(path));
  return TapRecorder(std::move(file));
}

std::vector<std::string> TapRecorder::Globs() {
  return absl::StrSplit(absl::GetFlag(FLAGS_tap), ',', absl::SkipEmpty());
}

void TapRecorder::Attach(Session& session) {
  for (const Tap& tap : session.taps())
    columns_[tap.name].joined =
        IsByToken(session.graph().value(tap.value).type.shape);
  if (!session.tap_costs().empty())
    Say(absl::StrCat("the taps cost fusions:\n", session.tap_costs()));
  session.SetTapSink([this](absl::string_view name, HostTensor value) {
    return Add(name, std::move(value));
  });
}

absl::Status TapRecorder::Add(absl::string_view name, HostTensor value) {
  // A moment before NpzWriter would say the same.
  constexpr uint64_t kMost = uint64_t{4} << 30;
  bytes_ += value.bytes.size();
  if (bytes_ > kMost)
    return absl::ResourceExhaustedError(
        "the tapped values are more than the 4 GiB that --tap_out can hold; "
        "tap fewer values or tokens");
  Column& column = columns_.find(name)->second;
  if (!column.joined) {
    column.steps.push_back(std::move(value));
  } else if (column.all.bytes.empty()) {
    column.all = std::move(value);
  } else {
    column.all.dims[0] += value.dims[0];
    column.all.bytes.insert(column.all.bytes.end(), value.bytes.begin(),
                            value.bytes.end());
  }
  return absl::OkStatus();
}

absl::Status TapRecorder::Write() {
  for (const auto& [name, column] : columns_) {
    if (!column.all.bytes.empty())
      WEFT_RETURN_IF_ERROR(file_.Add(name, column.all));
    for (size_t i = 0; i < column.steps.size(); ++i)
      WEFT_RETURN_IF_ERROR(
          file_.Add(absl::StrCat(name, "@", i), column.steps[i]));
  }
  return file_.Finish();
}

}  // namespace weft::inline v0
