# cmake -D PREFIX=<moved package> -D COMPILER=<c++> -D WITH_MODEL=<bool> -D VERSION=<want> -D WORK=<folder> -P pkg_config.cmake
#
# As a makefile would: c++ consumer.cpp $(pkg-config --cflags --libs rwkv7).
cmake_minimum_required(VERSION 3.22)

find_program(pkg_config NAMES pkg-config pkgconf)
if(NOT pkg_config)
  message("SKIPPED: no pkg-config")
  return()
endif()
set(ENV{PKG_CONFIG_PATH} ${PREFIX}/share/pkgconfig)
foreach(module eigen3 xsimd minizip)
  execute_process(COMMAND ${pkg_config} --exists ${module} RESULT_VARIABLE missing)
  if(missing)
    message("SKIPPED: ${module} has no pkg-config file here")
    return()
  endif()
endforeach()

execute_process(COMMAND ${pkg_config} --modversion rwkv7 OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
  message(FATAL_ERROR "rwkv7.pc says ${version}, version.hpp ${VERSION}")
endif()

function(build_and_run module source)
  execute_process(COMMAND ${pkg_config} --cflags --libs ${module} OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE
                  COMMAND_ERROR_IS_FATAL ANY)
  message("${module}: ${flags}")
  separate_arguments(flags UNIX_COMMAND "${flags}")
  list(FIND flags "-I${PREFIX}/share/pkgconfig/../../include" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "the include folder is not that of the prefix the package was moved to")
  endif()
  execute_process(COMMAND ${COMPILER} -std=c++20 -Wall -Wextra -Wshadow -Wconversion -Werror
                          ${CMAKE_CURRENT_LIST_DIR}/${source} -o ${WORK}/${module} ${flags} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${WORK}/${module} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(MAKE_DIRECTORY ${WORK})
build_and_run(rwkv7 main.cpp)
if(WITH_MODEL)
  build_and_run(rwkv7-model model.cpp)
endif()
