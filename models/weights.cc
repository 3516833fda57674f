#include "models/weights.h"

#include <cmath>
#include <functional>
#include <map>
#include <numbers>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "graph/encode_row.h"
#include "graph/hash.h"
#include "models/checksum.h"

namespace weft::inline v0 {
namespace {

// Values drawn for one weight; Box-Muller over mt19937_64, whose sequence the
// C++ standard fixes.
class Normal {
 public:
  Normal(uint64_t seed, float deviation) : random_(seed), scale_(deviation) {}

  float operator()() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const double radius = std::sqrt(-2.0 * std::log(1.0 - Uniform()));
    const double angle = 2.0 * std::numbers::pi * Uniform();
    spare_ = scale_ * static_cast<float>(radius * std::sin(angle));
    has_spare_ = true;
    return scale_ * static_cast<float>(radius * std::cos(angle));
  }

 private:
  double Uniform() { return static_cast<double>(random_() >> 11) * 0x1p-53; }

  std::mt19937_64 random_;
  float scale_;
  float spare_ = 0;
  bool has_spare_ = false;
};

std::vector<std::byte> Draw(uint64_t seed, float deviation,
                            absl::string_view name, const TensorType& type) {
  Normal normal(Checksum(name, seed), deviation);
  const int64_t n = type.shape.rank() == 0 ? 1 : type.shape.dim(-1).bound();
  const int64_t bytes = type.BoundBytes();
  const int64_t rows = type.shape.BoundElements() / n;
  std::vector<std::byte> out(static_cast<size_t>(bytes));
  std::vector<float> row(static_cast<size_t>(n));
  for (int64_t r = 0; r < rows; ++r) {
    for (float& x : row) x = normal();
    EncodeRow(type.dtype, row.data(), n, out.data() + bytes / rows * r);
  }
  return out;
}

absl::StatusOr<absl::Span<const std::byte>> FromFile(const GgufFile& file,
                                                     absl::string_view name,
                                                     const TensorType& type) {
  const GgufTensor* tensor = file.FindTensor(name);
  if (tensor == nullptr)
    return absl::NotFoundError(
        absl::StrCat(file.source(), ": no tensor ", name));
  const TensorType found{tensor->dtype, Shape::FromInts(tensor->dims)};
  if (!(found == type))
    return absl::InvalidArgumentError(
        absl::StrCat(file.source(), ": tensor ", name, " is ", found.ToString(),
                     "; the graph expects ", type.ToString()));
  if (tensor->data.size() < tensor->bytes)
    return absl::DataLossError(absl::StrCat(
        file.source(), ": the data of tensor ", name, " is cut off"));
  return tensor->data;
}

}  // namespace

Weights WeightsFromFile(std::shared_ptr<const GgufFile> file) {
  return
      [file = std::move(file)](absl::string_view name, const TensorType& type) {
        return file == nullptr ? absl::NotFoundError(absl::StrCat(
                                     "no file is given; expected ", name))
                               : FromFile(*file, name, type);
      };
}

Weights WeightsFromMemory(std::vector<NamedWeight> weights) {
  HashMap<std::string, absl::Span<const std::byte>> by_name;
  for (NamedWeight& weight : weights)
    by_name.emplace(std::move(weight.name), weight.bytes);
  return [by_name = std::move(by_name)](absl::string_view name,
                                        const TensorType& type)
             -> absl::StatusOr<absl::Span<const std::byte>> {
    const auto found = by_name.find(name);
    if (found == by_name.end())
      return absl::NotFoundError(absl::StrCat("no weight is named ", name));
    if (static_cast<int64_t>(found->second.size()) != type.BoundBytes())
      return absl::InvalidArgumentError(absl::StrCat(
          "weight ", name, " has ", found->second.size(), " bytes; ",
          type.ToString(), " has ", type.BoundBytes()));
    return found->second;
  };
}

Weights RandomWeights(uint64_t seed, float deviation) {
  using Made = std::map<std::string, std::vector<std::byte>, std::less<>>;
  return [seed, deviation, made = std::make_shared<Made>()](
             absl::string_view name, const TensorType& type)
             -> absl::StatusOr<absl::Span<const std::byte>> {
    if (!CanEncodeRow(type.dtype))
      return absl::UnimplementedError(absl::StrCat(
          "random weight ", name, ": no values are made in ",
          Info(type.dtype).name, "; there are f32, f16, bf16, q8_0 and q4_0"));
    auto [at, is_new] = made->try_emplace(std::string(name));
    if (is_new || static_cast<int64_t>(at->second.size()) != type.BoundBytes())
      at->second = Draw(seed, deviation, name, type);
    return absl::MakeConstSpan(at->second);
  };
}

}  // namespace weft::inline v0
