// SPDX-License-Identifier: MIT
/// What kernels are written with: rows of elements, a register at a time.
#pragma once

#include "rwkv7/backend/cpu/elements.hpp"
#include "rwkv7/backend/cpu/registers.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in registers.hpp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // likewise
#endif

namespace rwkv7::backend::cpu {

/// Asks for the cache line of an address that need not exist.
RWKV7_INLINE void prefetch(const void* p) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(p);
#else
  static_cast<void>(p);
#endif
}

/// The same, into the second-level cache.
RWKV7_INLINE void prefetch_near(const void* p) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(p, 0, 2);
#else
  static_cast<void>(p);
#endif
}

/// Keeps a loaded value in its register. g++ prefers to load it again for each use, which costs nothing while memory is
/// aligned; where it is not, every load of a zmm register touches two cache lines and a product runs at half its speed.
template <class Arch>
RWKV7_INLINE void pin(vec<Arch>& v) noexcept {
#if defined(__GNUC__) && defined(__x86_64__)
  asm("" : "+v"(v.data));
#else
  static_cast<void>(v);
#endif
}

/// The first n < lanes elements, zeros behind them; reads nothing past p + n. Tails run through the same vector code as
/// full registers, so that an element's result does not depend on where it lies.
template <class Arch, class T>
RWKV7_INLINE vec<Arch> load_first(const T* p, index_t n) noexcept {
  T whole[lanes<Arch>] = {};
  for (index_t i = 0; i < n; ++i) whole[i] = p[i];
  return load<Arch>(static_cast<const T*>(whole));
}

template <class Arch, class T>
RWKV7_INLINE void store_first(T* p, const vec<Arch>& v, index_t n) noexcept {
  T whole[lanes<Arch>];
  cpu::store<Arch>(whole, v);
  for (index_t i = 0; i < n; ++i) p[i] = whole[i];
}

/// A whole register's worth of elements, from element j on.
template <class Arch>
struct whole_lanes {
  index_t j;
  template <class T>
  RWKV7_INLINE vec<Arch> load(const T* p) const noexcept {
    return cpu::load<Arch>(p + j);
  }
  template <class T>
  RWKV7_INLINE void store(T* p, const vec<Arch>& v) const noexcept {
    cpu::store<Arch>(p + j, v);
  }
  RWKV7_INLINE vec<Arch> keep(const vec<Arch>& v) const noexcept { return v; }
  RWKV7_INLINE whole_lanes shifted(index_t by) const noexcept { return {j + by}; }
};

/// The last n < lanes elements; `keep` zeroes the lanes behind them.
template <class Arch>
struct first_lanes {
  index_t j, n;
  template <class T>
  RWKV7_INLINE vec<Arch> load(const T* p) const noexcept {
    return cpu::load_first<Arch>(p + j, n);
  }
  template <class T>
  RWKV7_INLINE void store(T* p, const vec<Arch>& v) const noexcept {
    cpu::store_first<Arch>(p + j, v, n);
  }
  RWKV7_INLINE vec<Arch> keep(const vec<Arch>& v) const noexcept {
    scalar<Arch> kept[lanes<Arch>];
    cpu::store<Arch>(kept, v);
    return cpu::load_first<Arch>(static_cast<const scalar<Arch>*>(kept), n);
  }
  RWKV7_INLINE first_lanes shifted(index_t by) const noexcept { return {j + by, n}; }
};

/// The lower half of a register's lanes and the upper one, to two places.
template <class Arch>
RWKV7_INLINE void store_halves(float* low, float* high, const vec<Arch>& v) noexcept {
#if defined(__AVX512DQ__)
  if constexpr (std::is_base_of_v<xsimd::avx512dq, Arch>) {
    _mm256_storeu_ps(low, _mm512_castps512_ps256(v));
    _mm256_storeu_ps(high, _mm512_extractf32x8_ps(v, 1));
    return;
  }
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) {
    _mm_storeu_ps(low, _mm256_castps256_ps128(v));
    _mm_storeu_ps(high, _mm256_extractf128_ps(v, 1));
    return;
  }
#endif
  float whole[lanes<Arch>];
  v.store_unaligned(whole);
  for (index_t i = 0; i < lanes<Arch> / 2; ++i) low[i] = whole[i], high[i] = whole[lanes<Arch> / 2 + i];
}

/// Calls f(at) for successive registers of n elements: at.load(p), at.store(p, v), at.keep(v).
template <class Arch, class F>
RWKV7_INLINE void for_lanes(index_t n, F&& f) noexcept {
  constexpr index_t W = lanes<Arch>;
  index_t j = 0;
  for (; j + W <= n; j += W) f(whole_lanes<Arch>{j});
  if (j < n) f(first_lanes<Arch>{j, n - j});
}

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
