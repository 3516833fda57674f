#include "graph/print.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace weft::inline v0 {
namespace {

bool IsSource(const Node& node) { return node.op->kind != OpKind::kCompute; }

// How a value is written as an operand.
std::string Ref(const Graph& graph, ValueId id) {
  const Node& from = graph.producer(id);
  return from.name.empty() ? absl::StrCat("%", id) : from.name;
}

// "dequant_matmul <- llama.cc:31"; either part may be missing.
std::string Origin(const Node& node) {
  const std::string where = node.where.ToString();
  if (node.made_by.empty()) return where;
  return where.empty() ? std::string(node.made_by)
                       : absl::StrCat(node.made_by, " <- ", where);
}

std::string Operands(const Graph& graph, const Node& node) {
  if (!node.name.empty()) return node.name;
  std::string out = absl::StrJoin(
      node.inputs, ", ",
      [&](std::string* s, ValueId v) { s->append(Ref(graph, v)); });
  const std::string attrs = node.attrs.ToString();
  if (!attrs.empty()) absl::StrAppend(&out, out.empty() ? "" : ", ", attrs);
  return out;
}

std::string Results(const Graph& graph, const Node& node) {
  return absl::StrJoin(
      node.outputs, ", ", [&](std::string* s, ValueId v) {
        const ValueInfo& value = graph.value(v);
        absl::StrAppend(s, "%", v, ": ", value.type.ToString());
        if (!value.name.empty()) absl::StrAppend(s, " \"", value.name, "\"");
      });
}

std::string AttrsJson(const Attrs& attrs) {
  return absl::StrCat(
      "{",
      absl::StrJoin(attrs, ", ",
                    [](std::string* s, const auto& a) {
                      absl::StrAppend(s, Quoted(a.first), ": ",
                                      Quoted(a.second.ToString()));
                    }),
      "}");
}

std::string ValueJson(const Graph& graph, ValueId id) {
  const ValueInfo& value = graph.value(id);
  return absl::StrCat(
      "{\"id\": ", id, ", \"dtype\": ", Quoted(Name(value.type.dtype)),
      ", \"shape\": [",
      absl::StrJoin(value.type.shape, ", ",
                    [](std::string* s, const Dim& d) {
                      s->append(d.is_symbol() ? Quoted(d.name())
                                              : d.ToString());
                    }),
      "], \"name\": ", Quoted(value.name), "}");
}

std::string NodeJson(const Graph& graph, const Node& node) {
  return absl::StrCat(
      "{\"id\": ", node.id, ", \"op\": ", Quoted(node.op->name),
      ", \"name\": ", Quoted(node.name), ", \"inputs\": [",
      absl::StrJoin(node.inputs, ", "), "], \"outputs\": [",
      absl::StrJoin(node.outputs, ", ",
                    [&](std::string* s, ValueId v) {
                      s->append(ValueJson(graph, v));
                    }),
      "], \"attrs\": ", AttrsJson(node.attrs),
      ", \"made_by\": ", Quoted(node.made_by),
      ", \"where\": ", Quoted(node.where.ToString()), "}");
}

// Bytes of the well-formed UTF-8 sequence (RFC 3629) that `text` begins with, 0
// when there is none: names come from files, and JSON must be UTF-8.
size_t Utf8Length(absl::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const auto is_between = [&byte](size_t i, int low, int high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const int first = byte(0);
  if (first < 0x80) return 1;
  if (is_between(0, 0xC2, 0xDF)) return is_between(1, 0x80, 0xBF) ? 2 : 0;
  // The second byte rules out overlong forms, surrogates and what lies beyond
  // U+10FFFF.
  const int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (!is_between(1, low, high) || !is_between(2, 0x80, 0xBF)) return 0;
  if (is_between(0, 0xE0, 0xEF)) return 3;
  return is_between(0, 0xF0, 0xF4) && is_between(3, 0x80, 0xBF) ? 4 : 0;
}

}  // namespace

std::string Quoted(absl::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const size_t length = Utf8Length(text.substr(i));
    if (length == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
    } else if (length > 1) {
      absl::StrAppend(&out, text.substr(i, length));
      i += length - 1;
    } else if (c == '"' || c == '\\') {
      absl::StrAppend(&out, "\\", std::string(1, c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&out, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      out.push_back(c);
    }
  }
  return out + "\"";
}

std::string PrintText(const Graph& graph, const PrintOptions& options) {
  std::string out;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (IsSource(node) && !options.sources) continue;
    std::string line = absl::StrCat(Results(graph, node), " = ", node.op->name,
                                    "(", Operands(graph, node), ")");
    const std::string origin = options.origins ? Origin(node) : "";
    if (!origin.empty()) absl::StrAppend(&line, "  # ", origin);
    absl::StrAppend(&out, line, "\n");
  }
  for (const Graph::NamedValue& output : graph.outputs())
    absl::StrAppend(&out, "output ", output.name, " = %", output.value, "\n");
  return out;
}

std::string PrintDot(const Graph& graph) {
  std::string out =
      "digraph weft {\n  node [shape=box, fontname=\"Helvetica\"];\n";
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const std::string title =
        node.name.empty() ? std::string(node.op->name) : node.name;
    std::string label = title;
    for (const ValueId v : node.outputs)
      absl::StrAppend(&label, "\n", "%", v, " ",
                      graph.value(v).type.ToString());
    absl::StrAppend(&out, "  n", id, " [label=", Quoted(label),
                    IsSource(node) ? ", shape=ellipse" : "",
                    ", tooltip=", Quoted(Origin(node)), "];\n");
    for (const ValueId v : node.inputs)
      absl::StrAppend(&out, "  n", graph.value(v).node, " -> n", id,
                      " [label=\"%", v, "\"];\n");
  }
  for (const Graph::NamedValue& output : graph.outputs())
    absl::StrAppend(&out, "  ", Quoted("out:" + output.name), " [label=",
                    Quoted(output.name), ", shape=ellipse, style=bold];\n  n",
                    graph.value(output.value).node, " -> ",
                    Quoted("out:" + output.name), ";\n");
  return out + "}\n";
}

std::string PrintJson(const Graph& graph) {
  std::string out = "{\n\"symbols\": [";
  absl::StrAppend(&out, absl::StrJoin(graph.Symbols(), ", ",
                                      [](std::string* s, const Dim& d) {
                                        absl::StrAppend(
                                            s, "{\"name\": ", Quoted(d.name()),
                                            ", \"bound\": ", d.bound(), "}");
                                      }));
  absl::StrAppend(&out, "],\n\"nodes\": [\n");
  absl::StrAppend(&out, absl::StrJoin(graph.order(), ",\n",
                                      [&](std::string* s, NodeId id) {
                                        s->append(
                                            NodeJson(graph, graph.node(id)));
                                      }));
  absl::StrAppend(&out, "\n],\n\"outputs\": [");
  absl::StrAppend(
      &out, absl::StrJoin(graph.outputs(), ", ",
                          [](std::string* s, const Graph::NamedValue& o) {
                            absl::StrAppend(s, "{\"name\": ", Quoted(o.name),
                                            ", \"value\": ", o.value, "}");
                          }));
  return out + "]\n}\n";
}

}  // namespace weft::inline v0
