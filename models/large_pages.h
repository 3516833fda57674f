// Memory for weights that are made, not mapped.
#ifndef WEFT_MODELS_LARGE_PAGES_H_
#define WEFT_MODELS_LARGE_PAGES_H_

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace weft::inline v0 {

// For std::malloc and its like.
struct FreeMemory {
  void operator()(std::byte* p) const { std::free(p); }
};
using LargePages = std::unique_ptr<std::byte[], FreeMemory>;

// What AllocateLargePages() takes for so many bytes: whole pages of 2 MiB.
size_t LargePageBytes(size_t bytes);

// `bytes` rounded up to whole pages of 2 MiB, asked for as such; the contents
// are not defined. Null where there is no memory.
LargePages AllocateLargePages(size_t bytes);

}  // namespace weft::inline v0

#endif  // WEFT_MODELS_LARGE_PAGES_H_
