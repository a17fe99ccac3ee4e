// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>

namespace rwkv7_test {

/// Set by skip(); read by main.cpp.
inline bool skipped = false;

/// Says that this test case cannot run here, typically because RWKV7_TEST_DATA_DIR is empty. Return from the case after
/// it.
///
/// The line is printed in any case. ctest reports "Skipped" for an executable in which at least one case skipped and no
/// case checked anything, so cases that need data belong in an executable of their own.
inline void skip(const char* why) {
  skipped = true;
  std::printf("SKIPPED: %s\n", why);
}

}  // namespace rwkv7_test
