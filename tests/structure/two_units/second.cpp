// SPDX-License-Identifier: MIT
#include "call.hpp"

double second();
double second() { return call(); }
