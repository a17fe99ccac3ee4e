// SPDX-License-Identifier: MIT
/// The few facts every other header needs: the index type, forced inlining, and what the build allows.
#pragma once

#include <cstdint>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "rwkv7 relies on IEEE infinities, NaN and rounding: compile this file without -ffast-math"
#endif

/// Head sizes up to this one are compiled in; a larger head is a run-time error that names this macro. It bounds the
/// stack of the recurrence: N² + 73 N elements of the element type per thread.
#ifndef RWKV7_MAX_HEAD_SIZE
#define RWKV7_MAX_HEAD_SIZE 256
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define RWKV7_EXCEPTIONS 1
#else
#define RWKV7_EXCEPTIONS 0
#endif

// Forced inlining is not for speed: what a per-architecture kernel calls must not survive as a shared weak symbol,
// because the linker may keep the copy compiled for the newest processor and run it on the oldest.
#if defined(_MSC_VER) && !defined(__clang__)
#define RWKV7_INLINE __forceinline
#define RWKV7_INLINE_LAMBDA
#else
#define RWKV7_INLINE [[gnu::always_inline]] inline
#define RWKV7_INLINE_LAMBDA __attribute__((always_inline))  // after the parameter list
#endif

// Before a short loop over registers. At -O2, which is what embedders use, g++ 12 would leave it a loop and the
// registers an array in memory.
#if defined(__clang__)
#define RWKV7_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define RWKV7_UNROLL _Pragma("GCC unroll 16")
#else
#define RWKV7_UNROLL
#endif

namespace rwkv7 {

/// Extents, strides and counts. Signed, so that a reversed axis is a negative stride.
using index_t = std::int64_t;

/// The largest head size that is compiled in, RWKV7_MAX_HEAD_SIZE.
inline constexpr index_t max_head_size = RWKV7_MAX_HEAD_SIZE;

}  // namespace rwkv7
