# PCRE2 (8-bit, with its compiler), for the patterns of pre-tokenizers. Target:
# weft::pcre2. Distributions ship it without a CMake package, hence by hand.
if(NOT CMAKE_DISABLE_FIND_PACKAGE_PCRE2)
  find_path(WEFT_PCRE2_INCLUDE_DIR pcre2.h)
  find_library(WEFT_PCRE2_LIBRARY pcre2-8)
endif()
if(WEFT_PCRE2_INCLUDE_DIR AND WEFT_PCRE2_LIBRARY)
  add_library(weft_pcre2 INTERFACE)
  target_include_directories(weft_pcre2 SYSTEM INTERFACE
    "${WEFT_PCRE2_INCLUDE_DIR}")
  target_link_libraries(weft_pcre2 INTERFACE "${WEFT_PCRE2_LIBRARY}")
else()
  set(PCRE2_SUPPORT_JIT ON)
  set(PCRE2_BUILD_PCRE2GREP OFF)
  set(PCRE2_BUILD_TESTS OFF)
  FetchContent_Declare(pcre2
    # The same tarball as the .orig of Debian's pcre2 10.42-1.
    URL https://github.com/PCRE2Project/pcre2/releases/download/pcre2-10.42/pcre2-10.42.tar.gz
    URL_HASH SHA256=c33b418e3b936ee3153de2c61cc638e7e4fe3156022a5c77d0711bcbb9d64f1f
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    SYSTEM)
  FetchContent_MakeAvailable(pcre2)
  add_library(weft_pcre2 INTERFACE)
  target_include_directories(weft_pcre2 SYSTEM INTERFACE
    "${pcre2_BINARY_DIR}")
  target_link_libraries(weft_pcre2 INTERFACE pcre2-8-static)
endif()
add_library(weft::pcre2 ALIAS weft_pcre2)
