// SPDX-License-Identifier: MIT
/// Products with a quantised matrix, core/quantised.hpp.
///
/// int8 and int4: inputs become integers of 15 bits under a scale for each 32 neighbours, their products with the codes
/// are exact integers (integer_dot.hpp), and the scales of weights and inputs are applied once for 32 columns. Rounding
/// the inputs moves a product by at most 2^-15 of what the largest input of its block contributes: two orders less than
/// 8-bit inputs would, and a pass over one more byte costs nothing while the weights come from memory. nf4 is no
/// multiple of an integer: its values are looked up and multiplied in float.
///
/// An output is the same sum in the same order whatever the rows, the tile or the chunk of columns it is computed in;
/// chunks bound the stack, and partial sums wait in y.
#pragma once

#include <algorithm>
#include <cmath>

#include "rwkv7/backend/cpu/integer_dot.hpp"
#include "rwkv7/core/weights.hpp"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"        // as in simd.hpp
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // likewise
#endif

namespace rwkv7::backend::cpu {

/// Elements of the inputs of a tile, 2 bytes each, and rows of it at most.
inline constexpr index_t tile_inputs = 16384, tile_input_rows = 16;
/// Rows that pass over a panel together.
template <class Arch>
inline constexpr int panel_inputs = lanes<Arch> == 16 ? 8 : 4;

/// The inputs of a tile as integers: x ≈ scale · integer for each block of dot_columns.
struct integer_inputs {
  unsigned char bytes[tile_inputs * 2];
  float scale[tile_inputs / dot_columns];
  std::int32_t total[tile_inputs / dot_columns];
};

/// Rounds dot_columns neighbours of one row. A block below 1e-30 counts as zeros; one that holds infinity or NaN has a
/// scale of NaN, so that its outputs are NaN.
template <class Arch, class X>
RWKV7_INLINE void round_inputs(const X* x, unsigned char* bytes, float& scale, std::int32_t& total) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  V most(0.0f), poison(0.0f);
  for (index_t k = 0; k < dot_columns; k += W) {
    const V v = load<Arch>(x + k);
    most = xsimd::max(most, xsimd::abs(v));
    poison += v * V(0.0f);  // NaN if any is not finite; max may drop a NaN
  }
  float each[W];
  cpu::store<Arch>(each, most);
  float largest = 0;
  for (index_t i = 0; i < W; ++i) largest = each[i] > largest ? each[i] : largest;
  const float not_finite = reduce_add<Arch>(poison);
  const bool small = !(largest >= 1e-30f) || not_finite != 0;
  scale = small ? not_finite : largest / static_cast<float>(input_most);
  const V inverse(small ? 0.0f : static_cast<float>(input_most) / largest);
  std::int32_t wide[dot_columns];
  std::int16_t narrow[dot_columns];
  for (index_t k = 0; k < dot_columns; k += W) {
    // 1.5 · 2^23 leaves the nearest integer in the low bits.
    const V shifted = cpu::fma<Arch>(load<Arch>(x + k), inverse, V(12582912.0f));
    (as_int<Arch>(shifted) - ivec<Arch>(0x4b400000)).store_unaligned(wide + k);
  }
  total = 0;
  for (index_t k = 0; k < dot_columns; ++k) {
    narrow[k] = static_cast<std::int16_t>(wide[k]);
    total += narrow[k];  // which a NaN or infinity cannot make overflow; their scale is NaN anyway
  }
  store_inputs(dot_unit<Arch>{}, narrow, bytes);
}

/// Rows [begin, end) of inputs and where their outputs go.
template <class Arch, class X>
struct product_rows {
  view<const X, 3> x;
  view<scalar<Arch>, 3> y;
  index_t begin, end;
  RWKV7_INLINE const X* in(index_t row) const noexcept { return x.at(row / x.extent(1), row % x.extent(1), 0); }
  RWKV7_INLINE scalar<Arch>* out(index_t row, index_t o) const noexcept {
    return y.at(row / y.extent(1), row % y.extent(1), o);
  }
};

/// bf16 scales of as many rows as a register has lanes; f32 ones.
template <class Arch>
RWKV7_INLINE vec<Arch> load_scales(const unsigned char* p) noexcept {
  bf16 stored[lanes<Arch>];
  std::memcpy(stored, p, sizeof stored);
  return load<Arch>(static_cast<const bf16*>(stored));
}

/// A panel's outputs for some rows, `vectors` registers each.
template <class Arch, int Rows>
struct panel_sums {
  static constexpr int vectors = static_cast<int>(panel_rows / lanes<Arch>);
  vec<Arch> at[Rows][vectors];

  RWKV7_INLINE void clear() noexcept {
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      RWKV7_UNROLL
      for (int v = 0; v < vectors; ++v) at[r][v] = vec<Arch>(0.0f);
    }
  }
  /// From outputs [first, first + count) of rows from `row` on; the lanes behind them are zero.
  RWKV7_INLINE void load(const auto& p, index_t row, index_t first, index_t count) noexcept {
    for (int r = 0; r < Rows; ++r) {
      float all[panel_rows] = {};
      for (index_t o = 0; o < count; ++o) all[o] = *p.out(row + r, first + o);
      for (int v = 0; v < vectors; ++v) at[r][v] = cpu::load<Arch>(all + v * lanes<Arch>);
    }
  }
  /// By the f32 scales of the rows.
  RWKV7_INLINE void scale(const unsigned char* scales) noexcept {
    float each[panel_rows];
    std::memcpy(each, scales, sizeof each);
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < vectors; ++v) at[r][v] *= cpu::load<Arch>(each + v * lanes<Arch>);
  }
  RWKV7_INLINE void store(const auto& p, index_t row, index_t first, index_t count) const noexcept {
    for (int r = 0; r < Rows; ++r) {
      float* to = p.out(row + r, first);
      for (int v = 0; v < vectors; ++v) {
        const index_t left = count - v * lanes<Arch>;
        if (left >= lanes<Arch>)
          cpu::store<Arch>(to + v * lanes<Arch>, at[r][v]);
        else if (left > 0)
          cpu::store_first<Arch>(to + v * lanes<Arch>, at[r][v], left);
      }
    }
  }
};

/// Asks for the weights of two pages on. The processors' own prefetch starts anew at each page: measured on Zen 5 with
/// weights that come from memory, 20 % of a product of one row with 4 bits, 30 % of one of sixteen rows.
template <index_t Bytes>
RWKV7_INLINE void fetch_ahead(const unsigned char* block) noexcept {
  RWKV7_UNROLL
  for (index_t i = 0; i < Bytes; i += 64) cpu::prefetch(block + i + 8192);
}

/// One panel times some rows of rounded inputs: `blocks` blocks, each with its scales behind it if it has any.
template <class Arch, bool Nibbles, int Rows>
RWKV7_INLINE void add_integer_panel(const unsigned char* block, bool scaled, const integer_inputs& in,
                                    index_t first_block, index_t blocks, panel_sums<Arch, Rows>& sum) noexcept {
  constexpr index_t code_bytes = panel_rows * dot_columns / (Nibbles ? 2 : 1), scale_bytes = panel_rows * 2;
  for (index_t b = 0; b < blocks; ++b, block += code_bytes + (scaled ? scale_bytes : 0)) {
    fetch_ahead<code_bytes + scale_bytes>(block);
    std::int32_t product[Rows][panel_rows], total[Rows];
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) total[r] = in.total[first_block + r * blocks + b];
    dot_panel<Arch, Nibbles, Rows>(dot_unit<Arch>{}, block, in.bytes + (first_block + b) * dot_columns * 2,
                                   blocks * dot_columns * 2, total, product);
    RWKV7_UNROLL
    for (int v = 0; v < sum.vectors; ++v) {
      vec<Arch> scale(1.0f);
      if (scaled) scale = load_scales<Arch>(block + code_bytes + v * lanes<Arch> * 2);
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const auto exact = xsimd::to_float(ivec<Arch>::load_unaligned(product[r] + v * lanes<Arch>));
        const vec<Arch> input(in.scale[first_block + r * blocks + b]);
        sum.at[r][v] = cpu::fma<Arch>(exact * input, scale, sum.at[r][v]);
      }
    }
  }
}

/// Outputs [begin, end) of all rows; begin is a multiple of panel_rows.
template <class Arch, bool Nibbles, class X>
void integer_products(const product_rows<Arch, X>& p, const weights<2>& w, index_t begin, index_t end) noexcept {
  const index_t rows = p.end - p.begin, K = p.x.extent(2);
  const rwkv7::detail::quantised_layout at{w.type(), w.extent(0), K};
  const auto* packed = static_cast<const unsigned char*>(w.data());
  const index_t tile = rows < tile_input_rows ? rows : tile_input_rows;
  const index_t chunk = tile_inputs / tile / dot_columns * dot_columns;
  integer_inputs in;
  for (index_t row = p.begin; row < p.end; row += tile)
    for (index_t k = 0; k < K; k += chunk) {
      const index_t height = p.end - row < tile ? p.end - row : tile,
                    blocks = (K - k < chunk ? K - k : chunk) / dot_columns;
      for (index_t r = 0; r < height; ++r)
        for (index_t b = 0; b < blocks; ++b) {
          const index_t i = r * blocks + b;
          round_inputs<Arch>(p.in(row + r) + k + b * dot_columns, in.bytes + i * dot_columns * 2, in.scale[i],
                             in.total[i]);
        }
      for (index_t o = begin; o < end; o += panel_rows) {
        const index_t count = end - o < panel_rows ? end - o : panel_rows;
        const auto add = [&](index_t r, auto& sum) RWKV7_INLINE_LAMBDA {
          if (k == 0)
            sum.clear();
          else
            sum.load(p, row + r, o, count);
          add_integer_panel<Arch, Nibbles>(packed + at.block_at(o, k), !at.by_rows(), in, r * blocks, blocks, sum);
          if (at.by_rows() && k + chunk >= K) sum.scale(packed + at.scale_at(o, 0));
          sum.store(p, row + r, o, count);
        };
        constexpr int together = panel_inputs<Arch>;
        index_t r = 0;
        for (; r + together <= height; r += together) {
          panel_sums<Arch, together> sum;
          add(r, sum);
        }
        for (; r < height; ++r) {
          panel_sums<Arch, 1> sum;
          add(r, sum);
        }
      }
    }
}

/// Columns of a group of nibbles, and of a block of nf4.
inline constexpr index_t nf4_group = 8, nf4_block = 64;

/// The values of one group of a panel: value[column][register].
template <class Arch>
RWKV7_INLINE void decode_nf4(const unsigned char* group,
                             vec<Arch> (&value)[nf4_group][panel_rows / lanes<Arch>]) noexcept {
#if defined(__AVX512F__)
  if constexpr (lanes<Arch> == 16) {
    const __m512 table = _mm512_loadu_ps(nf4_values);
    const __m512i codes = _mm512_loadu_si512(group);
    RWKV7_UNROLL
    for (unsigned j = 0; j < 4; ++j) {  // the permutation looks at the low four bits of a lane
      value[j][0] = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 8 * j), table);
      value[4 + j][0] = _mm512_permutexvar_ps(_mm512_srli_epi32(codes, 8 * j + 4), table);
    }
    return;
  }
#endif
  float each[nf4_group][panel_rows];
  for (index_t r = 0; r < panel_rows; ++r)
    for (index_t j = 0; j < 4; ++j) {
      const unsigned both = group[4 * r + j];
      each[j][r] = nf4_values[both & 15u], each[4 + j][r] = nf4_values[both >> 4];
    }
  for (int j = 0; j < nf4_group; ++j)
    for (int v = 0; v < panel_rows / lanes<Arch>; ++v) value[j][v] = load<Arch>(each[j] + v * lanes<Arch>);
}

/// One panel times some rows: four partial sums over the columns of a block, always the same, hide the latency of the
/// multiply-add.
template <class Arch, int Rows, class X>
RWKV7_INLINE void add_nf4_panel(const unsigned char* codes, const X* const* x, index_t blocks,
                                panel_sums<Arch, Rows>& sum) noexcept {
  constexpr int partial = 4;
  constexpr index_t scale_bytes = panel_rows * 2;
  for (index_t b = 0; b < blocks; ++b, codes += scale_bytes) {
    fetch_ahead<panel_rows * nf4_block / 2 + scale_bytes>(codes);
    panel_sums<Arch, Rows> part[partial];
    RWKV7_UNROLL
    for (auto& each : part) each.clear();
    for (index_t group = 0; group < nf4_block / nf4_group; ++group, codes += 64) {
      vec<Arch> value[nf4_group][panel_rows / lanes<Arch>];
      decode_nf4<Arch>(codes, value);
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        RWKV7_UNROLL
        for (int j = 0; j < nf4_group; ++j) {
          const vec<Arch> input = broadcast<Arch>(x[r] + b * nf4_block + group * nf4_group + j);
          RWKV7_UNROLL
          for (int v = 0; v < sum.vectors; ++v)
            part[j % partial].at[r][v] = cpu::fma<Arch>(input, value[j][v], part[j % partial].at[r][v]);
        }
      }
    }
    RWKV7_UNROLL
    for (int v = 0; v < sum.vectors; ++v) {
      const auto scale = load_scales<Arch>(codes + v * lanes<Arch> * 2);
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r)
        sum.at[r][v] = cpu::fma<Arch>((part[0].at[r][v] + part[1].at[r][v]) + (part[2].at[r][v] + part[3].at[r][v]),
                                      scale, sum.at[r][v]);
    }
  }
}

/// Outputs [begin, end) of all rows; begin is a multiple of panel_rows.
template <class Arch, class X>
void nf4_products(const product_rows<Arch, X>& p, const weights<2>& w, index_t begin, index_t end) noexcept {
  const index_t K = p.x.extent(2);
  const rwkv7::detail::quantised_layout at{dtype::nf4, w.extent(0), K};
  const auto* packed = static_cast<const unsigned char*>(w.data());
  for (index_t o = begin; o < end; o += panel_rows) {
    const index_t count = end - o < panel_rows ? end - o : panel_rows;
    const auto add = [&](index_t row, auto& sum) RWKV7_INLINE_LAMBDA {
      constexpr int Rows = sizeof sum.at / sizeof sum.at[0];
      const X* x[Rows];
      for (int r = 0; r < Rows; ++r) x[r] = p.in(row + r);
      sum.clear();
      add_nf4_panel<Arch, Rows>(packed + at.block_at(o, 0), x, K / nf4_block, sum);
      sum.store(p, row, o, count);
    };
    constexpr int together = lanes<Arch> == 16 ? 4 : 2;
    index_t row = p.begin;
    for (; row + together <= p.end; row += together) {
      panel_sums<Arch, together> sum;
      add(row, sum);
    }
    for (; row < p.end; ++row) {
      panel_sums<Arch, 1> sum;
      add(row, sum);
    }
  }
}

/// In double nothing is rounded, and nothing fast: element by element.
template <class Arch>
void plain_products(const product_rows<Arch, double>& p, const weights<2>& w, index_t begin, index_t end) noexcept {
  for (index_t row = p.begin; row < p.end; ++row)
    for (index_t o = begin; o < end; ++o) {
      const double* x = p.in(row);
      double sum = 0;
      for (index_t k = 0; k < w.extent(1); ++k)
        sum += quantised_value(w.data(), w.type(), w.extent(0), w.extent(1), o, k) * x[k];
      *p.out(row, o) = sum;
    }
}

/// y[.., o] = Σ_k w[o][k] x[.., k] for outputs [begin, end) of every row.
template <class Arch, class X>
void quantised_products(const product_rows<Arch, X>& p, const weights<2>& w, index_t begin, index_t end) noexcept {
  if constexpr (std::is_same_v<X, double>) {
    plain_products<Arch>(p, w, begin, end);
  } else {
    if (w.type() == dtype::nf4) return nf4_products<Arch>(p, w, begin, end);
    if (w.type() == dtype::int4) return integer_products<Arch, true>(p, w, begin, end);
    integer_products<Arch, false>(p, w, begin, end);
  }
}

}  // namespace rwkv7::backend::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
