// The floating-point formats: each value by itself, rounded to nearest even.
#include <cstdint>
#include <cstring>

#include "backends/encode/encoders.h"
#include "graph/blocks/plain.h"
#include "graph/half.h"

namespace weft::inline v0 {
namespace encode {
namespace {

template <class Block, class F>
void EncodeEach(const EncodeArgs& args, const F& to_block) {
  for (int64_t i = 0; i < args.count; ++i) {
    const Block block = to_block(args.values[i]);
    std::memcpy(args.out + i * static_cast<int64_t>(sizeof(Block)), &block,
                sizeof(Block));
  }
}

}  // namespace

void EncodeF32(const EncodeArgs& args) {
  EncodeEach<BlockF32>(args, [](float v) { return BlockF32{v}; });
}
void EncodeF16(const EncodeArgs& args) {
  EncodeEach<BlockF16>(args, [](float v) { return BlockF16{F32ToF16(v)}; });
}
void EncodeBF16(const EncodeArgs& args) {
  EncodeEach<BlockBF16>(args, [](float v) { return BlockBF16{F32ToBF16(v)}; });
}

}  // namespace encode
}  // namespace weft::inline v0
