# cmake -D FAULT=<name> [-D FILE=<header> -D TEXT=<what it says> -D REPLACEMENT=<what it shall say>]
#       -D COMPILER=<c++> -D INCLUDES=<folders> -D LIBRARIES=<files> -D HEADERS=<folder> -D TESTS=<folder> -D BUILD=<folder> -P plant.cmake
#
# Builds program.cpp against a copy of the headers with one fault planted, and passes if the program tells it. Without
# FILE nothing is planted, and the program must find nothing.
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE ${BUILD})
file(COPY ${HEADERS}/rwkv7 DESTINATION ${BUILD})
set(expected 0)
set(argument "")
if(FILE)
  file(READ ${BUILD}/rwkv7/${FILE} source)
  string(FIND "${source}" "${TEXT}" first)
  string(FIND "${source}" "${TEXT}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "${FILE} must say exactly once, for the fault ${FAULT} to replace it:\n  ${TEXT}")
  endif()
  string(REPLACE "${TEXT}" "${REPLACEMENT}" source "${source}")
  file(WRITE ${BUILD}/rwkv7/${FILE} "${source}")
  set(expected 1)
  set(argument ${FAULT})
endif()

list(TRANSFORM INCLUDES PREPEND -I)
execute_process(COMMAND ${COMPILER} -std=c++20 -O0 -DRWKV7_TEST_COMPILE_MODELS -DDOCTEST_CONFIG_DISABLE -I${BUILD} -I${TESTS} ${INCLUDES}
                        "-DRWKV7_GOLDEN_DIR=\"${TESTS}/golden\"" ${TESTS}/faults/program.cpp -o ${BUILD}/program
                        ${LIBRARIES}
                RESULT_VARIABLE status ERROR_VARIABLE output)
if(status)
  message(FATAL_ERROR "the program with the fault ${FAULT} does not compile:\n${output}")
endif()
execute_process(COMMAND ${BUILD}/program ${argument} RESULT_VARIABLE status)
if(NOT status EQUAL expected)
  message(FATAL_ERROR "${FAULT}: got status ${status}, want ${expected}")
endif()
