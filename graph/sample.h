// The graph of one sample of an op: the DSL plus a rule for what each input
// holds, so that tests and benchmarks can fill it.
#ifndef WEFT_GRAPH_SAMPLE_H_
#define WEFT_GRAPH_SAMPLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace weft::inline v0 {

// What a generated tensor holds.
struct Fill {
  enum class Kind {
    kNormal,   // N(0, 1)
    kUniform,  // integers or reals in [low, high)
    kIota,     // 0, 1, 2, ... starting at low
    kBlocks,   // random blocks of a stored format, scales of order 1/100
    kZero,     // states
  };
  Kind kind = Kind::kNormal;
  double low = 0;
  double high = 1;
};

// Builds a sample's graph. Inputs are named "x0", "x1", ... in order.
class SampleGraph {
 public:
  struct Filled {
    Value value;
    Fill fill;
  };

  Value Normal(Shape shape) { return Add(DType::kF32, std::move(shape), {}); }
  Value Uniform(Shape shape, double low, double high) {
    return Add(DType::kF32, std::move(shape), {Fill::Kind::kUniform, low, high});
  }
  // i32 indices in [0, bound).
  Value Ids(Shape shape, int64_t bound) {
    return Add(DType::kI32, std::move(shape),
               {Fill::Kind::kUniform, 0, static_cast<double>(bound)});
  }
  // i32 positions first, first + 1, ...
  Value Positions(Shape shape, int64_t first = 0) {
    return Add(DType::kI32, std::move(shape),
               {Fill::Kind::kIota, static_cast<double>(first), 0});
  }
  // A tensor in a stored format (f32 included), as a weight.
  Value Weight(DType dtype, Shape shape) {
    const Value v = graph_.Weight(NextName("w"), dtype, std::move(shape));
    filled_.push_back({v, {Fill::Kind::kBlocks}});
    return v;
  }
  // A state that already holds random content of order one.
  Value State(DType dtype, Shape shape) {
    const Value v = graph_.State(NextName("s"), dtype, std::move(shape));
    filled_.push_back({v, {Fill::Kind::kBlocks}});
    return v;
  }

  Graph& graph() { return graph_; }
  const std::vector<Filled>& filled() const { return filled_; }

 private:
  Value Add(DType dtype, Shape shape, Fill fill) {
    const Value v = graph_.Input(NextName("x"), dtype, std::move(shape));
    filled_.push_back({v, fill});
    return v;
  }
  std::string NextName(const char* prefix) {
    return prefix + std::to_string(filled_.size());
  }

  Graph graph_;
  std::vector<Filled> filled_;
};

}  // namespace weft::inline v0

#endif  // WEFT_GRAPH_SAMPLE_H_
