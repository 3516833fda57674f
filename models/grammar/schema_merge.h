// Schemas of which all must hold, as one.
#ifndef WEFT_MODELS_GRAMMAR_SCHEMA_MERGE_H_
#define WEFT_MODELS_GRAMMAR_SCHEMA_MERGE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/grammar/schema_json.h"

namespace weft::inline v0 {

// What a keyword is about.
enum class SchemaTopic {
  kUnknown,
  kNote,  // restricts nothing
  kAny,
  kNumber,
  kString,
  kArray,
  kObject,
  kUnsupported,  // restricts, and is not supported
};
SchemaTopic TopicOf(absl::string_view keyword);

// Finds what "#/..." points to. Errors of JsonSchemaToGbnf.
absl::StatusOr<const JsonValue*> FindSchemaRef(const JsonValue& root,
                                               absl::string_view ref,
                                               const std::string& where);

// The schema of what fits both.
JsonValue Both(const JsonValue& a, const JsonValue& b);

// Puts parts of one document together; the work is bounded. Not thread-safe.
class SchemaMerger {
 public:
  // `root` outlives this.
  explicit SchemaMerger(const JsonValue* root) : root_(root) {}

  // `schema` without allOf and, where other keywords stand beside it, without
  // $ref.
  absl::StatusOr<JsonValue> Flatten(const JsonValue& schema,
                                    const std::string& where, int depth = 0);
  // Both at once: `more` joins `schema`.
  absl::Status Merge(const JsonValue& more, const std::string& where,
                     JsonValue& schema);

 private:
  absl::Status MergeKeyword(const std::string& keyword, const JsonValue& more,
                            const std::string& where, JsonValue& schema);

  const JsonValue* root_;
  int64_t steps_ = 0;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_SCHEMA_MERGE_H_
