// SPDX-License-Identifier: MIT
/// Between memory and registers: elements of any type become what the registers compute in, and are rounded back.
///
/// A store to bf16 or f16 gives the bits of from_float, subnormal numbers, infinities and NaN included. (So bf16 is
/// rounded with integers: the instruction of AVX512-BF16 takes subnormal numbers for zeros.)
#pragma once

#include <cstring>

#include "rwkv7/backend/cpu/registers.hpp"
#include "rwkv7/core/dtype.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in core/arch.hpp, for intrinsics that are inlined here
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // from an <immintrin.h> that somebody included before us
#endif

namespace rwkv7::backend::cpu {

/// Element by element, for what no instruction widens.
template <class Arch, class T>
RWKV7_INLINE vec<Arch> load_each(const T* p) noexcept {
  scalar<Arch> wide[lanes<Arch>];
  for (index_t i = 0; i < lanes<Arch>; ++i) wide[i] = static_cast<scalar<Arch>>(p[i]);
  return vec<Arch>::load_unaligned(static_cast<const scalar<Arch>*>(wide));
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const float* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (doubles_of<xsimd::avx512f, Arch>) return _mm512_cvtps_pd(_mm256_loadu_ps(p));
#endif
#if defined(__AVX__)
  if constexpr (doubles_of<xsimd::avx, Arch>) return _mm256_cvtps_pd(_mm_loadu_ps(p));
#endif
#if defined(__SSE2__)
  if constexpr (doubles_of<xsimd::sse2, Arch>)
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#endif
  if constexpr (std::is_same_v<scalar<Arch>, float>)
    return vec<Arch>::load_unaligned(p);
  else
    return load_each<Arch>(p);
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const double* p) noexcept {
  static_assert(std::is_same_v<scalar<Arch>, double>);
  return vec<Arch>::load_unaligned(p);
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const bf16* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))), 16));
  if constexpr (doubles_of<xsimd::avx512f, Arch>)
    return _mm512_cvtps_pd(_mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16)));
#endif
#if defined(__AVX2__)
  if constexpr (doubles_of<xsimd::avx2, Arch>)
    return _mm256_cvtps_pd(
        _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), 16)));
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8)
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), 16));
#endif
#if defined(__SSE2__)
  // Not element by element: with AVX-512 allowed, g++ 12 makes wrong code of that.
  if constexpr (doubles_of<xsimd::sse2, Arch>) {
    int both = 0;
    std::memcpy(&both, p, sizeof both);
    return _mm_cvtps_pd(_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_cvtsi32_si128(both))));
  }
  if constexpr (std::is_base_of_v<xsimd::sse2, Arch>)
    return _mm_castsi128_ps(
        _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
#endif
  return load_each<Arch>(p);
}

template <class Arch>
RWKV7_INLINE vec<Arch> load(const f16* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>)
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  if constexpr (doubles_of<xsimd::avx512f, Arch>)
    return _mm512_cvtps_pd(_mm512_castps512_ps256(
        _mm512_cvtph_ps(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))));
#endif
#if defined(__F16C__) && defined(__AVX2__)
  if constexpr (doubles_of<xsimd::avx2, Arch>)
    return _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8)
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#endif
  return load_each<Arch>(p);
}

/// One element in every lane.
template <class Arch, class T>
RWKV7_INLINE vec<Arch> broadcast(const T* p) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<T, f16> && std::is_base_of_v<xsimd::avx512f, Arch>)
    return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(p->bits)));
#endif
#if defined(__F16C__) && defined(__AVX2__)
  if constexpr (std::is_same_v<T, f16> && std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8)
    return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(p->bits)));
#endif
  return vec<Arch>(static_cast<scalar<Arch>>(*p));
}

/// Likewise into elements of 16 bits.
template <class Arch, half_element T>
RWKV7_INLINE void store_each(T* p, const vec<Arch>& v) noexcept {
  float wide[lanes<Arch>];
  v.store_unaligned(wide);
  for (index_t i = 0; i < lanes<Arch>; ++i) p[i] = T::from_float(wide[i]);
}

template <class Arch>
RWKV7_INLINE void store(float* p, const vec<Arch>& v) noexcept {
  v.store_unaligned(p);
}

template <class Arch>
RWKV7_INLINE void store(double* p, const vec<Arch>& v) noexcept {
  v.store_unaligned(p);
}

template <class Arch>
RWKV7_INLINE void store(bf16* p, const vec<Arch>& v) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) {
    const __m512i u = _mm512_castps_si512(v), high = _mm512_srli_epi32(u, 16);
    const __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(_mm512_add_epi32(u, _mm512_set1_epi32(0x7fff)), odd);
    const __m512i rounded = _mm512_mask_or_epi32(_mm512_srli_epi32(up, 16), _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
                                                 high, _mm512_set1_epi32(0x40));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
    return;
  }
#endif
#if defined(__AVX2__)
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8) {
    const __m256i u = _mm256_castps_si256(v), high = _mm256_srli_epi32(u, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(_mm256_add_epi32(u, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i rounded =
        _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), _mm256_or_si256(high, _mm256_set1_epi32(0x40)),
                           _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(rounded, rounded), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
    return;
  }
#endif
  store_each<Arch>(p, v);
}

template <class Arch>
RWKV7_INLINE void store(f16* p, const vec<Arch>& v) noexcept {
  // The instructions keep digits of a NaN: it becomes the one of from_float first.
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) {
    const __m512i u = _mm512_castps_si512(v);
    const __m512i nan =
        _mm512_or_si512(_mm512_and_si512(u, _mm512_set1_epi32(INT32_MIN)), _mm512_set1_epi32(0x7fc00000));
    const __m512i clean = _mm512_mask_mov_epi32(u, _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), nan);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(_mm512_castsi512_ps(clean), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    return;
  }
#endif
#if defined(__F16C__) && defined(__AVX2__)
  if constexpr (std::is_base_of_v<xsimd::avx2, Arch> && lanes<Arch> == 8) {
    const __m256 nan =
        _mm256_or_ps(_mm256_and_ps(v, _mm256_set1_ps(-0.0f)), _mm256_castsi256_ps(_mm256_set1_epi32(0x7fc00000)));
    const __m256 clean = _mm256_blendv_ps(v, nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(clean, _MM_FROUND_TO_NEAREST_INT));
    return;
  }
#endif
  store_each<Arch>(p, v);
}

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
