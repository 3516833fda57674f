# The releases that need not be compatible, in order: below 1.0 each minor
# version, from then on each major one. The last is this tree's.
#
# Its place in the list is the number of the inline namespace in all sources
# (tests/house_rules.cmake looks): weft::v0 is that of 0.1. So a number never
# comes back, and what was compiled for one release does not link with another.
set(WEFT_RELEASES 0.1)

list(LENGTH WEFT_RELEASES weft_number)
math(EXPR weft_number "${weft_number} - 1")
set(WEFT_NAMESPACE v${weft_number})
list(GET WEFT_RELEASES -1 WEFT_RELEASE)

# By the build, with the version that project() states.
if(PROJECT_VERSION)
  set(weft_release ${PROJECT_VERSION_MAJOR})
  if(PROJECT_VERSION_MAJOR EQUAL 0)
    string(APPEND weft_release .${PROJECT_VERSION_MINOR})
  endif()
  if(NOT weft_release STREQUAL WEFT_RELEASE)
    message(FATAL_ERROR "weft ${PROJECT_VERSION} is of release ${weft_release}, \
but WEFT_RELEASES in ${CMAKE_CURRENT_LIST_FILE} ends with ${WEFT_RELEASE}: add \
the release there, and give all sources the next inline namespace")
  endif()
endif()
