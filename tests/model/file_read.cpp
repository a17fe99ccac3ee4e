// SPDX-License-Identifier: MIT
// file_map where it reads the file instead of mapping it, as on systems that are not POSIX.
#define RWKV7_MMAP 0
#include "model/file_map.cpp"
