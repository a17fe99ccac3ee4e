# cmake -D ROOT=<tree> -P includes.cmake
#
# Include direction: a header includes headers of its own folder and of lower layers, nothing else. The numbers are the
# layers; folders with the same number do not know each other.
#
#   detail and version.hpp   usable by all; detail knows core and itself
#   backend/<name>           knows no other back end and no adaptor
#   top-level headers        are included by no folder
#   xsimd                    only through backend/cpu/simd.hpp, and core/arch.hpp, which names its architectures
#
# And one rule that is not about includes: core/check.hpp alone asks whether there are exceptions, so a header that
# compiles alone with them does so without.
cmake_minimum_required(VERSION 3.22)

set(layer_core 0)
set(layer_detail 1)
set(layer_exec 1)
set(layer_variant 1)
set(layer_quant 1)
set(layer_adapt 1)
set(layer_operands 1)
set(layer_backend 2)
set(layer_ops 3)
set(layer_block 4)
set(layer_model 5)
set(layer_dist 5)

set(include ${ROOT}/include)
file(GLOB_RECURSE files RELATIVE ${include}/rwkv7 ${include}/rwkv7/*.hpp ${include}/rwkv7/*.cuh)
if(NOT files)
  message(FATAL_ERROR "no headers under ${include}")
endif()

set(errors "")
macro(complain text)
  string(APPEND errors "\n  ${text}")
endmacro()

# "backend" and "cpu" for backend/cpu/gemm.hpp, nothing for timemix.hpp.
macro(folders_of path folder subfolder)
  set(${folder} "")
  set(${subfolder} "")
  if("${path}" MATCHES "^([^/]+)/([^/]+)/")
    set(${subfolder} ${CMAKE_MATCH_2})
  endif()
  if("${path}" MATCHES "^([^/]+)/")
    set(${folder} ${CMAKE_MATCH_1})
  endif()
endmacro()

foreach(file IN LISTS files)
  folders_of(${file} from from_sub)
  if(from AND NOT DEFINED layer_${from})
    complain("${file}: the folder '${from}' has no layer in includes.cmake")
    continue()
  endif()

  file(STRINGS ${include}/rwkv7/${file} asks REGEX "RWKV7_EXCEPTIONS|__cpp_exceptions")
  if(asks AND NOT file MATCHES "^core/(config|check)\\.hpp$")
    complain("${file} asks for exceptions")
  endif()
  file(STRINGS ${include}/rwkv7/${file} lines REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS lines)
    if(NOT line MATCHES "include[ \t]*([<\"])([^>\"]+)[>\"]")
      complain("${file}: cannot read '${line}'")
      continue()
    endif()
    set(delimiter "${CMAKE_MATCH_1}")
    set(target ${CMAKE_MATCH_2})

    if(target MATCHES "^xsimd/" AND NOT file MATCHES "^(backend/cpu/simd|core/arch)\\.hpp$")
      complain("${file} includes xsimd")
    endif()
    if(NOT target MATCHES "^rwkv7/(.+)$")
      if(delimiter STREQUAL "\"")
        complain("${file} includes ${target}, which is not a path from rwkv7/")
      endif()
      continue()
    endif()
    folders_of(${CMAKE_MATCH_1} to to_sub)

    if(NOT EXISTS ${include}/${target})
      complain("${file} includes ${target}, which does not exist")
    elseif(target STREQUAL "rwkv7/version.hpp" OR to STREQUAL "detail" OR NOT from)
      # allowed
    elseif(NOT to)
      complain("${file} includes ${target}, a top-level header")
    elseif(from STREQUAL to)
      if(from STREQUAL "backend" AND NOT from_sub STREQUAL to_sub)
        complain("${file} includes ${target}, another back end")
      endif()
    elseif(NOT DEFINED layer_${to} OR NOT layer_${to} LESS layer_${from})
      complain("${file} includes ${target}, which is not below it")
    elseif(from STREQUAL "backend" AND to STREQUAL "adapt")
      complain("${file} includes ${target}, an adaptor")
    endif()
  endforeach()
endforeach()

if(errors)
  message(FATAL_ERROR "wrong includes under include/rwkv7:${errors}")
endif()
