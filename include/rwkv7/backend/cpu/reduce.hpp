// SPDX-License-Identifier: MIT
/// Sums across the lanes of many registers at once, each in the same order whoever its neighbours are: the upper half
/// is added to the lower until four lanes are left, then lanes 2 and 3 to 0 and 1, then 1 to 0.
///
/// One register alone costs about nine instructions. Registers that share the shuffles cost two to four each, which is
/// what makes products of 64 inputs 1.5 to 1.6 times as fast (f32, T 128, one thread of a Zen 5).
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // as in simd.hpp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace rwkv7::backend::cpu {

/// y[r][first + o] = the sum over sums[r][o], or y plus that where `add`.
template <class Arch, int Rows, int Outputs>
RWKV7_INLINE void put_sums_in_order(const vec<Arch> (&sums)[Rows][Outputs], scalar<Arch>* const* y, index_t first,
                                    bool add) noexcept {
  for (int r = 0; r < Rows; ++r) {
    for (int o = 0; o < Outputs; ++o) {
      scalar<Arch> lane[lanes<Arch>];
      cpu::store<Arch>(lane, sums[r][o]);
      for (index_t half = lanes<Arch> / 2; half > 0; half /= 2)
        for (index_t i = 0; i < half; ++i) lane[i] += lane[i + half];
      scalar<Arch>* const to = y[r] + first + o;
      *to = add ? *to + lane[0] : lane[0];
    }
  }
}

#if defined(__SSE2__)
/// Where the code below knows the registers.
template <class Arch>
inline constexpr bool folds = std::is_base_of_v<xsimd::avx512f, Arch> ? lanes<Arch> == 16
                              : std::is_base_of_v<xsimd::avx, Arch>   ? lanes<Arch> == 8
                                                                      : std::is_base_of_v<xsimd::sse2, Arch>;

/// Four lanes; the sum over all of them is not changed by it.
template <class Arch>
RWKV7_INLINE __m128 fold(const vec<Arch>& v) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) {
    const __m512 all = v;
    const __m256 half =
        _mm256_add_ps(_mm512_castps512_ps256(all), _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(all), 1)));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) {
    const __m256 all = v;
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
  }
#endif
  if constexpr (lanes<Arch> == 4) return v;
}

/// The sums of four times four lanes, side by side.
RWKV7_INLINE __m128 sum_each(__m128 a, __m128 b, __m128 c, __m128 d) noexcept {
  const __m128 ab = _mm_add_ps(_mm_unpacklo_ps(a, b), _mm_unpackhi_ps(a, b));
  const __m128 cd = _mm_add_ps(_mm_unpacklo_ps(c, d), _mm_unpackhi_ps(c, d));
  return _mm_add_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

/// The first n of four lanes.
template <int n>
RWKV7_INLINE void put(float* y, __m128 sums, bool add) noexcept {
  if constexpr (n == 4) {
    if (add) sums = _mm_add_ps(_mm_loadu_ps(y), sums);
    _mm_storeu_ps(y, sums);
  } else {
    if (add) sums = _mm_add_ps(_mm_setr_ps(y[0], n > 1 ? y[1] : 0, n > 2 ? y[2] : 0, 0), sums);
    if constexpr (n > 1) _mm_storel_pi(reinterpret_cast<__m64*>(y), sums);
    if constexpr (n != 2) _mm_store_ss(y + n - 1, n == 3 ? _mm_movehl_ps(sums, sums) : sums);
  }
}
#endif

#if defined(__AVX512F__)
/// Lanes 4 i to 4 i + 3: what `fold` makes of the i-th.
RWKV7_INLINE __m512 fold_each(__m512 a, __m512 b, __m512 c, __m512 d) noexcept {
  const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
  return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/// Four rows of four outputs, and a row of four.
template <class Arch, int Rows>
RWKV7_INLINE void put_sums_of_sixteen(const vec<Arch> (&sums)[Rows][4], float* const* y, index_t first,
                                      bool add) noexcept {
  constexpr int Fours = Rows / 4 * 4;
  RWKV7_UNROLL
  for (int r = 0; r < Fours; r += 4) {
    __m512 o[4];
    RWKV7_UNROLL
    for (int i = 0; i < 4; ++i) o[i] = fold_each(sums[r][i], sums[r + 1][i], sums[r + 2][i], sums[r + 3][i]);
    const __m512 low = _mm512_add_ps(_mm512_unpacklo_ps(o[0], o[1]), _mm512_unpackhi_ps(o[0], o[1]));
    const __m512 high = _mm512_add_ps(_mm512_unpacklo_ps(o[2], o[3]), _mm512_unpackhi_ps(o[2], o[3]));
    const __m512 all = _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x44), _mm512_shuffle_ps(low, high, 0xee));
    put<4>(y[r] + first, _mm512_castps512_ps128(all), add);
    put<4>(y[r + 1] + first, _mm512_extractf32x4_ps(all, 1), add);
    put<4>(y[r + 2] + first, _mm512_extractf32x4_ps(all, 2), add);
    put<4>(y[r + 3] + first, _mm512_extractf32x4_ps(all, 3), add);
  }
  RWKV7_UNROLL
  for (int r = Fours; r < Rows; ++r) {
    __m512 all = fold_each(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
    all = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4e));
    all = _mm512_add_ps(all, _mm512_permute_ps(all, 0xb1));
    put<4>(y[r] + first, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, all)), add);
  }
}
#endif

#if defined(__AVX__)
/// Rows in pairs, of three outputs.
template <class Arch, int Rows>
RWKV7_INLINE void put_sums_of_eight(const vec<Arch> (&sums)[Rows][3], float* const* y, index_t first,
                                    bool add) noexcept {
  RWKV7_UNROLL
  for (int r = 0; r < Rows; r += 2) {
    __m256 o[3];
    RWKV7_UNROLL
    for (int i = 0; i < 3; ++i)
      o[i] = _mm256_add_ps(_mm256_permute2f128_ps(sums[r][i], sums[r + 1][i], 0x20),
                           _mm256_permute2f128_ps(sums[r][i], sums[r + 1][i], 0x31));
    const __m256 low = _mm256_add_ps(_mm256_unpacklo_ps(o[0], o[1]), _mm256_unpackhi_ps(o[0], o[1]));
    const __m256 high = _mm256_add_ps(_mm256_unpacklo_ps(o[2], o[2]), _mm256_unpackhi_ps(o[2], o[2]));
    const __m256 all = _mm256_add_ps(_mm256_shuffle_ps(low, high, 0x44), _mm256_shuffle_ps(low, high, 0xee));
    put<3>(y[r] + first, _mm256_castps256_ps128(all), add);
    put<3>(y[r + 1] + first, _mm256_extractf128_ps(all, 1), add);
  }
}
#endif

/// y[r][first + o] = the sum over sums[r][o], or y plus that where `add`.
template <class Arch, int Rows, int Outputs>
RWKV7_INLINE void put_sums(const vec<Arch> (&sums)[Rows][Outputs], scalar<Arch>* const* y, index_t first,
                           bool add) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch> && Outputs == 4)
    return put_sums_of_sixteen<Arch, Rows>(sums, y, first, add);
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8 && Outputs == 3 && Rows % 2 == 0)
    return put_sums_of_eight<Arch, Rows>(sums, y, first, add);
#endif
#if defined(__SSE2__)
  if constexpr (folds<Arch>) {
    static_assert(Outputs <= 4);
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const auto part = [&](int o) RWKV7_INLINE_LAMBDA { return fold<Arch>(sums[r][o < Outputs ? o : Outputs - 1]); };
      put<Outputs>(y[r] + first, sum_each(part(0), part(1), part(2), part(3)), add);
    }
    return;
  }
#endif
  put_sums_in_order<Arch, Rows, Outputs>(sums, y, first, add);
}

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
