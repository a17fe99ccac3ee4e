# cmake -D ROOT=<tree> -P symmetry.cmake
#
# One word finds everything: operands and kernels have the file name of their op, and an op has a test of its name.
cmake_minimum_required(VERSION 3.22)

set(helpers_reference activation element) # what several kernels share
set(helpers_cpu activation attention dispatch elements gemm gemm_by_inputs gemm_columns integer_dot math normalise parallel params pieces quantised
    reduce registers resident_head simd transpose wkv7_columns wkv7_double wkv7_halves wkv7_head wkv7_rows)
set(errors "")

foreach(backend reference cpu)
  file(GLOB files RELATIVE ${ROOT}/include/rwkv7/backend/${backend} ${ROOT}/include/rwkv7/backend/${backend}/*.hpp)
  foreach(file IN LISTS files)
    string(REGEX REPLACE "\\.hpp$" "" name ${file})
    if(NOT name IN_LIST helpers_${backend} AND NOT EXISTS ${ROOT}/include/rwkv7/ops/${file})
      string(APPEND errors "\n  backend/${backend}/${file} has no ops/${file}")
    endif()
  endforeach()
endforeach()

file(GLOB files RELATIVE ${ROOT}/include/rwkv7/operands ${ROOT}/include/rwkv7/operands/*.hpp)
foreach(file IN LISTS files)
  if(NOT EXISTS ${ROOT}/include/rwkv7/ops/${file})
    string(APPEND errors "\n  operands/${file} has no ops/${file}")
  endif()
endforeach()

file(GLOB files RELATIVE ${ROOT}/include/rwkv7/ops ${ROOT}/include/rwkv7/ops/*.hpp)
foreach(file IN LISTS files)
  string(REGEX REPLACE "\\.hpp$" ".cpp" test ${file})
  if(NOT EXISTS ${ROOT}/tests/ops/${test})
    string(APPEND errors "\n  ops/${file} has no tests/ops/${test}")
  endif()
endforeach()

if(errors)
  message(FATAL_ERROR "the folders do not mirror each other:${errors}")
endif()
