#include "models/grammar/schema_json.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "graph/hash.h"
#include "models/grammar/grammar.h"
#include "models/input_error.h"

namespace weft::inline v0 {
namespace {

constexpr size_t kMaxNesting = 200, kMaxValues = 50'000;
// nlohmann's ordered objects are searched from front to back.
constexpr size_t kMaxMembers = 4096;

// Reads without keeping anything, to find what must not be read.
class Checker : public nlohmann::json_sax<nlohmann::json> {
 public:
  const absl::Status& status() const { return status_; }

  bool null() override { return Count(); }
  bool boolean(bool) override { return Count(); }
  bool number_integer(number_integer_t) override { return Count(); }
  bool number_unsigned(number_unsigned_t) override { return Count(); }
  bool number_float(number_float_t, const string_t&) override {
    return Count();
  }
  bool string(string_t&) override { return Count(); }
  bool binary(binary_t&) override { return Count(); }
  bool start_object(size_t) override { return Open(); }
  bool start_array(size_t) override { return Open(); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }

  bool key(string_t& name) override {
    auto& names = open_.back();
    if (!names.insert(name).second) {
      status_ = SchemaError(absl::StatusCode::kInvalidArgument, "SCHEMA-1", "#",
                            absl::StrCat("the member ", QuoteInput(name),
                                         " stands twice in one object"));
      return false;
    }
    return names.size() <= kMaxMembers ||
           TooMuch("members of an object", kMaxMembers);
  }

  bool parse_error(size_t at, const std::string& token,
                   const nlohmann::detail::exception&) override {
    status_ = SchemaError(
        absl::StatusCode::kInvalidArgument, "SCHEMA-1", "#",
        absl::StrCat("is no JSON at byte ", at, ", ", QuoteInput(token)));
    return false;
  }

 private:
  bool TooMuch(absl::string_view what, size_t most) {
    status_ = SchemaError(absl::StatusCode::kResourceExhausted, "SCHEMA-4", "#",
                          absl::StrCat("more than ", most, " ", what));
    return false;
  }
  bool Count() {
    return ++values_ <= kMaxValues || TooMuch("values", kMaxValues);
  }
  bool Open() {
    open_.emplace_back();
    if (open_.size() > kMaxNesting)
      return TooMuch("levels of nesting", kMaxNesting);
    return Count();
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  absl::Status status_;
  size_t values_ = 0;
  std::vector<HashSet<std::string>> open_;  // members so far
};

}  // namespace

absl::StatusOr<SchemaJson> ReadSchemaJson(absl::string_view text) {
  if (text.size() > Grammar::kMaxTextBytes)
    return SchemaError(
        absl::StatusCode::kResourceExhausted, "SCHEMA-4", "#",
        absl::StrCat(text.size(), " bytes; at most ", Grammar::kMaxTextBytes));
  Checker checker;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &checker))
    return checker.status();
  return SchemaJson::parse(text.begin(), text.end(), nullptr,
                           /*allow_exceptions=*/false);
}

absl::Status SchemaError(absl::StatusCode code, absl::string_view id,
                         absl::string_view where, absl::string_view what) {
  return absl::Status(
      code, absl::StrCat("JSON schema: ", id, ": ", where, ": ", what));
}

const SchemaJson* Member(const SchemaJson& json, absl::string_view name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(std::string(name));
  return found == json.end() ? nullptr : &*found;
}

std::string Compact(const SchemaJson& json) {
  return json.dump(-1, ' ', false, SchemaJson::error_handler_t::replace);
}

std::string GbnfLiteral(absl::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\x%02X", c);
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace weft::inline v0
