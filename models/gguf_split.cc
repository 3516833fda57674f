#include "models/gguf_split.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "graph/status_macros.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr char kCount[] = "split.count";
constexpr char kNumber[] = "split.no";
constexpr char kTensors[] = "split.tensors.count";
// Names have five digits, the metadata 16 bits.
constexpr int64_t kMaxParts = 65535;

// "-00002-of-00003.gguf", the number from 1.
std::string Ending(int64_t number, int64_t count) {
  return absl::StrCat("-", absl::Dec(number, absl::kZeroPad5), "-of-",
                      absl::Dec(count, absl::kZeroPad5), ".gguf");
}

// What a path says: "PREFIX-00002-of-00003.gguf".
struct PartName {
  std::string prefix;
  int64_t number = 0, count = 0;
};
std::optional<PartName> ParseName(const std::string& path) {
  const size_t size = Ending(1, 1).size();
  if (path.size() <= size) return std::nullopt;
  const std::string ending = path.substr(path.size() - size);
  PartName name;
  name.prefix = path.substr(0, path.size() - size);
  if (!absl::SimpleAtoi(ending.substr(1, 5), &name.number) ||
      !absl::SimpleAtoi(ending.substr(10, 5), &name.count) ||
      ending != Ending(name.number, name.count))
    return std::nullopt;
  return name;
}

// An error about a key of the metadata, or about something else that is at no
// byte of the file.
absl::Status Invalid(const GgufFile& file, absl::string_view id,
                     absl::string_view what, const std::string& found,
                     const std::string& expected) {
  return MakeInputError(absl::StatusCode::kInvalidArgument, file.source(),
                        {.id = id,
                         .at = file.OffsetOf(what),
                         .field = std::string(what),
                         .value = found,
                         .expected = expected});
}

// An integer that has to be `want`.
absl::Status CheckNumber(const GgufFile& file, absl::string_view id,
                         absl::string_view key, int64_t want,
                         absl::string_view why) {
  if (!file.Has(key))
    return Invalid(file, id, key, "missing", absl::StrCat(want, why));
  WEFT_ASSIGN_OR_RETURN(const int64_t value, file.GetInt64(key));
  if (value == want) return absl::OkStatus();
  return Invalid(file, id, key, absl::StrCat(value), absl::StrCat(want, why));
}

// The number of parts; 1 where there are no others.
absl::StatusOr<int64_t> CountParts(const GgufFile& file,
                                   const std::string& path) {
  if (!file.Has(kCount)) return 1;
  WEFT_ASSIGN_OR_RETURN(const int64_t count, file.GetInt64(kCount));
  if (count < 0 || count > kMaxParts)
    return Invalid(file, "SPLIT-1", kCount, absl::StrCat(count),
                   absl::StrCat("a number up to ", kMaxParts));
  const std::optional<PartName> name = ParseName(path);
  if (name.has_value() && name->count != count)
    return Invalid(file, "SPLIT-1", kCount, absl::StrCat(count),
                   absl::StrCat(name->count, ", as the file's name says"));
  if (count > 1 && !name.has_value())
    return Invalid(file, "SPLIT-1", "the name of a part of a split model",
                   QuoteInput(path.substr(path.find_last_of('/') + 1)),
                   absl::StrCat("an end such as ", Ending(1, count),
                                ", by which the other parts are found"));
  return std::max<int64_t>(count, 1);
}

absl::StatusOr<GgufFile> OpenPart(const std::string& path,
                                  const GgufOptions& options) {
  absl::StatusOr<GgufFile> part = GgufFile::Open(path, options);
  if (absl::IsNotFound(part.status()))
    return MakeInputError(absl::StatusCode::kNotFound, path,
                          {.id = "SPLIT-2",
                           .at = std::nullopt,
                           .field = "the part",
                           .value = "missing",
                           .expected = "all parts of the model in one folder"});
  return part;
}

// Parts that follow the first usually say nothing about the model; where they
// do, it has to be the same.
absl::Status CheckSameModel(const GgufFile& first, const GgufFile& part) {
  for (const char* key : {"general.architecture", "general.name"}) {
    if (!part.Has(key) || !first.Has(key)) continue;
    WEFT_ASSIGN_OR_RETURN(const absl::string_view want, first.GetString(key));
    WEFT_ASSIGN_OR_RETURN(const absl::string_view found, part.GetString(key));
    if (want != found)
      return Invalid(part, "SPLIT-7", key, QuoteInput(found),
                     absl::StrCat(QuoteInput(want), " as in ", first.source(),
                                  "; this is a part of another model"));
  }
  return absl::OkStatus();
}

absl::Status CheckParts(const std::vector<GgufFile>& parts) {
  const GgufFile& first = parts.front();
  const auto count = static_cast<int64_t>(parts.size());
  if (!first.Has(kTensors))
    return Invalid(first, "SPLIT-4", kTensors, "missing",
                   "the number of tensors of all parts");
  WEFT_ASSIGN_OR_RETURN(const int64_t want, first.GetInt64(kTensors));
  int64_t found = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const GgufFile& part = parts[i];
    WEFT_RETURN_IF_ERROR(
        CheckNumber(part, "SPLIT-3", kNumber, static_cast<int64_t>(i),
                    absl::StrCat(" in part ", i + 1, " of ", count)));
    const std::string like = absl::StrCat(" as in ", first.source());
    WEFT_RETURN_IF_ERROR(CheckNumber(part, "SPLIT-4", kCount, count, like));
    WEFT_RETURN_IF_ERROR(CheckNumber(part, "SPLIT-4", kTensors, want, like));
    WEFT_RETURN_IF_ERROR(CheckSameModel(first, part));
    found += static_cast<int64_t>(part.tensors().size());
  }
  if (found == want) return absl::OkStatus();
  return Invalid(first, "SPLIT-6", kTensors, absl::StrCat(want),
                 absl::StrCat(found, ", which is what its ", count,
                              " parts have together"));
}

}  // namespace

int64_t CountPartsByName(const std::string& path) {
  const std::optional<PartName> name = ParseName(path);
  return name ? std::max<int64_t>(name->count, 1) : 1;
}

absl::StatusOr<GgufFile> OpenOtherParts(GgufFile file, const std::string& path,
                                        const GgufOptions& options) {
  WEFT_ASSIGN_OR_RETURN(const int64_t count, CountParts(file, path));
  if (count == 1) return file;
  const PartName name = *ParseName(path);  // CountParts has seen to it
  if (name.number < 1 || name.number > count)
    return Invalid(file, "SPLIT-1", "the number in the file's name",
                   absl::StrCat(name.number), absl::StrCat("1 to ", count));
  std::vector<GgufFile> parts;
  for (int64_t i = 1; i <= count; ++i) {
    if (i == name.number) {
      parts.push_back(std::move(file));
      continue;
    }
    const std::string other = absl::StrCat(name.prefix, Ending(i, count));
    WEFT_ASSIGN_OR_RETURN(GgufFile part, OpenPart(other, options));
    parts.push_back(std::move(part));
  }
  WEFT_RETURN_IF_ERROR(CheckParts(parts));
  return GgufFile::Join(std::move(parts));
}

}  // namespace weft::inline v0
