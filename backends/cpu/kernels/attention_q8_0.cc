// Attention's products with keys and values in q8_0.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/kernels/attention_q8_0.cc"
#include "hwy/foreach_target.h"
//
#include "hwy/highway.h"
//
#include "backends/cpu/kernels/attention_rows-inl.h"

// Templates bring the instruction set from where they are defined.
namespace weft::inline v0 {
namespace cpu {
namespace HWY_NAMESPACE {

template Product ScoresOf<BlockQ8_0>(StateLayout, bool);
template Product MixOf<BlockQ8_0>(StateLayout, bool);

}  // namespace HWY_NAMESPACE
}  // namespace cpu
}  // namespace weft::inline v0
