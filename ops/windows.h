// The graph of a language model for training: whole windows of text at once.
#ifndef WEFT_OPS_WINDOWS_H_
#define WEFT_OPS_WINDOWS_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "graph/graph.h"

namespace weft::inline v0 {

// What stands for a weight in the new graph.
using WeightFn = std::function<Value(Graph& into, const Node& weight)>;

struct WindowOptions {  // The sizes of windows.
  int64_t windows = 1;  // sequences in a step
  int64_t length = 64;  // tokens of each
  WeightFn weight;      // an f32 value of the weight's shape
  // What the model names layer.N becomes a checkpoint: activations take the
  // memory of one layer and of N results instead of N layers', and a step a
  // third more time.
  bool checkpoint_layers = false;
};

// Copies the graph of a decoder, built and finished, into `into`: every symbol
// becomes windows * length, the tokens of a step, window after window. A token
// sees its own window instead of a cache: what was appended to a cache is read
// from the step itself, as attention written out by hand, which has gradients.
// Inputs keep their names; the caller's positions are 0 .. length - 1 in each
// window. Fuses the attention of `model`, nothing else. Returns what the
// outputs of `model` are in `into`, in their order; makes none there.
//
// What a convolution or a scan carries along is a state of one slot, through
// which window after window goes; each starts it anew.
//
// Unimplemented for a graph with other states, or with a bias on the scores of
// its attention; the first error of the graph.
absl::StatusOr<Values> CopyForWindows(Graph& model,
                                      const WindowOptions& options,
                                      Graph& into);

}  // namespace weft::inline v0

#endif  // WEFT_OPS_WINDOWS_H_
