// What stands behind the handles of weft_graph.h.
#ifndef WEFT_MODELS_C_API_GRAPH_HANDLES_H_
#define WEFT_MODELS_C_API_GRAPH_HANDLES_H_

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "models/c_api/handles.h"
#include "models/c_api/weft_graph.h"
#include "models/runner.h"

struct weft_graph {
  std::unique_ptr<weft::Graph> graph;  // null once a runner took it
  bool out_of_memory = false;          // while it was built
};

struct weft_runner {
  std::unique_ptr<weft::Runner> runner;
  std::atomic<bool> cancel{false};
  // Of a step: here, so that a step allocates nothing.
  std::vector<weft::InputBuffer> inputs;
  std::vector<weft::OutputBuffer> outputs;
};

#endif  // WEFT_MODELS_C_API_GRAPH_HANDLES_H_
