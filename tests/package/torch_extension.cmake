# cmake -D ROOT=<repository> -D WORK=<folder> -D GENERATOR=<name> -D COMPILER=<c++> -D PREFIX=<moved package>
#       -D XSIMD=<RWKV7_XSIMD_INCLUDE_DIR> -P torch_extension.cmake
cmake_minimum_required(VERSION 3.22)

# The Python that has PyTorch: Debian's is /usr/bin/python3, which need not be the first one.
set(python "")
foreach(candidate python3 /usr/bin/python3)
  execute_process(COMMAND ${candidate} -c "import torch; print(torch.utils.cmake_prefix_path)" RESULT_VARIABLE failed
                  OUTPUT_VARIABLE torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(failed STREQUAL "0")
    set(python ${candidate})
    break()
  endif()
endforeach()
file(GLOB config ${torch}/Torch/TorchConfig.cmake /usr/lib/*/cmake/Torch/TorchConfig.cmake)
if(NOT python OR NOT config)
  message("SKIPPED: no PyTorch with headers (Debian: python3-torch libtorch-dev)")
  return()
endif()
if(COMPILER MATCHES "clang")
  message("SKIPPED: clang 14 refuses the headers of PyTorch 1.13 as C++20")
  return()
endif()

execute_process(COMMAND ${CMAKE_COMMAND} -D SOURCE=${CMAKE_CURRENT_LIST_DIR}/torch_extension -D BUILD=${WORK}
                        -D GENERATOR=${GENERATOR} -D PROGRAMS=adaptor -P ${CMAKE_CURRENT_LIST_DIR}/consume.cmake --
                        -D CMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_PREFIX_PATH=${PREFIX}\\;${torch}"
                        -D RWKV7_XSIMD_INCLUDE_DIR=${XSIMD} -D EXTENSION=${ROOT}/examples/torch_extension
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${python} ${CMAKE_CURRENT_LIST_DIR}/torch_extension/test.py ${WORK} COMMAND_ERROR_IS_FATAL ANY)
