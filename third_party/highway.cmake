# Highway >= 1.2, always built from source: distributions ship shared libraries
# only, and older ones. Target: weft::hwy, for backends/cpu and the tests.
#
# The source is, in this order: WEFT_HIGHWAY_DIR; what lies unpacked in
# WEFT_DEPS_DIR; the source package of the distribution (fetch_highway.sh, needs
# no root); a pinned release.
if(PROJECT_IS_TOP_LEVEL)
  set(deps "${PROJECT_SOURCE_DIR}/build/third_party")  # shared by all presets
else()
  set(deps "${PROJECT_BINARY_DIR}/third_party")
endif()
set(WEFT_DEPS_DIR "${deps}" CACHE PATH "Where Highway's source is unpacked")
set(WEFT_HIGHWAY_DIR "" CACHE PATH "A Highway source tree (>= 1.2) to use")

set(hwy_dir "${WEFT_HIGHWAY_DIR}")
if(NOT hwy_dir)
  find_program(WEFT_APT_GET apt-get)
  if(WEFT_APT_GET)
    # Prints the folder; returns at once when it is there already.
    execute_process(
      COMMAND "${CMAKE_CURRENT_LIST_DIR}/fetch_highway.sh" "${WEFT_DEPS_DIR}"
      OUTPUT_VARIABLE hwy_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
endif()
if(NOT hwy_dir)
  FetchContent_Declare(highway
    # The same tarball as the .orig of Debian's highway 1.2.0-2, whose .dsc
    # states the SHA-256.
    URL https://github.com/google/highway/archive/refs/tags/1.2.0.tar.gz
    URL_HASH SHA256=7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    SOURCE_SUBDIR none)  # unpack only: the target is defined below
  FetchContent_MakeAvailable(highway)
  set(hwy_dir "${highway_SOURCE_DIR}")
endif()

file(STRINGS "${hwy_dir}/hwy/base.h" version REGEX "define HWY_M(AJ|IN)OR ")
string(REGEX REPLACE "[^0-9]+([0-9]+)" ".\\1" version "${version}")
string(SUBSTRING "${version}" 1 -1 version)
if(version VERSION_LESS 1.2)
  message(FATAL_ERROR "Highway ${version} in ${hwy_dir} is older than 1.2")
endif()
message(STATUS "Highway ${version}: ${hwy_dir}")

file(GLOB sources "${hwy_dir}/hwy/*.cc" "${hwy_dir}/hwy/contrib/thread_pool/*.cc")
list(FILTER sources EXCLUDE REGEX "(_test|/nanobenchmark|/stats|/topology)\\.cc$")
add_library(weft_hwy STATIC ${sources})
add_library(weft::hwy ALIAS weft_hwy)
target_compile_features(weft_hwy PUBLIC cxx_std_17)
target_compile_options(weft_hwy PRIVATE -w)
target_include_directories(weft_hwy SYSTEM PUBLIC "${hwy_dir}")
target_link_libraries(weft_hwy PUBLIC Threads::Threads)
if(NOT PROJECT_IS_TOP_LEVEL)
  # It meets the host's archives, which may have another Highway in them: its
  # namespace is weft_hwy there. Where weft is installed its names are local.
  target_compile_definitions(weft_hwy PUBLIC hwy=weft_hwy)
endif()

# Every target multiplies the compile time of every kernel and the size of the
# library. On x86 we keep SSE2 (the baseline), AVX2, AVX3, AVX3_DL (off unless
# asked for) and AVX3_ZEN4 (BF16, which backends/cpu takes on Intel too). SSSE3
# and SSE4 serve only machines from before 2013; AVX3_SPR adds FP16 arithmetic,
# which we don't use. On Arm we keep NEON (without AES, which we don't use
# either), NEON_BF16, SVE, and SVE of the fixed lengths 128 and 256; SVE2 itself
# adds nothing that we use.
set(WEFT_DISABLED_TARGETS
    "(HWY_SSSE3|HWY_SSE4|HWY_AVX3_SPR|HWY_NEON|HWY_SVE2)" CACHE STRING
    "Highway targets that are not compiled (HWY_DISABLED_TARGETS), or empty")
target_compile_definitions(weft_hwy PUBLIC HWY_WANT_AVX3_DL)
if(WEFT_DISABLED_TARGETS)
  target_compile_definitions(weft_hwy PUBLIC
    "HWY_DISABLED_TARGETS=${WEFT_DISABLED_TARGETS}")
endif()
