// A plain network: which digit is it? Reads pictures of 8 lines of 8 characters
// (# is ink), parted by empty lines, and prints a digit for each:
//
//   digits digits.gguf < digits.txt
//
// train_digits.cc makes the weights.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <weft/models/runner.h>
#include <weft/ops/ops.h>

namespace {

constexpr int64_t kPixels = 64, kHidden = 24, kDigits = 10, kMost = 32;

std::unique_ptr<weft::Graph> Network() {
  auto g = std::make_unique<weft::Graph>();
  const auto weight = [&](const char* name, weft::Shape shape) {
    return g->Weight(name, weft::DType::kF32, shape);
  };
  const weft::Value x = g->Input("pixels", weft::DType::kF32,
                                 {weft::Dim::Symbol("N", kMost), kPixels});
  const weft::Value h =
      Relu(Linear(x, weight("hidden.weight", {kHidden, kPixels})) +
           weight("hidden.bias", {kHidden}));
  g->Output("scores", Linear(h, weight("output.weight", {kDigits, kHidden})) +
                          weight("output.bias", {kDigits}));
  return g;
}

// Up to kMost pictures.
std::vector<float> ReadPictures() {
  std::vector<float> pixels;
  std::string line;
  while (std::getline(std::cin, line) && pixels.size() < kMost * kPixels) {
    if (line.empty()) continue;
    line.resize(8, '.');
    for (const char c : line) pixels.push_back(c == '#' ? 1.0f : 0.0f);
  }
  pixels.resize(pixels.size() / kPixels * kPixels);
  return pixels;
}

absl::Status Classify(const char* path) {
  auto file = weft::GgufFile::Open(path);
  if (!file.ok()) return file.status();
  auto runner = weft::Runner::Compile(
      Network(), weft::WeightsFromFile(
                     std::make_shared<const weft::GgufFile>(*std::move(file))));
  if (!runner.ok()) return runner.status();

  const std::vector<float> pixels = ReadPictures();
  const auto n = static_cast<int64_t>(pixels.size()) / kPixels;
  if (n == 0) return absl::InvalidArgumentError("no picture was given");
  std::vector<float> scores(static_cast<size_t>(n * kDigits));
  const absl::Status ran = (*runner)->Run({weft::InputOf(pixels, {n, kPixels})},
                                          {weft::OutputOf(scores)});
  if (!ran.ok()) return ran;
  for (auto at = scores.begin(); at != scores.end(); at += kDigits)
    std::cout << std::max_element(at, at + kDigits) - at << "\n";
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: digits WEIGHTS.gguf < PICTURES\n";
    return 2;
  }
  const absl::Status status = Classify(argv[1]);
  if (!status.ok()) std::cerr << "digits: " << status.message() << "\n";
  return status.ok() ? 0 : 1;
}
