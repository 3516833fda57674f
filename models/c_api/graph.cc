#include "graph/print.h"
#include "graph/status_macros.h"
#include "models/c_api/handles.h"

using weft::c_api::Call;
using weft::c_api::GiveGraph;
using weft::c_api::GiveReport;
using weft::c_api::IsNull;

namespace weft::inline v0 {
namespace c_api {

absl::Status GiveGraph(const Graph& graph, char* to, size_t capacity,
                       size_t* size) {
  return Give(PrintText(graph), to, capacity, size);
}

absl::Status GiveReport(const FusionReport& report, char* to, size_t capacity,
                        size_t* size) {
  return Give(report.Summary() + report.Explain(), to, capacity, size);
}

}  // namespace c_api
}  // namespace weft::inline v0

weft_code weft_session_graph(const weft_session* session, char* text,
                             size_t capacity, size_t* size, weft_error* error) {
  return Call(error, [&] {
    if (session == nullptr) return IsNull("the session");
    return GiveGraph(session->session->graph(), text, capacity, size);
  });
}

weft_code weft_session_fusion_report(const weft_session* session, char* text,
                                     size_t capacity, size_t* size,
                                     weft_error* error) {
  return Call(error, [&] {
    if (session == nullptr) return IsNull("the session");
    return GiveReport(session->session->fusion_report(), text, capacity, size);
  });
}

weft_code weft_session_output(const weft_session* session, const char* name,
                              weft_tensor* tensor, weft_error* error) {
  return Call(error, [&]() -> absl::Status {
    if (session == nullptr || name == nullptr || tensor == nullptr)
      return IsNull("the session, the name or where the tensor goes");
    WEFT_ASSIGN_OR_RETURN(const auto bytes, session->session->Output(name));
    const weft::Graph& graph = session->session->graph();
    for (const weft::Graph::NamedValue& out : graph.outputs()) {
      if (out.name != name) continue;
      const weft::TensorType& type = graph.value(out.value).type;
      // Names of dtypes are literals.
      *tensor = {bytes.data(),
                 bytes.size(),
                 weft::Info(type.dtype).name.data(),
                 type.shape.rank(),
                 {}};
      for (int axis = 0; axis < type.shape.rank(); ++axis)
        tensor->dims[axis] = type.shape.dim(axis).bound();
    }
    return absl::OkStatus();
  });
}
