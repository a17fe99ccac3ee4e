// SPDX-License-Identifier: MIT
/// The instruction set as a type. An executor names it, every kernel is templated on it, so that units compiled for
/// different processors never share a symbol.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // g++ 12 on its own AVX-512 header
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // likewise
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace rwkv7 {

/// The best instruction set the compiler may use in this unit.
using native_arch = xsimd::default_arch;

}  // namespace rwkv7
