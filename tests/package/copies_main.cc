// Two copies of weft in one process, each behind a function of one_copy.cc: has
// each stayed with its own, and does it work?
//
//   copies MODEL.gguf            both are linked in
//   copies MODEL.gguf PLUGIN.so  the second is the plugin's
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

using Generate = const void*(const char* path, int32_t* tokens, int count);
extern "C" Generate first;
extern "C" Generate second __attribute__((weak));

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  Generate* other = &second;
  if (argc == 3) {
    void* const plugin = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    if (plugin == nullptr) {
      std::fprintf(stderr, "copies: %s\n", dlerror());
      return 2;
    }
    other = reinterpret_cast<Generate*>(dlsym(plugin, "second"));
  }
  if (other == nullptr) {
    std::fprintf(stderr, "copies: there is no second one\n");
    return 2;
  }
  int32_t tokens[2][20];
  const void* const mine = first(argv[1], tokens[0], 20);
  const void* const its = other(argv[1], tokens[1], 20);
  if (mine == nullptr || its == nullptr) {
    std::fprintf(stderr, "copies: one of them does not generate\n");
    return 1;
  }
  if (mine == its) {
    std::fprintf(stderr, "copies: both call the same one\n");
    return 1;
  }
  if (std::memcmp(tokens[0], tokens[1], sizeof(tokens[0])) != 0) {
    std::fprintf(stderr, "copies: their tokens differ\n");
    return 1;
  }
  return 0;
}
