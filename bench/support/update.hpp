// SPDX-License-Identifier: MIT
/// The fastest way to read all of a memory and write it back.
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"

namespace rwkv7_bench {

/// n floats, a multiple of 64, each by itself. 4 KiB ahead is where a prefetch did most on an AMD EPYC (Zen 5): a
/// quarter more than none from memory, nothing from the caches.
inline void update(float* x, rwkv7::index_t n) {
  namespace cpu = rwkv7::backend::cpu;
  using arch = rwkv7::native_arch;
  constexpr rwkv7::index_t W = cpu::lanes<arch>;
  for (float* end = x + n / 64 * 64; x < end; x += 64) {
    RWKV7_UNROLL
    for (rwkv7::index_t i = 0; i < 64; i += 16) cpu::prefetch(x + 1024 + i);
    RWKV7_UNROLL
    for (rwkv7::index_t i = 0; i < 64; i += W) cpu::store<arch>(x + i, cpu::load<arch>(x + i) * cpu::vec<arch>(-1.0f));
  }
}

}  // namespace rwkv7_bench
