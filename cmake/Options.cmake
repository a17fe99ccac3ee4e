# Everything that a builder may choose. Nearly all of it defaults to "only when rwkv7 itself is what is being built".
#
# Compiler flags are not among the options: CMAKE_CXX_FLAGS does that (the presets put -march and sanitizers there), and
# nothing of it reaches an installed or exported target.

option(RWKV7_BUILD_TESTS "Build the tests (needs doctest)" ${PROJECT_IS_TOP_LEVEL})
option(RWKV7_BUILD_EXAMPLES "Build the examples" ${PROJECT_IS_TOP_LEVEL})
option(RWKV7_BUILD_BENCHMARKS "Build the benchmarks (needs Google Benchmark)" ${PROJECT_IS_TOP_LEVEL})
option(RWKV7_BUILD_DOCS "Build the documentation with everything else: the target rwkv7_docs (needs doxygen)" OFF)
option(RWKV7_INSTALL "Generate the install target and the CMake package" ${PROJECT_IS_TOP_LEVEL})

# In somebody else's build the component comes for free where its dependencies are there, and is absent without a word
# where they are not. Their own -DRWKV7_BUILD_MODEL=ON makes a missing dependency an error.
set(_model ${PROJECT_IS_TOP_LEVEL})
if(NOT _model AND NOT DEFINED RWKV7_BUILD_MODEL)
  include(${CMAKE_CURRENT_LIST_DIR}/rwkv7Dependencies.cmake)
  rwkv7_find_dependencies(_missing MODEL)
  if(NOT _missing)
    set(_model ON)
  endif()
endif()
option(RWKV7_BUILD_MODEL "The component rwkv7::model, whole language models (needs nlohmann_json and minizip)" ${_model})

set(RWKV7_TEST_DATA "" CACHE PATH "Folder of published checkpoints and expected values; tests that need it skip without it")

set(RWKV7_XSIMD_INCLUDE_DIR "" CACHE PATH "Folder that holds xsimd/xsimd.hpp, instead of the installed xsimd package")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE) # CMake's own default is neither fast nor debuggable
endif()
