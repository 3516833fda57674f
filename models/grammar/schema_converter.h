// The converter behind JsonSchemaToGbnf: json_schema.cc has what concerns any
// schema, schema_types.cc strings, numbers and arrays, schema_object.cc
// objects.
#ifndef WEFT_MODELS_GRAMMAR_SCHEMA_CONVERTER_H_
#define WEFT_MODELS_GRAMMAR_SCHEMA_CONVERTER_H_

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "graph/hash.h"
#include "models/grammar/schema_json.h"
#include "models/grammar/schema_merge.h"

namespace weft::inline v0 {

class SchemaConverter {
 public:
  // `root` outlives this.
  explicit SchemaConverter(const JsonValue& root);
  absl::StatusOr<std::string> Run();

 private:
  struct Pending {
    const JsonValue* schema;
    std::string where, rule;
  };

  static absl::Status Bad(const std::string& where, absl::string_view what);
  static absl::Status Nothing(const std::string& where, absl::string_view what);
  static absl::Status Unsupported(const std::string& where,
                                  absl::string_view what);

  // A new name made of `wish`.
  std::string NewName(absl::string_view wish);
  void AddRule(absl::string_view name, absl::string_view body);
  // The name of a new rule.
  std::string Rule(absl::string_view wish, absl::string_view body);
  // The rule of what `ref` points to, to be written later.
  absl::StatusOr<std::string> RefRule(const std::string& ref,
                                      const std::string& where);
  // The rule of a part.
  absl::StatusOr<std::string> Item(const JsonValue& schema,
                                   const std::string& where,
                                   const std::string& wish);

  // The body of a rule for `schema`; `name` begins those of its parts.
  absl::StatusOr<std::string> Visit(const JsonValue& schema,
                                    const std::string& where,
                                    const std::string& name);
  absl::StatusOr<std::string> VisitAny(const JsonValue& schema,
                                       const JsonValue& choices,
                                       const std::string& keyword,
                                       const std::string& where,
                                       const std::string& name);
  absl::Status CheckApart(const std::vector<JsonValue>& alternatives,
                          const std::string& where);
  absl::StatusOr<std::string> VisitEnum(const JsonValue& schema,
                                        absl::Span<const JsonValue> values,
                                        const std::string& where);
  absl::StatusOr<std::string> VisitType(const JsonValue& schema,
                                        absl::string_view type,
                                        const std::string& where,
                                        const std::string& name);
  absl::StatusOr<std::string> VisitString(const JsonValue& schema,
                                          const std::string& where);
  absl::StatusOr<std::string> VisitInteger(const JsonValue& schema,
                                           const std::string& where);
  absl::StatusOr<std::string> VisitArray(const JsonValue& schema,
                                         const std::string& where,
                                         const std::string& name);
  absl::StatusOr<std::string> VisitObject(const JsonValue& schema,
                                          const std::string& where,
                                          const std::string& name);
  struct ObjectMember {
    std::string text;  // key and value
    bool required;
  };
  absl::StatusOr<std::vector<ObjectMember>> ObjectMembers(
      const JsonValue& schema, const std::string& where,
      const std::string& name);
  absl::StatusOr<std::string> OtherMember(const JsonValue& schema,
                                          const std::string& where,
                                          const std::string& name);
  absl::Status CheckKeywords(const JsonValue& schema, const std::string& where);
  absl::StatusOr<std::vector<std::string>> TypesOf(const JsonValue& schema,
                                                   const std::string& where);
  absl::StatusOr<int64_t> Count(const JsonValue& schema, const char* keyword,
                                int64_t otherwise, const std::string& where);
  std::string OtherKeys(HashSet<std::string> keys);

  const JsonValue& root_;
  SchemaMerger merger_;
  std::string out_;
  HashSet<std::string> names_;
  HashMap<std::string, int> uses_;
  HashMap<std::string, std::string> refs_;  // rules of $ref
  std::deque<Pending> pending_;
};

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_GRAMMAR_SCHEMA_CONVERTER_H_
