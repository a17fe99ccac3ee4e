// SPDX-License-Identifier: MIT
// -ffast-math, by the macro that it defines: infinities and NaN would no longer mean anything.
// expect: compile this file without -ffast-math
#ifndef RWKV7_COMPILE_FAIL_CONTROL
#define __FAST_MATH__ 1
#endif
#include "rwkv7/core/config.hpp"
