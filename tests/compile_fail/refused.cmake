# cmake -D COMPILER=<c++> -D FILE=<source> -D INCLUDES=<folders> -P refused.cmake
cmake_minimum_required(VERSION 3.22)

list(TRANSFORM INCLUDES PREPEND -I)
set(command ${COMPILER} -std=c++20 -fsyntax-only ${INCLUDES})

execute_process(COMMAND ${command} -D RWKV7_COMPILE_FAIL_CONTROL ${FILE} RESULT_VARIABLE status ERROR_VARIABLE output)
if(status)
  message(FATAL_ERROR "the control is refused too:\n${output}")
endif()

execute_process(COMMAND ${command} ${FILE} RESULT_VARIABLE status ERROR_VARIABLE output)
if(NOT status)
  message(FATAL_ERROR "${FILE} was accepted")
endif()

set(named FALSE)
file(READ ${FILE} source)
string(REPLACE ";" "\\;" source "${source}") # a text may hold a semicolon; a list must not be cut there
string(REGEX MATCHALL "// expect: [^\n]+" lines "${source}")
foreach(line IN LISTS lines)
  string(REPLACE "// expect: " "" text "${line}")
  set(named TRUE)
  string(FIND "${output}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "the compiler did not say\n  ${text}\nbut\n${output}")
  endif()
endforeach()
if(NOT named)
  message(FATAL_ERROR "${FILE} has no line '// expect: <text>'")
endif()
