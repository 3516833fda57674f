# GoogleTest, for the tests.
set(INSTALL_GTEST OFF)
FetchContent_Declare(GTest
  # SHA-256 as stated in the build files of many projects that pin this release.
  URL https://github.com/google/googletest/archive/refs/tags/v1.14.0.tar.gz
  URL_HASH SHA256=8ad598c73ad796e0d8280b082cebd82a630d73e73cd3c70057938a6501bba5d7
  DOWNLOAD_EXTRACT_TIMESTAMP OFF
  SYSTEM
  FIND_PACKAGE_ARGS 1.12 CONFIG GLOBAL)
FetchContent_MakeAvailable(GTest)
