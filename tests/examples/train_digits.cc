// Trains the network of digits.cc on drawings of its own, in a second or two:
//
//   train_digits digits.gguf
//   digits digits.gguf < digits.txt
//
// The graph of a step holds forward pass, gradient and optimiser; parameters
// and moments are its states.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <weft/backends/backend.h>
#include <weft/models/gguf_key_values.h>
#include <weft/models/gguf_writer.h>
#include <weft/ops/ops.h>
#include <weft/ops/optimize.h>
#include <weft/ops/optimizer.h>

namespace {

constexpr int64_t kPixels = 64, kHidden = 24, kDigits = 10, kBatch = 100;

// Digits of 5 x 7 pixels.
constexpr const char* kGlyphs[] = {".###.#...##...##...##...##...#.###.",
                                   "..#...##....#....#....#....#...###.",
                                   ".###.#...#....#...#...#...#...#####",
                                   "####.....#....#.###.....#....#####.",
                                   "...#...##..#.#.#..#.#####...#....#.",
                                   "######....####.....#....##...#.###.",
                                   "..##..#...#....####.#...##...#.###.",
                                   "#####....#...#...#...#...#....#....",
                                   ".###.#...##...#.###.#...##...#.###.",
                                   ".###.#...##...#.####....#...#..##.."};

struct Batch {
  std::vector<float> pixels = std::vector<float>(kBatch * kPixels);
  std::vector<int32_t> digits;
};

// Digits moved about in 8 x 8 pixels, up to four of which are changed.
Batch Draw(std::mt19937_64& random) {
  Batch b;
  for (int64_t i = 0; i < kBatch; ++i) {
    float* pixels = b.pixels.data() + i * kPixels;
    b.digits.push_back(static_cast<int32_t>(random() % kDigits));
    const uint64_t dx = random() % 4, dy = random() % 2;
    for (uint64_t at = 0; at < 35; ++at)
      if (kGlyphs[b.digits.back()][at] == '#')
        pixels[(at / 5 + dy) * 8 + at % 5 + dx] = 1;
    for (uint64_t n = random() % 5; n > 0; --n) {
      float& pixel = pixels[random() % kPixels];
      pixel = 1 - pixel;
    }
  }
  return b;
}

absl::StatusOr<std::shared_ptr<weft::Graph>> TrainingStep() {
  auto g = std::make_shared<weft::Graph>();
  std::vector<weft::Parameter> parameters;
  const auto parameter = [&](const char* name, weft::Shape shape) {
    parameters.push_back(MakeParameter(*g, name, std::move(shape)));
    return parameters.back().value;
  };
  const weft::Value x =
      g->Input("pixels", weft::DType::kF32, {kBatch, kPixels});
  const weft::Value w1 = parameter("hidden.weight", {kHidden, kPixels});
  const weft::Value b1 = parameter("hidden.bias", {kHidden});
  const weft::Value w2 = parameter("output.weight", {kDigits, kHidden});
  const weft::Value b2 = parameter("output.bias", {kDigits});
  const weft::Value scores = Linear(Relu(Linear(x, w1) + b1), w2) + b2;
  const weft::Value loss =
      CrossEntropy(scores, g->Input("digits", weft::DType::kI32, {kBatch}));
  g->Output("scores", scores);
  g->Output("loss", loss);
  // Its input is "learning_rate", its states lie beside the parameters.
  if (absl::Status s = AddAdamW(loss, parameters); !s.ok()) return s;
  if (const auto fused = Optimize(*g); !fused.ok()) return fused.status();
  return g;
}

// Where each state lies among what SaveSlot writes.
struct Place {
  size_t begin, bytes;
  weft::TensorType type;
};
using Places = std::map<std::string, Place>;

Places PlacesOf(const weft::Graph& g) {
  Places places;
  size_t at = 0;
  for (const weft::NodeId id : g.order()) {
    if (g.node(id).op->kind != weft::OpKind::kState) continue;
    const weft::TensorType& type = g.value(g.node(id).outputs[0]).type;
    const auto bytes = static_cast<size_t>(type.BoundBytes());
    places[g.node(id).name] = {at, bytes, type};
    at += bytes;
  }
  return places;
}

// Matrices begin small and random, all else with 0.
void Begin(weft::Executable& e, const Places& places, std::mt19937_64& random) {
  std::vector<std::byte> states(static_cast<size_t>(e.SlotBytes(0)));
  for (const char* name : {"hidden.weight", "output.weight"}) {
    const Place& place = places.at(name);
    const auto columns = static_cast<double>(place.type.shape.dim(-1).bound());
    std::normal_distribution<float> normal(
        0, static_cast<float>(std::sqrt(2 / columns)));
    for (size_t i = 0; i < place.bytes; i += sizeof(float)) {
      const float value = normal(random);
      std::memcpy(&states[place.begin + i], &value, sizeof(value));
    }
  }
  e.LoadSlot(0, 0, states);
}

template <class T>
void Give(weft::Executable& e, const char* input,
          const std::vector<T>& values) {
  // The names are those of TrainingStep().
  std::memcpy(e.Input(input)->data(), values.data(), values.size() * sizeof(T));
}

const float* Result(weft::Executable& e, const char* output) {
  return reinterpret_cast<const float*>(e.Output(output)->data());
}

absl::StatusOr<float> Step(weft::Executable& e, const Batch& batch,
                           double rate) {
  Give(e, "pixels", batch.pixels);
  Give(e, "digits", batch.digits);
  Give(e, "learning_rate", std::vector<float>{static_cast<float>(rate)});
  if (absl::Status s = e.Run({}); !s.ok()) return s;
  return *Result(e, "loss");
}

// Of the batch that was given last.
int CountRight(weft::Executable& e, const Batch& batch) {
  const float* row = Result(e, "scores");
  int right = 0;
  for (const int32_t digit : batch.digits) {
    right += std::max_element(row, row + kDigits) - row == digit;
    row += kDigits;
  }
  return right;
}

absl::Status Write(const std::string& path, const weft::Executable& e,
                   const Places& places) {
  std::vector<std::byte> states(static_cast<size_t>(e.SlotBytes(0)));
  e.SaveSlot(0, 0, absl::MakeSpan(states));
  std::vector<weft::NewGgufTensor> tensors;
  for (const auto& [name, place] : places) {
    if (name.rfind("adamw.", 0) == 0) continue;  // the optimiser's
    tensors.push_back({name, weft::DType::kF32, {}});
    // The first dimension of a state counts sequences.
    for (int axis = 1; axis < place.type.shape.rank(); ++axis)
      tensors.back().dims.push_back(place.type.shape.dim(axis).bound());
  }
  weft::GgufKeyValues keys;
  keys.SetString("general.architecture", "digits");
  auto writer = weft::GgufWriter::Create(path, keys, tensors);
  if (!writer.ok()) return writer.status();
  for (const weft::NewGgufTensor& t : tensors) {
    const Place& place = places.at(t.name);
    const absl::Status wrote = writer->Write(
        absl::MakeConstSpan(states).subspan(place.begin, place.bytes));
    if (!wrote.ok()) return wrote;
  }
  return writer->Commit();
}

absl::Status Train(const std::string& path) {
  const auto graph = TrainingStep();
  if (!graph.ok()) return graph.status();
  const auto backend = weft::MakeBackend("cpu");
  if (!backend.ok()) return backend.status();
  const auto step = (*backend)->Compile(
      *graph,
      [](const weft::Node&) -> absl::StatusOr<absl::Span<const std::byte>> {
        return absl::NotFoundError("the graph has no weights, only states");
      });
  if (!step.ok()) return step.status();
  const Places places = PlacesOf(**graph);
  std::mt19937_64 random(7);
  Begin(**step, places, random);

  const weft::RateSchedule schedule = {
      .peak = 0.02, .low = 0.0002, .warm_up = 20, .steps = 1500};
  for (int64_t i = 0; i < schedule.steps; ++i) {
    const auto loss = Step(**step, Draw(random), RateAt(schedule, i));
    if (!loss.ok()) return loss.status();
    if (i % 250 == 0) std::cout << "step " << i << ", loss " << *loss << "\n";
  }
  // Drawings that it has not seen; a rate of 0 changes no parameter.
  int right = 0;
  for (int i = 0; i < 10; ++i) {
    const Batch batch = Draw(random);
    if (const auto loss = Step(**step, batch, 0); !loss.ok())
      return loss.status();
    right += CountRight(**step, batch);
  }
  std::cout << right << " of " << 10 * kBatch << " right\n";
  return Write(path, **step, places);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: train_digits WEIGHTS.gguf\n";
    return 2;
  }
  const absl::Status status = Train(argv[1]);
  if (!status.ok()) std::cerr << "train_digits: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
