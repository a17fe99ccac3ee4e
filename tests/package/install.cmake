# cmake -D BUILD=<our build> -D CONFIG=<its type> -D PREFIX=<where the moved package ends> -D SOURCE=<our source> -P install.cmake
cmake_minimum_required(VERSION 3.22)

file(REMOVE_RECURSE ${PREFIX} ${PREFIX}-before)
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --config "${CONFIG}" --prefix ${PREFIX}-before
                COMMAND_ERROR_IS_FATAL ANY)
file(RENAME ${PREFIX}-before ${PREFIX})

file(GLOB_RECURSE files ${PREFIX}/*)
foreach(file IN LISTS files)
  file(READ ${file} text)
  foreach(path ${PREFIX}-before ${BUILD} ${SOURCE}/include)
    string(FIND "${text}" "${path}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} mentions ${path}")
    endif()
  endforeach()
endforeach()
foreach(pattern "-march" "-Werror" "fast-math" "-O[0-9]")
  file(STRINGS ${PREFIX}/share/cmake/rwkv7/rwkv7Targets.cmake lines REGEX "${pattern}")
  if(lines)
    message(FATAL_ERROR "the package hands ${pattern} to its users: ${lines}")
  endif()
endforeach()
