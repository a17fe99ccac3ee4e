# Kernels for several processors in one program, chosen when it starts (rwkv7/exec/dispatch.hpp):
#
#   rwkv7_add_cpu_dispatch(<target> [ARCHS baseline avx2 avx512 avx512vnni] [TYPES f32 f64 bf16 f16])
#
# Adds to <target>, which links rwkv7::rwkv7, one source file for each architecture and one that knows them all; they are
# written into the build folder. A static library with them may serve many programs. Without ARCHS: all four.
#
#   baseline     what every processor of this kind has: SSE2 on x86-64, NEON on 64-bit ARM
#   avx2         x86-64-v3: AVX2, FMA, F16C, BMI
#   avx512       x86-64-v4: AVX-512 F, CD, DQ, BW, VL
#   avx512vnni   x86-64-v4 with VNNI and BF16
#
# TYPES are those of activations and operands. f32 is always there; with all four a file takes three times as long to
# compile (g++ 12 -O2, avx512: 41 s instead of 15), so none is added unless it is named. An operation on a type that no
# target of the program names does not link: the missing symbol, rwkv7::backend::dispatch::operation<…>, says which.
# Targets of one program that name different types name the same ARCHS.
#
# Where the compiler makes no x86-64 code, or takes no such flags (MSVC), baseline alone is built, whatever is named.
include_guard(GLOBAL)
include(CheckCXXSourceCompiles)

function(rwkv7_add_cpu_dispatch target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "ARCHS;TYPES")
  set(known baseline avx2 avx512 avx512vnni) # the worst first
  if(NOT DEFINED arg_ARCHS)
    set(arg_ARCHS ${known})
  endif()
  foreach(name IN LISTS arg_ARCHS)
    if(NOT name IN_LIST known)
      message(FATAL_ERROR "rwkv7_add_cpu_dispatch: no architecture '${name}'; there are: ${known}")
    endif()
  endforeach()
  set(types f32)
  foreach(type IN LISTS arg_TYPES)
    if(NOT type MATCHES "^(f32|f64|bf16|f16)$")
      message(FATAL_ERROR "rwkv7_add_cpu_dispatch: no type '${type}'; there are: f32 f64 bf16 f16")
    endif()
    list(APPEND types ${type})
  endforeach()
  list(REMOVE_DUPLICATES types)
  set(unit_types "")
  set(program_types "")
  foreach(type IN LISTS types)
    string(APPEND unit_types "RWKV7_DISPATCH_UNIT_TYPE(${type})\n")
    string(APPEND program_types "RWKV7_DISPATCH_PROGRAM_TYPE(${type})\n")
  endforeach()
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "rwkv7_add_cpu_dispatch: do not know what '${arg_UNPARSED_ARGUMENTS}' means")
  endif()
  if(NOT TARGET ${target})
    message(FATAL_ERROR "rwkv7_add_cpu_dispatch: '${target}' is no target")
  endif()
  get_target_property(aliased ${target} ALIASED_TARGET)
  get_target_property(imported ${target} IMPORTED)
  get_target_property(type ${target} TYPE)
  if(aliased OR imported OR NOT type MATCHES "^(EXECUTABLE|(STATIC|SHARED|MODULE|OBJECT)_LIBRARY)$")
    message(FATAL_ERROR "rwkv7_add_cpu_dispatch: '${target}' compiles nothing of its own")
  endif()

  check_cxx_source_compiles("#if !defined(__x86_64__)
    #error
    #endif
    int main() {}" RWKV7_COMPILES_X86_64)
  if(NOT RWKV7_COMPILES_X86_64)
    set(arg_ARCHS baseline)
  endif()

  get_target_property(folder ${target} BINARY_DIR)
  set(folder ${folder}/rwkv7_dispatch/${target})
  set(files ${folder}/program.cpp)
  set(held "")
  foreach(name IN LISTS known)
    if(name IN_LIST arg_ARCHS)
      list(APPEND held ${name})
      list(APPEND files ${folder}/${name}.cpp)
      file(CONFIGURE OUTPUT ${folder}/${name}.cpp CONTENT
           "// Written by rwkv7_add_cpu_dispatch.\n#include <rwkv7/backend/cpu/dispatch.hpp>\nRWKV7_DISPATCH_UNIT(@name@)\n@unit_types@"
           @ONLY)
    endif()
  endforeach()
  list(JOIN held ", " held)
  file(CONFIGURE OUTPUT ${folder}/program.cpp CONTENT
       "// Written by rwkv7_add_cpu_dispatch.\n#include <rwkv7/backend/cpu/dispatch.hpp>\nRWKV7_DISPATCH_PROGRAM(@held@)\n@program_types@"
       @ONLY)

  # After the flags of the target, so that a -march of its own does not count. One unit to a file, each with its own
  # flags: neither a precompiled header nor a unity build may join them.
  if(RWKV7_COMPILES_X86_64)
    set(flags_baseline -march=x86-64)
    set(flags_avx2 -march=x86-64-v3)
    set(flags_avx512 -march=x86-64-v4)
    set(flags_avx512vnni -march=x86-64-v4 -mavx512vnni -mavx512bf16)
  endif()
  target_sources(${target} PRIVATE ${files})
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    set_source_files_properties(${file} TARGET_DIRECTORY ${target} PROPERTIES
      COMPILE_OPTIONS "${flags_${name}}" SKIP_PRECOMPILE_HEADERS ON SKIP_UNITY_BUILD_INCLUSION ON)
  endforeach()
endfunction()
