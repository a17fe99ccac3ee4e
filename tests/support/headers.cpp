// SPDX-License-Identifier: MIT
// Nothing: the target of this file precompiles headers for the others (tests/CMakeLists.txt).
