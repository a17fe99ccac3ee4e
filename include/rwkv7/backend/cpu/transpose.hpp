// SPDX-License-Identifier: MIT
/// Matrices turned round, through registers where rows are contiguous.
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"

namespace rwkv7::backend::cpu {

/// low = a0 b0 a1 b1 …, high = the same of the upper halves.
template <class Arch>
RWKV7_INLINE void interleave(const vec<Arch>& a, const vec<Arch>& b, vec<Arch>& low, vec<Arch>& high) noexcept {
#if defined(__AVX512F__)
  if constexpr (std::is_base_of_v<xsimd::avx512f, Arch>) {
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    low = _mm512_permutex2var_ps(a, first, b);
    high = _mm512_permutex2var_ps(a, second, b);
    return;
  }
#endif
#if defined(__AVX__)
  if constexpr (std::is_base_of_v<xsimd::avx, Arch> && lanes<Arch> == 8) {
    const __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
    low = _mm256_permute2f128_ps(even, odd, 0x20);
    high = _mm256_permute2f128_ps(even, odd, 0x31);
    return;
  }
#endif
  low = xsimd::zip_lo(a, b);
  high = xsimd::zip_hi(a, b);
}

/// Lane i: the sum of the lanes of v[i]. As many registers as a register has lanes.
template <class Arch>
RWKV7_INLINE vec<Arch> sum_of_each(vec<Arch> (&v)[static_cast<std::size_t>(lanes<Arch>)]) noexcept {
  RWKV7_UNROLL
  for (index_t n = lanes<Arch> / 2; n > 0; n /= 2) {
    RWKV7_UNROLL
    for (index_t i = 0; i < n; ++i) {
      vec<Arch> low, high;
      interleave<Arch>(v[i], v[i + n], low, high);
      v[i] = low + high;
    }
  }
  return v[0];
}

/// to[j · to_row + i] = from[i · from_row + j] for as many rows and columns as a register has lanes.
template <class Arch>
RWKV7_INLINE void transpose_tile(const float* from, index_t from_row, float* to, index_t to_row) noexcept {
  constexpr index_t W = lanes<Arch>;
  vec<Arch> v[W], next[W];
  RWKV7_UNROLL
  for (index_t i = 0; i < W; ++i) v[i] = cpu::load<Arch>(from + i * from_row);
  // Each round interleaves the two halves of the rows; log2 W of them turn the tile round.
  RWKV7_UNROLL
  for (index_t round = 1; round < W; round *= 2) {
    RWKV7_UNROLL
    for (index_t i = 0; i < W / 2; ++i) interleave<Arch>(v[i], v[i + W / 2], next[2 * i], next[2 * i + 1]);
    RWKV7_UNROLL
    for (index_t i = 0; i < W; ++i) v[i] = next[i];
  }
  RWKV7_UNROLL
  for (index_t i = 0; i < W; ++i) cpu::store<Arch>(to + i * to_row, v[i]);
}

/// to[j · to_row + i] = from[i · from_row + j], i < rows, j < columns.
template <class Arch>
void transpose(const float* from, index_t from_row, index_t rows, index_t columns, float* to, index_t to_row) noexcept {
  constexpr index_t W = lanes<Arch>;
  for (index_t i = 0; i < rows; i += W)
    for (index_t j = 0; j < columns; j += W)
      if (i + W <= rows && j + W <= columns)
        transpose_tile<Arch>(from + i * from_row + j, from_row, to + j * to_row + i, to_row);
      else
        for (index_t y = i; y < rows && y < i + W; ++y)
          for (index_t x = j; x < columns && x < j + W; ++x) to[x * to_row + y] = from[y * from_row + x];
}

}  // namespace rwkv7::backend::cpu
