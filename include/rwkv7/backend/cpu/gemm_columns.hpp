// SPDX-License-Identifier: MIT
/// Dense products for activations [B, T, in] and one matrix [in, out], as checkpoints keep those of low rank. Lanes
/// along the outputs; an output is the sum over the even inputs and that over the odd ones, whatever else is computed
/// beside it. A single row is 4 registers at once, several rows are tiles that share what is read of the matrix.
#pragma once

#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// y[.., d] = Σ_k x[.., k] m[k][d] for the channels that `at` stands for, of `Rows` rows.
template <class Arch, int Rows, int Registers, class Lanes, class X, class W>
RWKV7_INLINE void column_tile(const view<const X, 3>& x, const view<const W, 2>& m, index_t row,
                              const Lanes (&at)[Registers], const view<scalar<Arch>, 3>& y) noexcept {
  using V = vec<Arch>;
  constexpr int Partial = 2;
  const index_t K = x.extent(2);
  const X* in[Rows];
  V sum[Partial][Rows][Registers];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    in[r] = x.at((row + r) / x.extent(1), (row + r) % x.extent(1), 0);
    RWKV7_UNROLL
    for (int p = 0; p < Partial; ++p) {
      RWKV7_UNROLL
      for (int v = 0; v < Registers; ++v) sum[p][r][v] = V(0.0f);
    }
  }
  const auto add = [&](index_t k, int p) RWKV7_INLINE_LAMBDA {
    V weight[Registers];
    RWKV7_UNROLL
    for (int v = 0; v < Registers; ++v) weight[v] = at[v].load(m.at(k, 0));
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const V value = broadcast<Arch>(in[r] + k);
      RWKV7_UNROLL
      for (int v = 0; v < Registers; ++v) sum[p][r][v] = cpu::fma<Arch>(value, weight[v], sum[p][r][v]);
    }
  };
  index_t k = 0;
  for (; k + Partial <= K; k += Partial) {
    RWKV7_UNROLL
    for (int p = 0; p < Partial; ++p) add(k + p, p);
  }
  if (k < K) add(k, 0);
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    scalar<Arch>* const out = y.at((row + r) / y.extent(1), (row + r) % y.extent(1), 0);
    RWKV7_UNROLL
    for (int v = 0; v < Registers; ++v) at[v].store(out, sum[0][r][v] + sum[1][r][v]);
  }
}

/// `Registers` whole registers of channels from d on, as often as they fit before `last`; rows [begin, end).
template <class Arch, int Rows, int Registers, class X, class W>
RWKV7_INLINE index_t column_tiles(const view<const X, 3>& x, const view<const W, 2>& m, index_t begin, index_t end,
                                  index_t d, index_t last, const view<scalar<Arch>, 3>& y) noexcept {
  for (; d + Registers * lanes<Arch> <= last; d += Registers * lanes<Arch>) {
    whole_lanes<Arch> at[Registers];
    RWKV7_UNROLL
    for (int v = 0; v < Registers; ++v) at[v].j = d + v * lanes<Arch>;
    for (index_t row = begin; row < end; row += Rows) column_tile<Arch, Rows, Registers>(x, m, row, at, y);
  }
  return d;
}

/// y[.., d] = bias[d] + Σ_k x[.., k] m[k][d] for channels [first, last) of rows [begin, end).
template <class Arch, class X, class W>
void gemm_columns(const view<const X, 3>& x, const view<const W, 2>& m, const weights<1>& bias, index_t begin,
                  index_t end, index_t first, index_t last, const view<scalar<Arch>, 3>& y) noexcept {
  // As many accumulators as the register file holds beside the operands.
  constexpr int Rows = lanes<Arch> == 16 ? 6 : 3;
  const index_t middle = begin + (end - begin) / Rows * Rows;
  for (int part = 0; part < 2; ++part) {
    const bool tiled = part == 0;
    const index_t from = tiled ? begin : middle, to = tiled ? middle : end;
    if (from == to) continue;
    index_t d = tiled ? column_tiles<Arch, Rows, 2>(x, m, from, to, first, last, y)
                      : column_tiles<Arch, 1, 4>(x, m, from, to, first, last, y);
    d = column_tiles<Arch, 1, 1>(x, m, from, to, d, last, y);
    if (d == last) continue;
    const first_lanes<Arch> at[1] = {{d, last - d}};
    for (index_t row = from; row < to; ++row) column_tile<Arch, 1, 1>(x, m, row, at, y);
  }
  add_bias<Arch>(bias, begin, end, first, last, y);
}

}  // namespace rwkv7::backend::cpu
