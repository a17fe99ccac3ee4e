# cmake -D DOXYGEN=<program> -D ROOT=<repository> -D VERSION=… -D DESCRIPTION=… -D OUTPUT=<folder> -P Docs.cmake
#
# Builds the site <folder>/html from docs/ and the headers; any warning is an error. The target rwkv7_docs and the test
# docs/site both come here.
cmake_minimum_required(VERSION 3.22)

if(NOT DOXYGEN)
  message("SKIPPED: no doxygen (Debian: doxygen)")
  return()
endif()
file(REMOVE_RECURSE ${OUTPUT})
configure_file(${ROOT}/docs/Doxyfile.in ${OUTPUT}/Doxyfile @ONLY)
execute_process(COMMAND ${DOXYGEN} ${OUTPUT}/Doxyfile COMMAND_ERROR_IS_FATAL ANY)
message("${OUTPUT}/html/index.html")
