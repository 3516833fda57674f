#include "tests/sample_data.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "graph/blocks/blocks.h"
#include "graph/blocks/q8_a.h"
#include "graph/blocks/q8_a32.h"
#include "graph/half.h"
#include "graph/status_macros.h"

namespace weft::inline v0 {
namespace {

using Random = std::mt19937_64;

float Normal(Random& random) {
  return std::normal_distribution<float>()(random);
}

// A scale field of order 1/100, in f16 or f32.
template <class T>
void SetScale(T& scale, Random& random) {
  const float value =
      std::uniform_real_distribution<float>(0.005f, 0.02f)(random);
  if constexpr (std::is_same_v<T, float>) {
    scale = value;
  } else {
    static_assert(std::is_same_v<T, uint16_t>);
    scale = F32ToF16(value);
  }
}

void FillBlock(BlockF32& block, Random& random) {
  block.value = Normal(random);
}
void FillBlock(BlockF16& block, Random& random) {
  block.bits = F32ToF16(Normal(random));
}
void FillBlock(BlockBF16& block, Random& random) {
  block.bits = F32ToBF16(Normal(random));
}

// Any bits are a valid block, once the scales are finite.
template <class Block>
void FillBlock(Block& block, Random& random) {
  auto* bytes = reinterpret_cast<unsigned char*>(&block);
  std::generate_n(bytes, sizeof(Block),
                  [&] { return static_cast<unsigned char>(random()); });
  if constexpr (requires { block.d; }) SetScale(block.d, random);
  if constexpr (requires { block.dmin; }) SetScale(block.dmin, random);
  if constexpr (requires { block.m; }) SetScale(block.m, random);
  // An exponent with a bias of 127: 2^-8 .. 2^-6.
  if constexpr (requires { block.e; })
    block.e = static_cast<uint8_t>(119 + random() % 3);
}

template <class Block>
void FillBlocksOf(HostTensor& tensor, Random& random) {
  if (tensor.dtype != Block::kType) return;
  for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(Block)) {
    Block block;
    FillBlock(block, random);
    std::memcpy(tensor.bytes.data() + at, &block, sizeof(Block));
  }
}

template <class... Bs>
void FillBlocks(TypeList<Bs...>, HostTensor& tensor, Random& random) {
  (FillBlocksOf<Bs>(tensor, random), ...);
}

template <class F>
void FillEach(HostTensor& tensor, F next) {
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (tensor.dtype == DType::kI32) {
      tensor.i32()[i] = static_cast<int32_t>(next(i));
    } else {
      tensor.f32()[i] = static_cast<float>(next(i));
    }
  }
}

// Blocks whose sums agree with their codes; zero beyond the row.
template <class Block>
void FillActivations(HostTensor& tensor, Random& random) {
  if (tensor.dtype != Block::kType) return;
  const int64_t n = tensor.dim(-1);
  std::byte* at = tensor.bytes.data();
  for (int64_t r = 0; r < tensor.elements() / n; ++r)
    for (int64_t k = 0; k < n; k += Block::kCount, at += sizeof(Block)) {
      Block block{};
      const auto NextScale = [&] {
        return static_cast<float>(Normal(random) / Block::kMax);
      };
      if constexpr (Block::kPerScale == Block::kCount) {
        block.d = NextScale();
      } else {
        for (float& d : block.d) d = NextScale();
      }
      for (int64_t i = 0; i < std::min<int64_t>(Block::kCount, n - k); ++i)
        block.q[i] = static_cast<int8_t>(
            std::uniform_int_distribution<int>(-127, 127)(random));
      block.SetSums();
      std::memcpy(at, &block, sizeof(block));
    }
}

void FillTensor(HostTensor& tensor, const Fill& fill, Random& random) {
  switch (fill.kind) {
    case Fill::Kind::kNormal:
      FillEach(tensor, [&](int64_t) { return Normal(random); });
      return;
    case Fill::Kind::kUniform: {
      // For i32 the fraction is cut off: integers in [low, high).
      std::uniform_real_distribution<double> uniform(fill.low, fill.high);
      FillEach(tensor, [&](int64_t) { return uniform(random); });
      return;
    }
    case Fill::Kind::kIota:
      FillEach(tensor,
               [&](int64_t i) { return fill.low + static_cast<double>(i); });
      return;
    case Fill::Kind::kBlocks:
      FillBlocks(Blocks(), tensor, random);
      FillActivations<BlockQ8_A>(tensor, random);
      FillActivations<BlockQ8_A32>(tensor, random);
      return;
    case Fill::Kind::kZero:
      return;
  }
}

}  // namespace

SampleData::SampleData(const SampleGraph& sample, uint64_t seed,
                       bool from_zero) {
  Random random(seed);
  for (const SampleGraph::Filled& filled : sample.filled()) {
    if (filled.value.poisoned()) continue;
    const TensorType& type = filled.value.type();
    const Node& node = filled.value.graph()->producer(filled.value.id());
    HostTensor tensor(type.dtype, type.shape.Bind({}));
    Fill fill = filled.fill;
    if (from_zero && fill.kind == Fill::Kind::kIota) fill.low = 0;
    FillTensor(tensor, fill, random);
    auto& kept = node.op == &kInputOp ? inputs_ : tensors_;
    kept.emplace(node.name, std::move(tensor));
  }
}

const HostTensor& SampleData::Of(absl::string_view name) const {
  static const HostTensor kNone;
  for (const auto* kept : {&inputs_, &tensors_}) {
    const auto it = kept->find(std::string(name));
    if (it != kept->end()) return it->second;
  }
  return kNone;
}

WeightSource SampleData::weights() const {
  return
      [this](const Node& node) -> absl::StatusOr<absl::Span<const std::byte>> {
        const auto it = tensors_.find(node.name);
        if (it == tensors_.end())
          return absl::NotFoundError(absl::StrCat("no weight ", node.name));
        return absl::MakeConstSpan(it->second.bytes);
      };
}

absl::Status SampleData::SetInputs(Executable& executable) const {
  for (const auto& [name, tensor] : inputs_) {
    WEFT_ASSIGN_OR_RETURN(const absl::Span<std::byte> to,
                          executable.Input(name));
    std::memcpy(to.data(), tensor.bytes.data(),
                std::min(to.size(), tensor.bytes.size()));
  }
  return absl::OkStatus();
}

namespace {

template <class Block>
void FillCodesOf(HostTensor& tensor, unsigned char bits) {
  if (tensor.dtype != Block::kType) return;
  for (size_t at = 0; at < tensor.bytes.size(); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, tensor.bytes.data() + at, sizeof(Block));
    if constexpr (requires { block.q; })
      std::memset(&block.q, bits, sizeof(block.q));
    if constexpr (requires { block.qh; })
      std::memset(&block.qh, bits, sizeof(block.qh));
    std::memcpy(tensor.bytes.data() + at, &block, sizeof(Block));
  }
}

template <class... Bs>
void FillAllCodes(TypeList<Bs...>, HostTensor& tensor, unsigned char bits) {
  (FillCodesOf<Bs>(tensor, bits), ...);
}

}  // namespace

void FillCodes(HostTensor& tensor, unsigned char bits) {
  FillAllCodes(Blocks(), tensor, bits);
}

void FillRandom(HostTensor& tensor, uint64_t seed) {
  Random random(seed);
  FillBlocks(Blocks(), tensor, random);
}

}  // namespace weft::inline v0
