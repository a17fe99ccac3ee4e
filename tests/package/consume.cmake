# cmake -D SOURCE=<a project> -D BUILD=<folder> -D GENERATOR=<name> -D "PROGRAMS=<to run>" -P consume.cmake
#       -- <arguments for its configuration>
cmake_minimum_required(VERSION 3.22)

set(arguments "")
set(own TRUE)
foreach(i RANGE 1 ${CMAKE_ARGC})
  if(NOT own)
    list(APPEND arguments "${CMAKE_ARGV${i}}")
  elseif("${CMAKE_ARGV${i}}" STREQUAL "--")
    set(own FALSE)
  endif()
endforeach()

file(REMOVE_RECURSE ${BUILD}) # a cache left by an earlier run could hide a failure to find something
foreach(command "-S;${SOURCE};-B;${BUILD};-G;${GENERATOR};-D;CMAKE_BUILD_TYPE=Debug;${arguments}" "--build;${BUILD}")
  execute_process(COMMAND ${CMAKE_COMMAND} ${command} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
foreach(program IN LISTS PROGRAMS)
  execute_process(COMMAND ${BUILD}/${program} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
