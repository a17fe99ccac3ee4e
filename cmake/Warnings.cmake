# rwkv7_warnings: linked PRIVATE by our own tests, examples and benchmarks; never exported. The presets turn warnings
# into errors (CMAKE_COMPILE_WARNING_AS_ERROR), so that a newer compiler than ours stops nobody else's build.

add_library(rwkv7_warnings INTERFACE)
target_compile_options(rwkv7_warnings INTERFACE -Wall -Wextra -Wshadow -Wconversion)
