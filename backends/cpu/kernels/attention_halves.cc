// Attention's products with keys and values in f16 and bf16.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention_halves.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels/attention_rows-inl.h"

// Templates bring the instruction set from where they are defined.
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

template Product ScoresOf<BlockF16>(StateLayout, bool);
template Product MixOf<BlockF16>(StateLayout, bool);
template Product ScoresOf<BlockBF16>(StateLayout, bool);
template Product MixOf<BlockBF16>(StateLayout, bool);

}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
