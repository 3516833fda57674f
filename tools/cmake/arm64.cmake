# Toolchain: cross build for 64-bit Arm Linux, run under qemu-user.
#
# clang, because g++ 12 cannot compile Highway's NEON_BF16 target. It takes the
# C++ library of the g++ cross compiler and finds Abseil and the rest as arm64
# packages (multiarch), see `tools/dev arm64`.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(triple aarch64-linux-gnu)
find_program(WEFT_CLANGXX NAMES clang++-19 clang++ REQUIRED)
set(CMAKE_CXX_COMPILER "${WEFT_CLANGXX}")
set(CMAKE_CXX_COMPILER_TARGET ${triple})
set(CMAKE_LIBRARY_ARCHITECTURE ${triple})

# `max` has every instruction set that qemu knows, SVE2 and BF16 among them.
find_program(WEFT_QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
if(WEFT_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR "${WEFT_QEMU_AARCH64};-cpu;max")
  # Without multiarch the cross compiler's own C library has to serve.
  if(NOT EXISTS /lib/ld-linux-aarch64.so.1 AND EXISTS /usr/${triple}/lib)
    list(APPEND CMAKE_CROSSCOMPILING_EMULATOR -L /usr/${triple})
  endif()
endif()
