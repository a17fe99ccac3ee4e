# cmake -D COMPILER=<c++> -D INCLUDES=<folders> -D HEADER=<header> -D LIMIT=<ms> -P compile_time.cmake
#
# What a unit pays for one include at -O2, the least of three compilations, because other work only ever adds to it.
cmake_minimum_required(VERSION 3.23) # microseconds in TIMESTAMP

list(TRANSFORM INCLUDES PREPEND -I)
set(least 1000000)
foreach(i RANGE 1 3)
  string(TIMESTAMP start "%s%f")
  execute_process(COMMAND ${COMPILER} -std=c++20 -O2 ${INCLUDES} -include ${HEADER} -x c++ -c /dev/null -o /dev/null
                  COMMAND_ERROR_IS_FATAL ANY)
  string(TIMESTAMP end "%s%f")
  math(EXPR ms "(${end} - ${start}) / 1000")
  if(ms LESS least)
    set(least ${ms})
  endif()
endforeach()
message("#include <${HEADER}>: ${least} ms, limit ${LIMIT} ms")
if(least GREATER LIMIT)
  message(FATAL_ERROR "too slow to include")
endif()
