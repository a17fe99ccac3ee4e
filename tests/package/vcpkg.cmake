# cmake -D ROOT=<repository> -D WORK=<folder> -D GENERATOR=<name> -D COMPILER=<c++> -D XSIMD=<RWKV7_XSIMD_INCLUDE_DIR>
#       -D VERSION=<want> -D FEATURES=<list> -P vcpkg.cmake
#
# The overlay port without vcpkg: its manifest is checked, its portfile runs against stand-ins for vcpkg's functions that
# take the same arguments and do the same to the files, and a program is built from the result. Dependencies are those of
# the system.
cmake_minimum_required(VERSION 3.22)

set(PORT rwkv7)
set(port ${ROOT}/cmake/vcpkg/${PORT})
set(CURRENT_PACKAGES_DIR ${WORK}/packages)
file(REMOVE_RECURSE ${WORK})

# ---- vcpkg.json

file(READ ${port}/vcpkg.json manifest)
string(JSON name GET "${manifest}" name)
string(JSON version GET "${manifest}" version)
if(NOT name STREQUAL PORT OR NOT version STREQUAL VERSION)
  message(FATAL_ERROR "vcpkg.json is ${name} ${version}, want ${PORT} ${VERSION}")
endif()
foreach(field description license)
  string(JSON type TYPE "${manifest}" ${field})
  if(NOT type STREQUAL "STRING")
    message(FATAL_ERROR "vcpkg.json: ${field} is ${type}")
  endif()
endforeach()

function(check_dependencies) # the path of an array in the manifest
  string(JSON count LENGTH "${manifest}" ${ARGN})
  math(EXPR last "${count} - 1")
  set(names "")
  foreach(i RANGE ${last})
    string(JSON type TYPE "${manifest}" ${ARGN} ${i})
    if(type STREQUAL "OBJECT") # a tool of the building machine
      string(JSON host GET "${manifest}" ${ARGN} ${i} host)
      if(NOT host STREQUAL "ON")
        message(FATAL_ERROR "vcpkg.json: ${ARGN} ${i} is an object without \"host\": true")
      endif()
      string(JSON dependency GET "${manifest}" ${ARGN} ${i} name)
    else()
      string(JSON dependency GET "${manifest}" ${ARGN} ${i})
    endif()
    if(NOT dependency MATCHES "^[a-z0-9]+(-[a-z0-9]+)*$")
      message(FATAL_ERROR "vcpkg.json: '${dependency}' is no name of a port")
    endif()
    list(APPEND names ${dependency})
  endforeach()
  set(sorted ${names})
  list(SORT sorted)
  if(NOT names STREQUAL sorted) # vcpkg format-manifest would change it
    message(FATAL_ERROR "vcpkg.json: ${ARGN} is not sorted: ${names}")
  endif()
endfunction()

check_dependencies(dependencies)
foreach(feature IN LISTS FEATURES)
  string(JSON description GET "${manifest}" features ${feature} description)
  check_dependencies(features ${feature} dependencies)
endforeach()

# ---- the functions of vcpkg that a portfile may call

macro(no_more_arguments)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${CMAKE_CURRENT_FUNCTION} was passed ${arg_UNPARSED_ARGUMENTS}")
  endif()
endmacro()

function(vcpkg_check_features)
  cmake_parse_arguments(arg "" "OUT_FEATURE_OPTIONS" "FEATURES" ${ARGN})
  no_more_arguments()
  set(options "")
  while(arg_FEATURES)
    list(POP_FRONT arg_FEATURES feature option)
    string(JSON type ERROR_VARIABLE missing TYPE "${manifest}" features ${feature})
    if(missing)
      message(FATAL_ERROR "vcpkg.json has no feature ${feature}")
    endif()
    if(feature IN_LIST FEATURES)
      list(APPEND options -D${option}=ON)
    else()
      list(APPEND options -D${option}=OFF)
    endif()
  endwhile()
  set(${arg_OUT_FEATURE_OPTIONS} "${options}" PARENT_SCOPE)
endfunction()

function(vcpkg_cmake_configure)
  cmake_parse_arguments(arg "" "SOURCE_PATH" "OPTIONS" ${ARGN})
  no_more_arguments()
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${arg_SOURCE_PATH} -B ${WORK}/build -G ${GENERATOR} ${arg_OPTIONS}
                          -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_BUILD_TYPE=Release -D BUILD_SHARED_LIBS=OFF
                          -D CMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR} -D CMAKE_INSTALL_LIBDIR=lib
                          -D RWKV7_XSIMD_INCLUDE_DIR=${XSIMD} -D FETCHCONTENT_FULLY_DISCONNECTED=ON
                  COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_install)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${WORK}/build --target install COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(vcpkg_cmake_config_fixup) # share/cmake/<port> becomes share/<port>, one level higher
  cmake_parse_arguments(arg "" "CONFIG_PATH" "" ${ARGN})
  no_more_arguments()
  set(to ${CURRENT_PACKAGES_DIR}/share/${PORT})
  file(RENAME ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH} ${to})
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/share/cmake)
  file(GLOB files ${to}/*.cmake)
  set(up "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n")
  foreach(file IN LISTS files)
    file(READ ${file} text)
    string(REPLACE "${up}${up}${up}" "${up}${up}" text "${text}")
    string(REPLACE "{CMAKE_CURRENT_LIST_DIR}/../../../" "{CMAKE_CURRENT_LIST_DIR}/../../" text "${text}")
    string(FIND "${text}" "${CURRENT_PACKAGES_DIR}" absolute)
    if(NOT absolute EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${CURRENT_PACKAGES_DIR}")
    endif()
    file(WRITE ${file} "${text}")
  endforeach()
endfunction()

function(vcpkg_fixup_pkgconfig)
  cmake_parse_arguments(arg "" "" "" ${ARGN})
  no_more_arguments()
  if(NOT EXISTS ${CURRENT_PACKAGES_DIR}/share/pkgconfig/rwkv7.pc)
    message(FATAL_ERROR "no rwkv7.pc")
  endif()
endfunction()

function(vcpkg_install_copyright)
  cmake_parse_arguments(arg "" "" "FILE_LIST" ${ARGN})
  no_more_arguments()
  file(INSTALL ${arg_FILE_LIST} DESTINATION ${CURRENT_PACKAGES_DIR}/share/${PORT})
  file(RENAME ${CURRENT_PACKAGES_DIR}/share/${PORT}/LICENSE ${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright)
endfunction()

include(${port}/portfile.cmake)

# ---- what vcpkg would complain about, and a user's program

foreach(file copyright usage rwkv7Config.cmake rwkv7ConfigVersion.cmake)
  if(NOT EXISTS ${CURRENT_PACKAGES_DIR}/share/rwkv7/${file})
    message(FATAL_ERROR "the package has no share/rwkv7/${file}")
  endif()
endforeach()
foreach(folder lib bin debug share/cmake share/licenses)
  if(EXISTS ${CURRENT_PACKAGES_DIR}/${folder})
    message(FATAL_ERROR "the package has the folder ${folder}")
  endif()
endforeach()
file(GLOB_RECURSE files LIST_DIRECTORIES true ${CURRENT_PACKAGES_DIR}/*)
foreach(folder IN LISTS files)
  file(GLOB inside ${folder}/*)
  if(IS_DIRECTORY ${folder} AND NOT inside)
    message(FATAL_ERROR "the package has the empty folder ${folder}")
  endif()
endforeach()
if(NOT VCPKG_BUILD_TYPE STREQUAL "release")
  message(FATAL_ERROR "a port without libraries sets VCPKG_BUILD_TYPE to release")
endif()

set(with_model OFF)
set(programs consumer)
if("model" IN_LIST FEATURES)
  set(with_model ON)
  list(APPEND programs model_consumer)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${ROOT}/tests/package/find_package -D BUILD=${WORK}/consumer
                        -D GENERATOR=${GENERATOR} -D "PROGRAMS=${programs}" -P ${ROOT}/tests/package/consume.cmake --
                        -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_PREFIX_PATH=${CURRENT_PACKAGES_DIR}
                        -D WITH_MODEL=${with_model} -D RWKV7_XSIMD_INCLUDE_DIR=${XSIMD}
                COMMAND_ERROR_IS_FATAL ANY)
