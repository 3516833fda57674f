# The rules of the house that no compiler checks. Run by ctest, or by hand:
#   cmake -DROOT=. -P tests/house_rules.cmake
# Prints every violation as file:line: and fails if there is one.
cmake_minimum_required(VERSION 3.25)

set(violations 0)
function(violation where text)
  message("${where}: ${text}")
  math(EXPR n "${violations} + 1")
  set(violations ${n} PARENT_SCOPE)
endfunction()

# What each folder may include, and which standard headers it may not: graph/
# and ops/ know neither threads nor files.
set(std_io "thread|mutex|shared_mutex|condition_variable|future|semaphore")
string(APPEND std_io "|barrier|latch|fstream|filesystem|iostream|sys/[^>]*")
string(APPEND std_io "|unistd.h|fcntl.h|pthread.h")
set(graph_may    "graph/")
set(graph_not    "<(${std_io})>")
set(ops_may      "graph/|ops/")
set(ops_not      "<(${std_io})>")
set(backends_may "graph/|ops/|backends/")
set(models_may   "graph/|ops/|models/|backends/backend\\.h$")
set(tools_may    "graph/|ops/|models/|tools/|backends/[^/]*$")
set(tests_may    "graph/|ops/|backends/|models/|tools/|tests/|hwy/")
set(libraries    "^(graph|ops|backends|models)/")
set(third_party  "absl/|gtest/|gmock/|benchmark/|nlohmann/")

# Calls that end the host's process, write to its terminal or read its
# environment. Library code reports through absl::Status instead.
set(word "(^|[^A-Za-z0-9_])")
set(ban_abort  "${word}(abort|exit|_Exit|quick_exit|terminate|HWY_ABORT)\\(")
set(ban_throw  "${word}throw([^A-Za-z0-9_]|$)")
set(ban_stream "std::(cout|cerr|clog)")
set(ban_printf "${word}(printf|fprintf|vprintf|vfprintf|puts|putchar|perror)\\(")
# They write from a destructor, where a failed allocation ends the process.
set(ban_format "StrFormat\\(|StrAppendFormat\\(")
set(ban_getenv "${word}(getenv|secure_getenv|setenv)\\(")

# An item without a name is nobody's.
set(todo "TODO")

function(check_include)  # uses folder, file, where, line
  if(line MATCHES "^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]")
    set(bracket "${CMAKE_MATCH_1}")
    set(path "${CMAKE_MATCH_2}")
    if(path MATCHES "^hwy/" AND NOT file MATCHES "^(backends/cpu|tests)/")
      violation("${where}" "hwy/ belongs to backends/cpu")
    elseif(bracket STREQUAL "\"" AND NOT path MATCHES "^(${third_party}|hwy/)"
           AND NOT path MATCHES "^(${${folder}_may})")
      violation("${where}" "${folder}/ may not include \"${path}\"")
    elseif(DEFINED ${folder}_not AND bracket STREQUAL "<"
           AND "<${path}>" MATCHES "^${${folder}_not}$")
      violation("${where}" "${folder}/ may not include <${path}>")
    elseif(file MATCHES "${libraries}"
           AND path MATCHES "^absl/container/(flat|node)_hash_")
      violation("${where}" "tables that survive a failed allocation: graph/hash.h")
    endif()
  endif()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

function(check_line)  # uses folder, file, where, line
  check_include()
  if(line MATCHES "${todo}" AND NOT line MATCHES "${todo}\\([^)]+\\)")
    violation("${where}" "${todo} without a name: ${todo}(name)")
  endif()
  if(file MATCHES "${libraries}")
    string(REGEX REPLACE "//.*" "" code "${line}")
    foreach(ban IN ITEMS abort throw stream printf format getenv)
      if(code MATCHES "${ban_${ban}}")
        string(REGEX REPLACE "^[^A-Za-z_]" "" found "${CMAKE_MATCH_0}")
        violation("${where}" "not in library code: ${found}")
      endif()
    endforeach()
  endif()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

function(check_guard file text)
  string(TOUPPER "WEFT_${file}_" guard)
  string(REGEX REPLACE "[^A-Z0-9_]" "_" guard "${guard}")
  # Highway's -inl.h files are read once per target instead.
  set(toggle "#if defined\\(${guard}\\) ==[ \\\n]+defined\\(HWY_TARGET_TOGGLE\\)")
  if(NOT text MATCHES "#ifndef ${guard}\n#define ${guard}\n"
     AND NOT text MATCHES "${toggle}")
    violation("${file}:1" "header guard is not ${guard}")
  endif()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

function(check_length file text)
  string(REGEX REPLACE "[^\n]" "" lines "${text}")
  string(LENGTH "${lines}" count)
  if(count GREATER 500)
    violation("${file}:501" "${count} lines, 500 at most")
  endif()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

# All sources are in the inline namespace of this release.
function(check_namespace file text)
  string(REGEX MATCHALL "weft::inline v[0-9]+" found "${text}")
  list(REMOVE_DUPLICATES found)
  list(REMOVE_ITEM found "weft::inline ${WEFT_NAMESPACE}")
  if(found)
    violation("${file}:1" "${found}: release ${WEFT_RELEASE} is ${WEFT_NAMESPACE}")
  endif()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

function(check_file folder file)
  file(READ "${ROOT}/${file}" text)
  check_length("${file}" "${text}")
  check_namespace("${file}" "${text}")
  if(file MATCHES "\\.h$")
    check_guard("${file}" "${text}")
  endif()

  # One look at the whole file spares most of them the walk through the lines.
  set(suspicious "#[ \t]*include|${todo}")
  if(file MATCHES "${libraries}")
    string(APPEND suspicious
      "|${ban_abort}|${ban_throw}|${ban_stream}|${ban_printf}"
      "|${ban_format}|${ban_getenv}")
  endif()
  # CMake's list syntax must not see the code's own.
  string(REGEX REPLACE "[][;\\]" "?" text "${text}")
  string(REPLACE "\n" ";" text "${text}")
  set(number 0)
  foreach(line IN LISTS text)
    math(EXPR number "${number} + 1")
    if(line MATCHES "${suspicious}")
      set(where "${file}:${number}")
      check_line()
    endif()
  endforeach()
  set(violations ${violations} PARENT_SCOPE)
endfunction()

get_filename_component(ROOT "${ROOT}" ABSOLUTE)
include("${ROOT}/tools/cmake/weft_version.cmake")
set(checked 0)
foreach(folder IN ITEMS graph ops backends models tools tests)
  file(GLOB_RECURSE files RELATIVE "${ROOT}"
       "${ROOT}/${folder}/*.cc" "${ROOT}/${folder}/*.h")
  foreach(file IN LISTS files)
    check_file(${folder} "${file}")
    math(EXPR checked "${checked} + 1")
  endforeach()
endforeach()
# Build files and scripts: their length alone.
foreach(folder IN ITEMS graph ops backends models tools tests third_party)
  file(GLOB_RECURSE files RELATIVE "${ROOT}" "${ROOT}/${folder}/*.cmake"
       "${ROOT}/${folder}/CMakeLists.txt" "${ROOT}/${folder}/*.sh"
       "${ROOT}/${folder}/dev")
  foreach(file IN LISTS files)
    file(READ "${ROOT}/${file}" text)
    check_length("${file}" "${text}")
    check_namespace("${file}" "${text}")
  endforeach()
endforeach()

if(checked EQUAL 0)
  message(FATAL_ERROR "no source below ${ROOT}")
elseif(violations)
  message(FATAL_ERROR "${violations} violations in ${checked} files")
endif()
message("${checked} files keep the rules of the house")
