#include "tools/dump_reader.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "graph/dtype.h"
#include "graph/dump/layers.h"
#include "graph/packed.h"
#include "graph/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/read_file.h"

namespace weft::inline v0 {
namespace {

using Json = nlohmann::json;

// Reads members of the kind that they have to be; the first that is not is
// the error.
class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<Dump> Read(const Json& json) {
    if (Text(json, "format") != "weft-dump" || Int(json, "version") != 1)
      Fail("this is no dump of version 1");
    for (const Json& symbol : List(json, "symbols")) {
      const std::string name = Text(symbol, "name");
      symbols_.push_back(
          Dim::Symbol(name, std::max<int64_t>(1, Int(symbol, "bound"))));
    }
    dump_.symbols = symbols_;
    dump_.title = Text(json, "title");
    for (const Json& node : List(json, "nodes")) ReadNode(node);
    for (const Json& stage : List(json, "stages")) ReadStage(stage);
    if (dump_.stages.empty()) Fail("it has no stages");
    if (!status_.ok()) return status_;
    FindLayers(dump_);
    return std::move(dump_);
  }

 private:
  void Fail(absl::string_view what) {
    status_.Update(absl::InvalidArgumentError(absl::StrCat(
        path_, ": ", what, "; expected what graph-dump --format=json writes")));
  }

  const Json& Member(const Json& json, const char* key) {
    static const Json* const kNone = new Json();
    if (!json.is_object() || !json.contains(key)) {
      Fail(absl::StrCat("\"", key, "\" is missing"));
      return *kNone;
    }
    return json[key];
  }
  std::string Text(const Json& json, const char* key) {
    const Json& member = Member(json, key);
    if (member.is_string()) return member.get<std::string>();
    Fail(absl::StrCat("\"", key, "\" is no string"));
    return "";
  }
  int64_t Int(const Json& json, const char* key) {
    const Json& member = Member(json, key);
    if (member.is_number_integer()) return member.get<int64_t>();
    Fail(absl::StrCat("\"", key, "\" is no integer"));
    return 0;
  }
  const Json::array_t& List(const Json& json, const char* key) {
    static const Json::array_t* const kNone = new Json::array_t();
    const Json& member = Member(json, key);
    if (member.is_array()) return member.get_ref<const Json::array_t&>();
    Fail(absl::StrCat("\"", key, "\" is no list"));
    return *kNone;
  }

  TensorType Type(const Json& value) {
    TensorType type;
    const std::string dtype = Text(value, "dtype");
    for (const auto& table : {AllDTypes(), ActivationDTypes()})
      for (const DTypeInfo& info : table)
        if (info.name == dtype) type.dtype = info.type;
    for (const DTypeInfo& info : AllDTypes())
      if (CanPack(info.type) && Name(PackedType(info.type)) == dtype)
        type.dtype = PackedType(info.type);
    for (const Json& dim : List(value, "shape")) {
      if (dim.is_number_integer()) {
        type.shape.Append(Dim(dim.get<int64_t>()));
      } else {
        const std::string name = dim.is_string() ? dim.get<std::string>() : "";
        const auto it =
            std::find_if(symbols_.begin(), symbols_.end(),
                         [&name](const Dim& d) { return d.name() == name; });
        if (it == symbols_.end()) return Fail("a dimension is unknown"), type;
        type.shape.Append(*it);
      }
    }
    return type;
  }

  void ReadNode(const Json& json) {
    if (!status_.ok()) return;
    DumpNode node;
    node.op = Text(json, "op");
    const std::string kind = Text(json, "kind");
    const std::pair<const char*, OpKind> kinds[] = {
        {"input", OpKind::kInput},
        {"weight", OpKind::kWeight},
        {"state", OpKind::kState},
        {"constant", OpKind::kConstant},
        {"compute", OpKind::kCompute}};
    for (const auto& [name, value] : kinds)
      if (kind == name) node.kind = value;
    node.name = Text(json, "name");
    for (const Json& value : List(json, "outputs"))
      node.outputs.push_back(
          {static_cast<int>(Int(value, "number")), Type(value)});
    const Json& attrs = Member(json, "attrs");
    if (attrs.is_object())
      for (const auto& [name, value] : attrs.items())
        node.attrs.emplace_back(
            name, value.is_string() ? value.get<std::string>() : "");
    node.made_by = Text(json, "made_by");
    node.where = Text(json, "where");
    if (node.outputs.empty()) return Fail("a node has no outputs");
    for (const DumpValue& v : node.outputs) {
      if (v.number < 0 || v.number > kMostNumbers ||
          !numbers_.insert(v.number).second)
        return Fail(absl::StrCat("the number ", v.number, " is not unique"));
    }
    index_[node.number()] = static_cast<int>(dump_.nodes.size());
    dump_.nodes.push_back(std::move(node));
  }

  void ReadStage(const Json& json) {
    if (!status_.ok()) return;
    DumpStage& stage = dump_.stages.emplace_back();
    stage.name = Text(json, "name");
    absl::flat_hash_set<int> known;
    for (const Json& item : List(json, "nodes")) {
      const auto node = index_.find(static_cast<int>(Int(item, "number")));
      if (node == index_.end()) return Fail("a stage has an unknown node");
      DumpUse& use = stage.nodes.emplace_back();
      use.node = node->second;
      for (const Json& input : List(item, "inputs")) {
        use.inputs.push_back(input.is_number_integer() ? input.get<int>() : -1);
        if (!known.contains(use.inputs.back()))
          return Fail("a node reads what comes later");
      }
      for (const DumpValue& v : dump_.node(use).outputs) known.insert(v.number);
    }
    for (const Json& output : List(json, "outputs")) {
      stage.outputs.push_back(
          {Text(output, "name"), static_cast<int>(Int(output, "value"))});
      if (!known.contains(stage.outputs.back().value))
        return Fail("an output is unknown");
    }
    for (const Json& name : List(json, "names"))
      stage.names.emplace_back(static_cast<int>(Int(name, "value")),
                               Text(name, "name"));
  }

  static constexpr int kMostNumbers = 1 << 24;  // bounds what layers take

  std::string path_;
  std::vector<Dim> symbols_;
  Dump dump_;
  absl::flat_hash_set<int> numbers_;
  absl::flat_hash_map<int, int> index_;  // of nodes, by number
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Dump> ReadDump(const std::string& path) {
  WEFT_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded())
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": this is no JSON; expected a model, the name of a pass, or "
        "what graph-dump --format=json writes"));
  return Reader(path).Read(json);
}

}  // namespace weft::inline v0
