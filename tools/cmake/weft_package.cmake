# What is installed: libweft.a, libweft_graph.a and libweft.so, the headers, the
# CMake package and the pkg-config file.
#
# An archive is no border by itself: its objects' names meet those of whatever is
# linked with them. So the objects of all folders and of Highway are linked into
# three relocatable ones, and everything but weft's own names becomes local: an
# embedder can have another Highway, another version of weft, anything. In the
# archives weft's names are hidden, see join_objects.sh. The shared library is
# made of the same three objects.
include_guard(GLOBAL)
include(GNUInstallDirs)

# The names that stay: namespace weft::v0 (functions, then vtables, type
# information, tables of virtual bases, thunks, guards and locals of inline
# functions), and weft_* of the C interface. `!` takes out what no header shows.
string(LENGTH "${WEFT_NAMESPACE}" in)
set(in "4weft${in}${WEFT_NAMESPACE}")
set(WEFT_EXPORTS
  "weft_*" "_ZN${in}*" "_ZNK${in}*" "_ZNR${in}*" "_ZNO${in}*" "_ZTVN${in}*"
  "_ZTIN${in}*" "_ZTSN${in}*" "_ZTTN${in}*" "_ZTh*_N${in}*" "_ZTv*_N${in}*"
  "_ZGVN${in}*" "_ZZN${in}*" "_ZZNK${in}*" "_ZGVZN${in}*" "_ZGVZNK${in}*")
set(WEFT_INTERNALS "_ZN${in}3cpu*" "_ZNK${in}3cpu*" "_ZT?N${in}3cpu*"
  "_ZZN${in}3cpu*" "_ZZNK${in}3cpu*" "_ZGVZN${in}3cpu*")

# A cross compiler's binutils carry its triple; clang's read every format.
get_filename_component(compiler_dir "${CMAKE_CXX_COMPILER}" DIRECTORY)
find_program(WEFT_OBJCOPY REQUIRED HINTS "${compiler_dir}"
  NAMES ${CMAKE_LIBRARY_ARCHITECTURE}-objcopy objcopy llvm-objcopy-19
        llvm-objcopy
  DOC "objcopy that makes symbols local")

set(lib_dir "${PROJECT_BINARY_DIR}/lib")
set(names ${WEFT_INTERNALS})
list(TRANSFORM names PREPEND "!")
list(APPEND names ${WEFT_EXPORTS})
list(JOIN names "\n" names)
file(CONFIGURE OUTPUT "${lib_dir}/weft.names" CONTENT "${names}\n")

# weft_object(NAME TARGETS...): hidden/NAME.o and visible/NAME.o, all objects of
# the static libraries.
function(weft_object name)
  set(archives)
  foreach(target IN LISTS ARGN)
    list(APPEND archives "$<TARGET_FILE:${target}>")
  endforeach()
  set(script "${PROJECT_SOURCE_DIR}/tools/cmake/join_objects.sh")
  set(target)
  if(CMAKE_CXX_COMPILER_TARGET)
    set(target "--target=${CMAKE_CXX_COMPILER_TARGET}")
  endif()
  set(objects "${lib_dir}/hidden/${name}.o" "${lib_dir}/visible/${name}.o")
  add_custom_command(
    OUTPUT ${objects}
    DEPENDS ${ARGN} "${script}" "${lib_dir}/weft.names"
    COMMAND ${CMAKE_COMMAND} -E env "CXX=${CMAKE_CXX_COMPILER}"
            "CXX_TARGET=${target}" "NM=${CMAKE_NM}" "OBJCOPY=${WEFT_OBJCOPY}"
            "${script}" "${lib_dir}" ${name} "${lib_dir}/weft.names" ${archives}
    COMMENT "Joining lib/*/${name}.o" VERBATIM)
  set_source_files_properties(${objects} PROPERTIES
    GENERATED ON EXTERNAL_OBJECT ON)
endfunction()

function(weft_installed_library target kind output)  # objects...
  list(TRANSFORM ARGN PREPEND "${lib_dir}/")
  add_library(${target} ${kind} ${ARGN})
  set_target_properties(${target} PROPERTIES
    LINKER_LANGUAGE CXX
    OUTPUT_NAME ${output}
    ARCHIVE_OUTPUT_DIRECTORY "${lib_dir}"
    LIBRARY_OUTPUT_DIRECTORY "${lib_dir}")
  # Each object is in several libraries, but made once, before any of them.
  add_dependencies(${target} weft_objects)
  install(TARGETS ${target}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
endfunction()

# The C interface is a member of its own: no C++ program takes it from the
# archive, so that archives of two versions can be linked into one.
weft_object(weft_graph weft_graph weft_ops)
weft_object(weft_engine weft_backends weft_models weft_hwy)
weft_object(weft_c weft_c_api)
set(objects weft_graph.o weft_engine.o weft_c.o)
list(TRANSFORM objects PREPEND hidden/ OUTPUT_VARIABLE hidden)
list(TRANSFORM objects PREPEND visible/ OUTPUT_VARIABLE visible)
list(TRANSFORM hidden PREPEND "${lib_dir}/" OUTPUT_VARIABLE objects)
add_custom_target(weft_objects DEPENDS ${objects})

weft_installed_library(weft_graph_static STATIC weft_graph hidden/weft_graph.o)
weft_installed_library(weft_static STATIC weft ${hidden})

if(WEFT_SHARED)
  weft_installed_library(weft_shared SHARED weft ${visible})
  # Versioned names: programs of two versions keep apart in one process.
  set(script "${lib_dir}/weft.map")
  set(names "${WEFT_EXPORTS}")
  list(TRANSFORM names APPEND "@")
  list(JOIN names "" names)
  string(REPLACE "@" ";\n" names
         "WEFT_${WEFT_RELEASE} {\nglobal:\n${names}local: *@}@")
  file(CONFIGURE OUTPUT "${script}" CONTENT "${names}")
  set_target_properties(weft_shared PROPERTIES
    VERSION ${PROJECT_VERSION} SOVERSION ${WEFT_RELEASE})
  # Bound to itself, so that no other copy in the process gets in between.
  target_link_options(weft_shared PRIVATE "-Wl,--version-script=${script}"
    -Wl,-Bsymbolic -Wl,--no-undefined -Wl,--as-needed)
  set_target_properties(weft_shared PROPERTIES LINK_DEPENDS "${script}")
  target_link_libraries(weft_shared PRIVATE
    ${WEFT_ABSL} weft::pcre2 weft::utf8proc Threads::Threads)
endif()

# ---- headers and descriptions ----

install(DIRECTORY "${PROJECT_BINARY_DIR}/include/weft"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/weft")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/tools/cmake/weft-config.cmake.in"
  "${lib_dir}/weft-config.cmake"
  INSTALL_DESTINATION "${package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR
  NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# What weft_version.cmake calls a release.
set(compatible SameMajorVersion)
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(compatible SameMinorVersion)
endif()
write_basic_package_version_file(
  "${lib_dir}/weft-config-version.cmake" COMPATIBILITY ${compatible})
install(FILES "${lib_dir}/weft-config.cmake"
              "${lib_dir}/weft-config-version.cmake"
        DESTINATION "${package_dir}")

# weft_pc_names(OUT TARGETS...): as "absl_status = 20220623, absl_span = ...".
function(weft_pc_names out)
  set(only)
  if(WEFT_ABSL_VERSION)
    set(only " = ${WEFT_ABSL_VERSION}")
  endif()
  list(TRANSFORM ARGN REPLACE "^absl::(.*)$" "absl_\\1${only}")
  list(JOIN ARGN ", " names)
  set(${out} "${names}" PARENT_SCOPE)
endfunction()
weft_pc_names(pc_shown ${WEFT_ABSL_SHOWN})
weft_pc_names(pc_private ${WEFT_ABSL})
foreach(pc IN ITEMS weft weft-c)
  configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/${pc}.pc.in"
                 "${lib_dir}/${pc}.pc" @ONLY)
endforeach()
install(FILES "${lib_dir}/weft.pc" "${lib_dir}/weft-c.pc"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
