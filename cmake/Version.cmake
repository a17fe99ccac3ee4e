# RWKV7_VERSION, read from the header, so that there is one place to edit.

set(_header ${CMAKE_CURRENT_LIST_DIR}/../include/rwkv7/version.hpp)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_header})

set(_parts "")
foreach(_part MAJOR MINOR PATCH)
  file(STRINGS ${_header} _line REGEX "^#define RWKV7_VERSION_${_part} +[0-9]+")
  if(NOT _line MATCHES "([0-9]+)[ \t]*$")
    message(FATAL_ERROR "rwkv7: no RWKV7_VERSION_${_part} in ${_header}")
  endif()
  list(APPEND _parts ${CMAKE_MATCH_1})
endforeach()
list(JOIN _parts "." RWKV7_VERSION)
