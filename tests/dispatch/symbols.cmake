# cmake -D ARCH=<name> -D FLAGS=<its flags> -D UNIT=<its file> -D COMPILER=<c++> -D NM=<nm> -D HEADERS=<folder>
#       -D XSIMD=<folder> -D BUILD=<folder> [-D PLANT=<header> -D TEXT=<what it says> -D REPLACEMENT=<what it shall say>]
#       -P symbols.cmake
#
# Compiles a unit at -O0 and fails if it defines a symbol that another unit might define, too: one without the unit's
# own architecture in its name. With PLANT in a copy of the headers, of which one says something else.
cmake_minimum_required(VERSION 3.22)

file(MAKE_DIRECTORY ${BUILD})
if(PLANT)
  file(REMOVE_RECURSE ${BUILD}/rwkv7)
  file(COPY ${HEADERS}/rwkv7 DESTINATION ${BUILD})
  set(HEADERS ${BUILD})
  file(READ ${BUILD}/rwkv7/${PLANT} source)
  string(FIND "${source}" "${TEXT}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${PLANT} does not say: ${TEXT}")
  endif()
  string(REPLACE "${TEXT}" "${REPLACEMENT}" source "${source}")
  file(WRITE ${BUILD}/rwkv7/${PLANT} "${source}")
endif()

list(TRANSFORM XSIMD PREPEND -I)
execute_process(COMMAND ${COMPILER} -std=c++20 -O0 ${FLAGS} -I${HEADERS} ${XSIMD} -c ${UNIT} -o ${BUILD}/unit.o
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${NM} --demangle --defined-only ${BUILD}/unit.o OUTPUT_VARIABLE symbols
                COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE ";" "," symbols "${symbols}")
string(REPLACE "\n" ";" symbols "${symbols}")

set(own 0)
set(shared "")
foreach(symbol IN LISTS symbols)
  # Lower case: of this file alone; V and u: an object, of which one copy is as good as another.
  if(NOT symbol MATCHES "^[0-9a-f]+ ([A-UW-Zw]) (.*)$")
    continue()
  endif()
  set(name "${CMAKE_MATCH_2}")
  if(name MATCHES "rwkv7::backend::dispatch::${ARCH}[^A-Za-z0-9_]")
    math(EXPR own "${own} + 1")
  elseif(NOT name MATCHES "^(DW\\.ref\\.__gxx_personality_v0|__clang_call_terminate)$") # the compilers' own
    string(APPEND shared "\n  ${name}")
  endif()
endforeach()
message("${own} symbols with ${ARCH} in their name")
if(own LESS 20)
  message(FATAL_ERROR "that is not a unit")
endif()
if(shared)
  message(FATAL_ERROR "and without, which units of other architectures may define, too:${shared}")
endif()
