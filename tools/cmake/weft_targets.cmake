# Functions that define weft's targets, with the flags common to all of them.
include_guard(GLOBAL)

if(NOT CMAKE_CXX_STANDARD)
  set(CMAKE_CXX_STANDARD 20)  # for fetched libraries too: Abseil's ABI depends
endif()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# To compile with ccache: export CMAKE_CXX_COMPILER_LAUNCHER=ccache, which
# leaves out precompiled headers (a cache cannot share what uses them).
set(pch ${PROJECT_IS_TOP_LEVEL})
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(pch OFF)
endif()
option(WEFT_PCH "Precompile the headers of other libraries" ${pch})

# Sanitizers cover everything we compile, Highway included.
if(WEFT_SANITIZE)
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  if(WEFT_SANITIZE MATCHES "undefined")
    # A third of the time that kernels take to compile; the address sanitizer
    # sees what is read and written through such pointers.
    add_compile_options(-fno-sanitize=pointer-overflow,null,object-size)
  endif()
  # Newer Abseil hash tables carry extra fields under a sanitizer; the system's
  # library was compiled without one, so both sides must go without them.
  add_compile_definitions(NDEBUG_SANITIZER)
endif()
if(WEFT_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "WEFT_FUZZ needs clang (libFuzzer is part of it)")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Flags for our own code only; third-party headers are SYSTEM includes.
add_library(weft_flags INTERFACE)
target_compile_features(weft_flags INTERFACE cxx_std_20)
# Includes are spelled from the root: "graph/graph.h".
target_include_directories(weft_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(weft_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wvla
  $<$<BOOL:${WEFT_DEVELOPER_MODE}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ABI notes about vectors wider than the baseline's: all our vector
  # functions are internal to one file. And false positives, of g++ 12 and 14, on
  # std::string's operator+ (GCC bug 105651) and on what is inlined of
  # std::vector, std::optional and copies of shapes. clang keeps looking for
  # uninitialized variables.
  target_compile_options(weft_flags INTERFACE
    -Wno-psabi -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
    -Wno-free-nonheap-object -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" OR
   CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 14)
  # std::stable_sort of libstdc++ 12 uses a function that C++17 deprecates, and
  # newer releases of Abseil deprecate HexStringToBytes, for one that the oldest
  # release here does not have. g++ 12 keeps looking for deprecated functions.
  target_compile_options(weft_flags INTERFACE -Wno-deprecated-declarations)
endif()
# "Bit-exact" in a reference decoder means no fused multiply-add unless written.
# backends/ undoes this for its kernels; an option given later wins.
target_compile_options(weft_flags INTERFACE -ffp-contract=off)

# weft_precompile(TARGET OWNER HEADERS...): TARGET compiles with HEADERS
# precompiled. The first to name OWNER makes them; the others, which must have
# the same compile options, use what it made. Other libraries' headers only: to
# edit one of ours should not compile all files.
function(weft_precompile target owner)
  if(NOT WEFT_PCH)
    return()
  endif()
  get_property(maker GLOBAL PROPERTY weft_precompiled_${owner})
  if(maker)
    target_precompile_headers(${target} REUSE_FROM ${maker})
  else()
    set_property(GLOBAL PROPERTY weft_precompiled_${owner} ${target})
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Slower, no worse. And g++ collects garbage from 128 MiB on, which such a
    # header alone has: a twelfth of the time.
    target_compile_options(${target} PRIVATE -Wno-error=invalid-pch
      --param=ggc-min-heapsize=524288)
  endif()
endfunction()
set(WEFT_COMMON_HEADERS
    <algorithm> <cmath> <functional> <memory> <optional> <string> <utility>
    <vector> <absl/algorithm/container.h> <absl/container/flat_hash_map.h>
    <absl/container/flat_hash_set.h>
    <absl/status/status.h> <absl/status/statusor.h>
    <absl/strings/str_cat.h> <absl/strings/str_format.h>
    <absl/strings/str_join.h> <absl/strings/str_split.h>
    <absl/types/span.h>)

# weft_library(NAME [EXCLUDE regex] [LINK targets...] [PRIVATE targets...]
#              [SIZE] [FAST globs...])
# The static library weft_NAME of all .cc files at or below
# the current folder that are not in `exclude` (a regular expression).
# SIZE: what runs once for a model is compiled for size in a release, which takes
# a quarter to a third off it (mostly copies of what std::string, Abseil and
# nlohmann-json inline); FAST: all but these files.
function(weft_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SIZE" "EXCLUDE" "LINK;PRIVATE;FAST")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS *.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS *.h)
  if(arg_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${arg_EXCLUDE}")
  endif()
  if(NOT sources)  # a folder of headers only
    set(sources "${CMAKE_CURRENT_BINARY_DIR}/empty.cc")
    if(NOT EXISTS "${sources}")
      file(WRITE "${sources}" "")
    endif()
  endif()
  add_library(weft_${name} STATIC ${sources} ${headers})
  target_compile_features(weft_${name} PUBLIC cxx_std_20)
  target_link_libraries(weft_${name}
    PUBLIC ${arg_LINK}
    PRIVATE $<BUILD_INTERFACE:weft_flags> ${arg_PRIVATE})
  if(NOT arg_SIZE)
    weft_precompile(weft_${name} weft_${name} ${WEFT_COMMON_HEADERS})
    return()
  endif()
  target_compile_options(weft_${name} PRIVATE $<$<CONFIG:Release>:-Os>)
  weft_precompile(weft_${name} small_libraries ${WEFT_COMMON_HEADERS})
  # What the release has; -O3 by CMake where weft is a part of something else.
  string(REGEX MATCHALL "-O[0-9a-z]+" level "-O2 ${CMAKE_CXX_FLAGS_RELEASE}")
  list(GET level -1 level)
  foreach(pattern IN LISTS arg_FAST)
    file(GLOB fast CONFIGURE_DEPENDS ${pattern})
    if(NOT fast)
      message(FATAL_ERROR "weft_${name}: no file is ${pattern}")
    endif()
    # An option of a file comes behind those of its library. Precompiled headers
    # are for the other files' optimisation.
    set_property(SOURCE ${fast} APPEND PROPERTY
      COMPILE_OPTIONS $<$<CONFIG:Release>:${level}>)
    set_property(SOURCE ${fast} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
  endforeach()
endfunction()

# weft_program(NAME SOURCE LINK targets...)
function(weft_program name source)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK")
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE weft_flags ${arg_LINK})
endfunction()
