// What several formats look up in a stage of a dump.
#ifndef WEFT_GRAPH_DUMP_NAMES_H_
#define WEFT_GRAPH_DUMP_NAMES_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "graph/dump/dump.h"
#include "graph/hash.h"

namespace weft::inline v0 {

// Values of one stage by their numbers; the dump outlives it.
class StageIndex {
 public:
  StageIndex(const Dump& dump, const DumpStage& stage) : dump_(dump) {
    for (const DumpUse& use : stage.nodes)
      for (const DumpValue& v : dump.node(use).outputs)
        values_[v.number] = {&use, &v};
    for (const auto& [number, name] : stage.names) names_[number] = name;
  }

  struct Found {
    const DumpUse* use = nullptr;
    const DumpValue* value = nullptr;
  };
  // Of a number that an input or output of this stage has.
  const Found& Find(int number) const { return values_.at(number); }
  const DumpNode& Producer(int number) const {
    return dump_.node(*Find(number).use);
  }
  // What Value::Named() gave it, or "".
  absl::string_view NameOf(int number) const {
    const auto it = names_.find(number);
    return it == names_.end() ? absl::string_view() : it->second;
  }

 private:
  const Dump& dump_;
  HashMap<int, Found> values_;
  HashMap<int, absl::string_view> names_;
};

inline bool IsSource(const DumpNode& node) {
  return node.kind != OpKind::kCompute;
}

// "dequant_matmul <- llama.cc:31"; either part may be missing.
inline std::string OriginOf(const DumpNode& node) {
  if (node.made_by.empty()) return node.where;
  return node.where.empty() ? node.made_by
                            : absl::StrCat(node.made_by, " <- ", node.where);
}

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_DUMP_NAMES_H_
