# Abseil >= 20220623, the version of Debian 12 and Ubuntu 24.04.
set(ABSL_PROPAGATE_CXX_STD ON)
FetchContent_Declare(absl
  # SHA-256 as stated in the build files of many projects that pin this release.
  URL https://github.com/abseil/abseil-cpp/archive/refs/tags/20240116.2.tar.gz
  URL_HASH SHA256=733726b8c3a6d39a4120d7e45ea8b41a434cdacde401cba500f14236c49b39dc
  DOWNLOAD_EXTRACT_TIMESTAMP OFF
  SYSTEM
  FIND_PACKAGE_ARGS CONFIG GLOBAL)
FetchContent_MakeAvailable(absl)

# Abseil's version file accepts only the very version asked for, so the minimum
# is checked here.
if(absl_FOUND AND absl_VERSION VERSION_LESS 20220623)
  message(FATAL_ERROR
    "Abseil ${absl_VERSION} in ${absl_DIR} is older than 20220623. "
    "-DCMAKE_DISABLE_FIND_PACKAGE_absl=ON fetches a newer one.")
endif()

# What is compiled with one release links with no other (Abseil's namespace has
# its number), so the package says which it was. A fetched one says so itself.
set(WEFT_ABSL_VERSION "${absl_VERSION}")
if(NOT absl_FOUND AND EXISTS "${absl_SOURCE_DIR}/absl/base/config.h")
  file(STRINGS "${absl_SOURCE_DIR}/absl/base/config.h" WEFT_ABSL_VERSION
       REGEX "define ABSL_LTS_RELEASE_VERSION ")
  string(REGEX REPLACE "[^0-9]+" "" WEFT_ABSL_VERSION "${WEFT_ABSL_VERSION}")
endif()
set(WEFT_ABSL_VERSION "${WEFT_ABSL_VERSION}" PARENT_SCOPE)
