# weft_public_headers(TARGET): the interface target TARGET through which other
# programs see weft's headers; their list goes to WEFT_PUBLIC_HEADERS.
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
  # The C header says itself that it stands at the top.
  string(REPLACE "<weft/models/c_api/" "<weft/" text "${text}")
  file(WRITE "${OUT}" "${text}")
  return()
endif()

set(WEFT_PUBLIC_HEADERS_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

# What an embedder includes. The headers that these include follow by
# themselves; all others are nobody's business.
set(WEFT_FRONT_HEADERS
  graph/dump/formats.h graph/passes.h graph/print.h
  ops/gradient.h ops/ops.h ops/optimize.h ops/optimizer.h ops/windows.h
  backends/backend.h backends/dump_plan.h
  models/c_api/weft.h models/c_api/weft_graph.h
  models/blocks.h models/chat_template.h models/engine.h models/experts.h
  models/gguf_writer.h models/runner.h models/sampler.h models/scheduler.h)

# The front headers and everything of weft's that they include.
function(weft_header_closure out)
  set(todo ${WEFT_FRONT_HEADERS})
  set(done)
  while(todo)
    list(POP_FRONT todo header)
    if(header IN_LIST done)
      continue()
    endif()
    list(APPEND done "${header}")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY
      CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${header}")
    file(STRINGS "${PROJECT_SOURCE_DIR}/${header}" includes
         REGEX "^#include \"(graph|ops|backends|models)/")
    foreach(line IN LISTS includes)
      string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" line "${line}")
      list(APPEND todo "${line}")
    endforeach()
  endwhile()
  list(SORT done)
  set(${out} "${done}" PARENT_SCOPE)
endfunction()

function(weft_public_headers target)
  weft_header_closure(headers)
  set(root "${PROJECT_BINARY_DIR}/include")
  set(copies)
  foreach(header IN LISTS headers)
    set(copy "${root}/weft/${header}")
    string(REPLACE "/models/c_api/" "/" copy "${copy}")
    add_custom_command(
      OUTPUT "${copy}"
      DEPENDS "${PROJECT_SOURCE_DIR}/${header}"
              "${WEFT_PUBLIC_HEADERS_SCRIPT}"
      COMMAND ${CMAKE_COMMAND} "-DIN=${PROJECT_SOURCE_DIR}/${header}"
              "-DOUT=${copy}" -P "${WEFT_PUBLIC_HEADERS_SCRIPT}"
      COMMENT "" VERBATIM)
    list(APPEND copies "${copy}")
  endforeach()
  configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/version.h.in"
                 "${root}/weft/version.h" @ONLY)
  # ALL: `cmake --install` takes them from the build.
  add_custom_target(${target}_copies ALL DEPENDS ${copies})

  add_library(${target} INTERFACE)
  add_dependencies(${target} ${target}_copies)
  target_include_directories(${target} INTERFACE "${root}")
  set(WEFT_PUBLIC_HEADERS "${copies}" PARENT_SCOPE)
endfunction()
