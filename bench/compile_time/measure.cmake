# What including the library costs: cmake --build <build> --target rwkv7_compile_time
#
#   cmake -DCOMPILER=… -DINCLUDES=dir;dir -DWORK=dir -P measure.cmake
#
# Median of five compilations of a unit that holds one #include, at -O2, in seconds. timemix.hpp's limit is 1.5 s with g++ 12.
cmake_minimum_required(VERSION 3.22)

set(flags -std=c++20 -O2)
foreach(dir IN LISTS INCLUDES)
  list(APPEND flags -isystem ${dir})
endforeach()

foreach(header xsimd/xsimd.hpp rwkv7/core/view.hpp rwkv7/ops/wkv7.hpp rwkv7/timemix.hpp rwkv7/exec/threads.hpp
               rwkv7/adapt/eigen.hpp rwkv7/model.hpp)
  file(WRITE ${WORK}/unit.cpp "#include <${header}>\n")
  set(times "")
  foreach(round 1 2 3 4 5)
    string(TIMESTAMP start "%s%f")
    execute_process(COMMAND ${COMPILER} ${flags} -c ${WORK}/unit.cpp -o ${WORK}/unit.o RESULT_VARIABLE failed
                    ERROR_VARIABLE text)
    string(TIMESTAMP end "%s%f")
    if(failed)
      message(FATAL_ERROR "${header} does not compile:\n${text}")
    endif()
    math(EXPR milliseconds "(${end} - ${start}) / 1000")
    list(APPEND times ${milliseconds})
  endforeach()
  list(SORT times COMPARE NATURAL)
  list(GET times 2 median)
  math(EXPR whole "${median} / 1000")
  math(EXPR rest "${median} % 1000 + 1000")
  string(SUBSTRING ${rest} 1 3 rest)
  message("${whole}.${rest} s  #include <${header}>")
endforeach()
