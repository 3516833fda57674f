# weft_public_headers(TARGET): the interface target TARGET (alias weft::TARGET)
# through which other programs use weft.
#
# In the tree an include is spelled "graph/graph.h". An embedder may well have a
# graph/ of its own, so it gets copies in <build>/include/weft/ whose includes
# are prefixed: <weft/graph/graph.h>. The copies are made at build time.
include_guard(GLOBAL)

# Script mode, for one header: cmake -DIN=.. -DOUT=.. -P weft_public_headers.cmake
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${IN}" text)
  string(REGEX REPLACE "#include \"((graph|ops|backends|models)/[^\"]+)\""
         "#include <weft/\\1>" text "${text}")
  file(WRITE "${OUT}" "${text}")
  return()
endif()

set(WEFT_PUBLIC_HEADERS_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(weft_public_headers target)
  # Concrete backends are not part of the interface.
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS
       RELATIVE "${PROJECT_SOURCE_DIR}"
       graph/*.h ops/*.h models/*.h)
  file(GLOB backend_headers CONFIGURE_DEPENDS
       RELATIVE "${PROJECT_SOURCE_DIR}" backends/*.h)
  set(root "${PROJECT_BINARY_DIR}/include")
  set(copies)
  foreach(header IN LISTS headers backend_headers)
    add_custom_command(
      OUTPUT "${root}/weft/${header}"
      DEPENDS "${PROJECT_SOURCE_DIR}/${header}"
              "${WEFT_PUBLIC_HEADERS_SCRIPT}"
      COMMAND ${CMAKE_COMMAND} "-DIN=${PROJECT_SOURCE_DIR}/${header}"
              "-DOUT=${root}/weft/${header}"
              -P "${WEFT_PUBLIC_HEADERS_SCRIPT}"
      COMMENT "" VERBATIM)
    list(APPEND copies "${root}/weft/${header}")
  endforeach()
  add_custom_target(${target}_headers DEPENDS ${copies})

  add_library(${target} INTERFACE)
  add_library(weft::${target} ALIAS ${target})
  add_dependencies(${target} ${target}_headers)
  target_include_directories(${target} INTERFACE "${root}")
  target_link_libraries(${target} INTERFACE weft::models)
endfunction()
