// SPDX-License-Identifier: MIT
/// The one place that knows xsimd's versions: registers of float for an architecture, with the operations kernels use.
///
/// Works from xsimd 8.1 (Debian 12) to current. 8.1 has no fused multiply-add for AVX-512, other names for the
/// horizontal sum and the bit cast, and no masked loads; this header papers over exactly that.
#pragma once

#include <cstdint>
#include <type_traits>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/core/dtype.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in core/arch.hpp, for intrinsics that are inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // from an <immintrin.h> that somebody included before us
#endif

namespace rwkv7::backend::cpu {

template <class Arch>
using vec = xsimd::batch<float, Arch>;
template <class Arch>
using ivec = xsimd::batch<std::int32_t, Arch>;

/// Floats in a register.
template <class Arch>
inline constexpr index_t lanes = static_cast<index_t>(vec<Arch>::size);

/// a·b + c, rounded once wherever the architecture can, and wherever the compiler might take a product and a sum
/// together: g++ does so in one place and not in another, so that one row of many would differ from the row alone.
template <class Arch>
RWKV7_INLINE vec<Arch> fma(const vec<Arch>& a, const vec<Arch>& b, const vec<Arch>& c) noexcept {
#if defined(__FMA__)
  if constexpr (std::is_base_of_v<xsimd::sse2, Arch>) return _mm_fmadd_ps(a, b, c);
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) return _mm256_fmadd_ps(a, b, c);
#endif
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) return _mm512_fmadd_ps(a, b, c);
#endif
  return xsimd::fma(a, b, c);
}

#if defined(__AVX__)
RWKV7_INLINE float add_lanes(__m256 v) noexcept {
  const __m128 fours = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 pairs = _mm_add_ps(fours, _mm_movehdup_ps(fours));
  return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_movehl_ps(pairs, pairs)));
}
#endif

template <class Arch>
RWKV7_INLINE float reduce_add(const vec<Arch>& v) noexcept {
  // xsimd's sums of these registers call functions of its smaller architectures, which know nothing of this one.
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return add_lanes(
        _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1))));
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) return add_lanes(v);
#endif
#if XSIMD_VERSION_MAJOR >= 9
  return xsimd::reduce_add(v);
#else
  return xsimd::hadd(v);
#endif
}

template <class Arch>
RWKV7_INLINE ivec<Arch> as_int(const vec<Arch>& v) noexcept {
#if XSIMD_VERSION_MAJOR >= 11
  return xsimd::bitwise_cast<std::int32_t>(v);
#else
  return xsimd::bitwise_cast<ivec<Arch>>(v);
#endif
}

template <class Arch>
RWKV7_INLINE vec<Arch> as_float(const ivec<Arch>& v) noexcept {
#if XSIMD_VERSION_MAJOR >= 11
  return xsimd::bitwise_cast<float>(v);
#else
  return xsimd::bitwise_cast<vec<Arch>>(v);
#endif
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const float* p) noexcept {
  return vec<Arch>::load_unaligned(p);
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const bf16* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
#endif
#if defined(__AVX2__)
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8)
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
#endif
  float wide[lanes<Arch>];
  for (index_t i = 0; i < lanes<Arch>; ++i) wide[i] = p[i].to_float();
  return load<Arch>(wide);
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const f16* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
#endif
#if defined(__F16C__) && defined(__AVX2__)
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8)
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#endif
  float wide[lanes<Arch>];
  for (index_t i = 0; i < lanes<Arch>; ++i) wide[i] = p[i].to_float();
  return load<Arch>(wide);
}

template <class Arch>
RWKV7_INLINE void store(float* p, const vec<Arch>& v) noexcept {
  v.store_unaligned(p);
}

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

template <class Arch>
RWKV7_INLINE void store_first(float* p, const vec<Arch>& v, index_t n) noexcept {
  float whole[lanes<Arch>];
  v.store_unaligned(whole);
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
  RWKV7_INLINE void store(float* p, const vec<Arch>& v) const noexcept { cpu::store<Arch>(p + j, v); }
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
  RWKV7_INLINE void store(float* p, const vec<Arch>& v) const noexcept { cpu::store_first<Arch>(p + j, v, n); }
  RWKV7_INLINE vec<Arch> keep(const vec<Arch>& v) const noexcept {
    float kept[lanes<Arch>];
    cpu::store<Arch>(kept, v);
    return cpu::load_first<Arch>(static_cast<const float*>(kept), n);
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
