// SPDX-License-Identifier: MIT
#include "call.hpp"

double second();

int main() { return call() == second() ? 0 : 1; }
