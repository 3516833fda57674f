# utf8proc, for the normalisation that WordPiece vocabularies ask for. Target:
# weft::utf8proc. Distributions ship it without a CMake package, hence by hand.
if(NOT CMAKE_DISABLE_FIND_PACKAGE_UTF8PROC)
  find_path(WEFT_UTF8PROC_INCLUDE_DIR utf8proc.h)
  find_library(WEFT_UTF8PROC_LIBRARY utf8proc)
endif()
add_library(weft_utf8proc INTERFACE)
add_library(weft::utf8proc ALIAS weft_utf8proc)
if(WEFT_UTF8PROC_INCLUDE_DIR AND WEFT_UTF8PROC_LIBRARY)
  target_include_directories(weft_utf8proc SYSTEM INTERFACE
    "${WEFT_UTF8PROC_INCLUDE_DIR}")
  target_link_libraries(weft_utf8proc INTERFACE "${WEFT_UTF8PROC_LIBRARY}")
else()
  FetchContent_Declare(utf8proc
    # The same tarball as the .orig of Debian's utf8proc 2.8.0-1.
    URL https://github.com/JuliaStrings/utf8proc/archive/refs/tags/v2.8.0.tar.gz
    URL_HASH SHA256=a0a60a79fe6f6d54e7d411facbfcc867a6e198608f2cd992490e46f04b1bcecc
    DOWNLOAD_EXTRACT_TIMESTAMP OFF
    SYSTEM)
  FetchContent_MakeAvailable(utf8proc)
  target_link_libraries(weft_utf8proc INTERFACE utf8proc)
endif()
