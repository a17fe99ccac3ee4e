// SPDX-License-Identifier: MIT
/// Products of integers: 16 rows of unsigned codes with inputs of 15 bits, exact in 32-bit sums, on every instruction
/// set that has a dot product of small integers, and in plain C++ elsewhere. Every form gives the same integers.
///
/// An input of 15 bits is two signed bytes, x = 128 h + l with l in 0 … 127: the dot instructions (VNNI, AVX-VNNI)
/// multiply bytes, so one pass over h and one over l replace one over x. Older x86 multiplies pairs of 16 bits
/// (pmaddwd), which is as exact in one pass.
#pragma once

#include <cstring>

#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/core/quantised.hpp"

#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in simd.hpp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // likewise
#endif

namespace rwkv7::backend::cpu {

/// Inputs are in [-input_most, input_most].
inline constexpr int input_most = 127 * 128;
/// Columns whose products fit into a sum: 32 · 255 · input_most < 2^27.
inline constexpr index_t dot_columns = 32;

/// What takes the products; it is part of every symbol, since two units for one architecture may differ in it.
struct by_bytes {};  // dot products of bytes
struct by_pairs {};  // of pairs of 16 bits
template <class Arch>
constexpr bool has_byte_dots() noexcept {
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
  if (lanes<Arch> == 16) return true;
#endif
#if defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__))
  if (lanes<Arch> == 8 && std::is_base_of_v<xsimd::avx2, Arch>) return true;
#endif
#if defined(__ARM_FEATURE_DOTPROD)
  if (lanes<Arch> == 4) return true;
#endif
  return false;
}
template <class Arch>
using dot_unit = std::conditional_t<has_byte_dots<Arch>(), by_bytes, by_pairs>;

/// Stores the inputs of dot_columns columns, given as 16 bits each, in the order that the unit reads: two blocks of
/// bytes, h and l, or as they are. Both take 64 bytes.
RWKV7_INLINE void store_inputs(by_bytes, const std::int16_t* x, unsigned char* to) noexcept {
  for (index_t k = 0; k < dot_columns; ++k) {
    to[k] = static_cast<unsigned char>(x[k] >> 7);
    to[dot_columns + k] = static_cast<unsigned char>(x[k] & 127);
  }
}
RWKV7_INLINE void store_inputs(by_pairs, const std::int16_t* x, unsigned char* to) noexcept {
  std::memcpy(to, x, dot_columns * sizeof *x);
}

/// Four bytes for every lane.
RWKV7_INLINE int four_bytes(const unsigned char* p) noexcept {
  int all = 0;
  std::memcpy(&all, p, sizeof all);
  return all;
}

/// Eight bytes for every pair of lanes.
RWKV7_INLINE long long eight_bytes(const unsigned char* p) noexcept {
  long long all = 0;
  std::memcpy(&all, p, sizeof all);
  return all;
}

/// What stands for 0.
template <bool Nibbles>
inline constexpr int zero_code = Nibbles ? 8 : 128;

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(__ARM_FEATURE_DOTPROD)
/// sums[r][row] = Σ_k (code[row][k] - zero_code) x[r][k] over dot_columns columns of a panel, for Rows inputs.
///
///   codes   8 groups of 64 bytes, or 4 of nibbles, as core/quantised.hpp has them
///   inputs  row r's 64 bytes at inputs + r · stride
///   totals  Σ_k x[r][k]
template <class Arch, bool Nibbles, int Rows>
RWKV7_INLINE void dot_panel(by_bytes, const unsigned char* codes, const unsigned char* inputs, index_t stride,
                            const std::int32_t (&totals)[Rows], std::int32_t (&sums)[Rows][panel_rows]) noexcept {
  constexpr int groups = Nibbles ? 4 : 8;
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
  if constexpr (lanes<Arch> == 16) {
    __m512i high[Rows], low[Rows];
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r)
      high[r] = _mm512_setzero_si512(), low[r] = _mm512_set1_epi32(-zero_code<Nibbles> * totals[r]);
    const auto add = [&](__m512i code, int quad) RWKV7_INLINE_LAMBDA {
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const unsigned char* x = inputs + r * stride + 4 * quad;
        high[r] = _mm512_dpbusd_epi32(high[r], code, _mm512_set1_epi32(four_bytes(x)));
        low[r] = _mm512_dpbusd_epi32(low[r], code, _mm512_set1_epi32(four_bytes(x + dot_columns)));
      }
    };
    const __m512i mask = _mm512_set1_epi8(15);
    RWKV7_UNROLL
    for (int g = 0; g < groups; ++g) {
      const __m512i code = _mm512_loadu_si512(codes + 64 * g);
      if constexpr (Nibbles) {
        add(_mm512_and_si512(code, mask), 2 * g);
        add(_mm512_and_si512(_mm512_srli_epi16(code, 4), mask), 2 * g + 1);
      } else {
        add(code, g);
      }
    }
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r)
      _mm512_storeu_si512(sums[r], _mm512_add_epi32(_mm512_slli_epi32(high[r], 7), low[r]));
    return;
  }
#endif
#if defined(__AVXVNNI__) || (defined(__AVX512VNNI__) && defined(__AVX512VL__))
  if constexpr (lanes<Arch> == 8) {
    const auto dot = [](__m256i sum, __m256i code, __m256i x) RWKV7_INLINE_LAMBDA {
#if defined(__AVX512VNNI__) && defined(__AVX512VL__)
      return _mm256_dpbusd_epi32(sum, code, x);
#else
      return _mm256_dpbusd_avx_epi32(sum, code, x);
#endif
    };
    for (int half = 0; half < 2; ++half) {
      __m256i high[Rows], low[Rows];
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r)
        high[r] = _mm256_setzero_si256(), low[r] = _mm256_set1_epi32(-zero_code<Nibbles> * totals[r]);
      const auto add = [&](__m256i code, int quad) RWKV7_INLINE_LAMBDA {
        RWKV7_UNROLL
        for (int r = 0; r < Rows; ++r) {
          const unsigned char* x = inputs + r * stride + 4 * quad;
          high[r] = dot(high[r], code, _mm256_set1_epi32(four_bytes(x)));
          low[r] = dot(low[r], code, _mm256_set1_epi32(four_bytes(x + dot_columns)));
        }
      };
      const __m256i mask = _mm256_set1_epi8(15);
      RWKV7_UNROLL
      for (int g = 0; g < groups; ++g) {
        const __m256i code = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + 64 * g + 32 * half));
        if constexpr (Nibbles) {
          add(_mm256_and_si256(code, mask), 2 * g);
          add(_mm256_and_si256(_mm256_srli_epi16(code, 4), mask), 2 * g + 1);
        } else {
          add(code, g);
        }
      }
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums[r] + 8 * half),
                            _mm256_add_epi32(_mm256_slli_epi32(high[r], 7), low[r]));
    }
    return;
  }
#endif
#if defined(__ARM_FEATURE_DOTPROD)
  if constexpr (lanes<Arch> == 4) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      int32x4_t high[Rows], low[Rows];
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) high[r] = vdupq_n_s32(0), low[r] = vdupq_n_s32(Nibbles ? -8 * totals[r] : 0);
      // The instruction has no mixed signs: codes of 8 bits become signed, which takes 128 off by itself.
      const auto add = [&](uint8x16_t code, int quad) RWKV7_INLINE_LAMBDA {
        const int8x16_t c = vreinterpretq_s8_u8(Nibbles ? code : veorq_u8(code, vdupq_n_u8(0x80)));
        RWKV7_UNROLL
        for (int r = 0; r < Rows; ++r) {
          const unsigned char* x = inputs + r * stride + 4 * quad;
          const int8x16_t h = vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(x)));
          const int8x16_t l = vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(x + dot_columns)));
          high[r] = vdotq_s32(high[r], c, h), low[r] = vdotq_s32(low[r], c, l);
        }
      };
      for (int g = 0; g < groups; ++g) {
        const uint8x16_t code = vld1q_u8(codes + 64 * g + 16 * quarter);
        if constexpr (Nibbles) {
          add(vandq_u8(code, vdupq_n_u8(15)), 2 * g);
          add(vshrq_n_u8(code, 4), 2 * g + 1);
        } else {
          add(code, g);
        }
      }
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) vst1q_s32(sums[r] + 4 * quarter, vaddq_s32(vshlq_n_s32(high[r], 7), low[r]));
    }
  }
#endif
}
#endif

/// The same where there are pairs of 16 bits at most.
template <class Arch, bool Nibbles, int Rows>
RWKV7_INLINE void dot_panel(by_pairs, const unsigned char* codes, const unsigned char* inputs, index_t stride,
                            const std::int32_t (&totals)[Rows], std::int32_t (&sums)[Rows][panel_rows]) noexcept {
  constexpr int groups = Nibbles ? 4 : 8;
#if defined(__AVX2__)
  // Four rows of a group, four columns each, are a register of 16 bits; its products' sums are two to a row.
  if constexpr (lanes<Arch> >= 8 && !std::is_same_v<Arch, xsimd::avx>) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      __m256i sum[Rows];
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) sum[r] = _mm256_setzero_si256();
      const __m128i mask = _mm_set1_epi8(15);
      const auto add = [&](__m128i code, int quad) RWKV7_INLINE_LAMBDA {
        const __m256i wide = _mm256_cvtepu8_epi16(code);
        RWKV7_UNROLL
        for (int r = 0; r < Rows; ++r) {
          const __m256i x = _mm256_set1_epi64x(eight_bytes(inputs + r * stride + 8 * quad));
          sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(wide, x));
        }
      };
      RWKV7_UNROLL
      for (int g = 0; g < groups; ++g) {
        const __m128i code = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 64 * g + 16 * quarter));
        if constexpr (Nibbles) {
          add(_mm_and_si128(code, mask), 2 * g);
          add(_mm_and_si128(_mm_srli_epi16(code, 4), mask), 2 * g + 1);
        } else {
          add(code, g);
        }
      }
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const __m128 a = _mm_castsi128_ps(_mm256_castsi256_si128(sum[r])),
                     b = _mm_castsi128_ps(_mm256_extracti128_si256(sum[r], 1));
        const __m128i even = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88)),
                      odd = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(sums[r] + 4 * quarter),
                         _mm_add_epi32(_mm_add_epi32(even, odd), _mm_set1_epi32(-zero_code<Nibbles> * totals[r])));
      }
    }
    return;
  }
#endif
#if defined(__SSE2__)
  // The same with two rows to a register.
  for (int pair = 0; pair < 4; ++pair) {
    __m128i sum[Rows][2];
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = _mm_setzero_si128();
    const __m128i zero = _mm_setzero_si128(), mask = _mm_set1_epi8(15);
    const auto add = [&](__m128i code, int quad) RWKV7_INLINE_LAMBDA {
      const __m128i first = _mm_unpacklo_epi8(code, zero), second = _mm_unpackhi_epi8(code, zero);
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const __m128i half = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(inputs + r * stride + 8 * quad));
        const __m128i x = _mm_unpacklo_epi64(half, half);
        sum[r][0] = _mm_add_epi32(sum[r][0], _mm_madd_epi16(first, x));
        sum[r][1] = _mm_add_epi32(sum[r][1], _mm_madd_epi16(second, x));
      }
    };
    RWKV7_UNROLL
    for (int g = 0; g < groups; ++g) {
      const __m128i code = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 64 * g + 16 * pair));
      if constexpr (Nibbles) {
        add(_mm_and_si128(code, mask), 2 * g);
        add(_mm_and_si128(_mm_srli_epi16(code, 4), mask), 2 * g + 1);
      } else {
        add(code, g);
      }
    }
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const __m128 a = _mm_castsi128_ps(sum[r][0]), b = _mm_castsi128_ps(sum[r][1]);
      const __m128i even = _mm_castps_si128(_mm_shuffle_ps(a, b, 0x88)),
                    odd = _mm_castps_si128(_mm_shuffle_ps(a, b, 0xdd));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(sums[r] + 4 * pair),
                       _mm_add_epi32(_mm_add_epi32(even, odd), _mm_set1_epi32(-zero_code<Nibbles> * totals[r])));
    }
  }
#else
  for (int r = 0; r < Rows; ++r) {
    std::int16_t x[dot_columns];
    std::memcpy(x, inputs + r * stride, sizeof x);
    for (index_t row = 0; row < panel_rows; ++row) sums[r][row] = -zero_code<Nibbles> * totals[r];
    for (int g = 0; g < groups; ++g)
      for (index_t row = 0; row < panel_rows; ++row)
        for (int j = 0; j < 4; ++j) {
          const int code = codes[64 * g + 4 * row + j];
          if constexpr (Nibbles)
            sums[r][row] += (code & 15) * x[8 * g + j] + (code >> 4) * x[8 * g + 4 + j];
          else
            sums[r][row] += code * x[4 * g + j];
        }
  }
#endif
}

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
