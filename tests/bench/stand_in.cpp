// SPDX-License-Identifier: MIT
// A library that says it is ggml and has nothing else of it.
extern "C" const char* ggml_version();
extern "C" const char* ggml_commit();

extern "C" const char* ggml_version() { return STAND_IN_VERSION; }
extern "C" const char* ggml_commit() { return "0ad4a86"; }
