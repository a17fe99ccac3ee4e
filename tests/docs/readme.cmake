# cmake -D README=… -D COMPILER=… -D "INCLUDES=…;…" -D WORK=… -P readme.cmake
cmake_minimum_required(VERSION 3.22)

file(READ ${README} text)
string(FIND "${text}" "```cpp\n" begin)
math(EXPR begin "${begin} + 7")
string(SUBSTRING "${text}" ${begin} -1 rest)
string(FIND "${rest}" "```" length)
string(SUBSTRING "${rest}" 0 ${length} program)
file(WRITE ${WORK}/readme.cpp "${program}")

set(flags -std=c++20 -O1 -Wall -Wextra -Werror)
list(REMOVE_ITEM INCLUDES /usr/include) # searched anyway; named here it would come too early for g++
foreach(dir IN LISTS INCLUDES)
  list(APPEND flags -I ${dir})
endforeach()
execute_process(COMMAND ${COMPILER} ${flags} ${WORK}/readme.cpp -o ${WORK}/readme COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${WORK}/readme OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
message("${printed}")
string(FIND "${text}" "It prints `${printed}`." found)
if(found EQUAL -1)
  message(FATAL_ERROR "README does not say that the program prints `${printed}`")
endif()
