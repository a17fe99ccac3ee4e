// SPDX-License-Identifier: MIT
/// The one place that knows xsimd's versions: registers of float or double for an architecture, with the arithmetic
/// that kernels use.
///
/// Works from xsimd 8.1 (Debian 12) to current. 8.1 has no fused multiply-add for AVX-512, other names for the
/// horizontal sum and the bit cast, and no masked loads; this header and elements.hpp paper over exactly that.
#pragma once

#include <cstdint>
#include <type_traits>

#include "rwkv7/core/arch.hpp"
#include "rwkv7/core/config.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in core/arch.hpp, for intrinsics that are inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // from an <immintrin.h> that somebody included before us
#endif

namespace rwkv7::backend::cpu {

/// An architecture's registers of double. Kernels are templates over an architecture and mean its registers of float;
/// instantiated with this they compute in double.
template <class Arch>
struct in_double {};

/// The registers of an architecture, or the doubles in them.
template <class Arch>
struct registers {
  using element = float;
  using type = xsimd::batch<float, Arch>;
};
template <class Arch>
struct registers<in_double<Arch>> {
  using element = double;
  using type = xsimd::batch<double, Arch>;
};
template <class Arch>
using vec = typename registers<Arch>::type;
template <class Arch>
using ivec = xsimd::batch<std::int32_t, Arch>;

/// What a lane holds, float or double.
template <class Arch>
using scalar = typename registers<Arch>::element;
/// The registers that compute on operands with elements T.
template <class Arch, class T>
using registers_for = std::conditional_t<std::is_same_v<T, double>, in_double<Arch>, Arch>;

/// Elements in a register.
template <class Arch>
inline constexpr index_t lanes = static_cast<index_t>(vec<Arch>::size);

/// Whether Arch is in_double of an architecture derived from Base.
template <class Base, class Arch>
inline constexpr bool doubles_of = false;
template <class Base, class Arch>
inline constexpr bool doubles_of<Base, in_double<Arch>> = std::is_base_of_v<Base, Arch>;

/// a·b + c, rounded once wherever the architecture can, and wherever the compiler might take a product and a sum
/// together: g++ does so in one place and not in another, so that one row of many would differ from the row alone.
template <class Arch>
RWKV7_INLINE vec<Arch> fma(const vec<Arch>& a, const vec<Arch>& b, const vec<Arch>& c) noexcept {
#if defined(__FMA__)
  if constexpr (std::is_base_of_v<xsimd::sse2, Arch>) return _mm_fmadd_ps(a, b, c);
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) return _mm256_fmadd_ps(a, b, c);
  if constexpr (doubles_of<xsimd::sse2, Arch>) return _mm_fmadd_pd(a, b, c);
  if constexpr (doubles_of<xsimd::avx, Arch>) return _mm256_fmadd_pd(a, b, c);
#endif
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) return _mm512_fmadd_ps(a, b, c);
  if constexpr (doubles_of<xsimd::avx512f, Arch>) return _mm512_fmadd_pd(a, b, c);
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
RWKV7_INLINE scalar<Arch> reduce_add(const vec<Arch>& v) noexcept {
  // xsimd's sums of these registers call functions of its smaller architectures, which know nothing of this one.
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return add_lanes(
        _mm256_add_ps(_mm512_castps512_ps256(v), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1))));
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) return add_lanes(v);
#endif
  if constexpr (std::is_same_v<scalar<Arch>, double>) {
    double lane[lanes<Arch>];
    v.store_unaligned(lane);
    for (index_t half = lanes<Arch> / 2; half > 0; half /= 2)
      for (index_t i = 0; i < half; ++i) lane[i] += lane[i + half];
    return lane[0];
  } else {
#if XSIMD_VERSION_MAJOR >= 9
    return xsimd::reduce_add(v);
#else
    return xsimd::hadd(v);
#endif
  }
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

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
