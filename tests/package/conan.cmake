# cmake -D ROOT=<repository> -D WORK=<folder> -D OPTIONS="<options of conan create>" -P conan.cmake
#
# conan create with its test_package, from nothing but the recipe: a home of its own, no remote. The dependencies are
# those of the system, declared as such; their versions here are labels that satisfy the recipe.
cmake_minimum_required(VERSION 3.22)

find_program(conan conan)
if(NOT conan)
  message("SKIPPED: no conan")
  return()
endif()

file(REMOVE_RECURSE ${WORK})
set(ENV{CONAN_HOME} ${WORK}/home)
execute_process(COMMAND ${conan} profile detect COMMAND_ERROR_IS_FATAL ANY)
file(WRITE ${WORK}/profile "include(default)
[settings]
compiler.cppstd=20
[platform_requires]
eigen/3.4.0
xsimd/8.1.0
nlohmann_json/3.11.2
minizip/1.2.13
[conf]
tools.cmake.cmake_layout:test_folder=${WORK}/test_package
")
separate_arguments(OPTIONS UNIX_COMMAND "${OPTIONS}")
execute_process(COMMAND ${conan} create ${ROOT} --no-remote --profile:all ${WORK}/profile ${OPTIONS}
                COMMAND_ERROR_IS_FATAL ANY)
