// SPDX-License-Identifier: MIT
/// Dense products for activations [B, T, in] and one weight matrix, whatever its element type.
///
/// Why not Eigen's product: it allocates, takes no bf16 or f16 weights, and sums in an order that depends on the number
/// of rows. Here an output is always the same sum in the same order, so one row of many equals the same row alone,
/// which makes prefill and decode agree bitwise; and the weights are read where they lie, never packed.
#pragma once

#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// Rows × outputs of one register tile: as many accumulators as the register file holds beside the operands.
template <class Arch>
inline constexpr int tile_rows = lanes<Arch> == 16 ? 6 : 4;
template <class Arch>
inline constexpr int tile_outputs = lanes<Arch> == 16 ? 4 : 2;

/// y[r][first + o] = Σ_k x[r][k] w[o][k]: lanes along k, summed across at the end.
template <class Arch, int Rows, int Outputs, class W>
RWKV7_INLINE void dot_tile(const float* const* x, const W* w, index_t w_stride, index_t K, float* const* y,
                           index_t first) noexcept {
  vec<Arch> sum[Rows][Outputs];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    RWKV7_UNROLL
    for (int o = 0; o < Outputs; ++o) sum[r][o] = vec<Arch>(0.0f);
  }
  for_lanes<Arch>(K, [&](auto at) RWKV7_INLINE_LAMBDA {
    vec<Arch> weight[Outputs];
    RWKV7_UNROLL
    for (int o = 0; o < Outputs; ++o) weight[o] = at.load(w + o * w_stride);
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      vec<Arch> value = at.load(x[r]);
      pin<Arch>(value);
      RWKV7_UNROLL
      for (int o = 0; o < Outputs; ++o) sum[r][o] = cpu::fma<Arch>(value, weight[o], sum[r][o]);
    }
  });
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    RWKV7_UNROLL
    for (int o = 0; o < Outputs; ++o) y[r][first + o] = reduce_add<Arch>(sum[r][o]);
  }
}

/// All outputs [first, last) of one group of rows.
template <class Arch, int Rows, class W>
RWKV7_INLINE void dot_rows(const view<const float, 3>& x, const view<const W, 2>& w, index_t row, index_t first,
                           index_t last, const view<float, 3>& y) noexcept {
  // A single row has registers to spare: more outputs at once keep more loads in flight.
  constexpr int Outputs = Rows == 1 ? 8 : tile_outputs<Arch>;
  const float* in[Rows];
  float* out[Rows];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    in[r] = x.at((row + r) / x.extent(1), (row + r) % x.extent(1), 0);
    out[r] = y.at((row + r) / y.extent(1), (row + r) % y.extent(1), 0);
  }
  index_t o = first;
  for (; o + Outputs <= last; o += Outputs)
    dot_tile<Arch, Rows, Outputs>(in, w.at(o, 0), w.stride(0), x.extent(2), out, o);
  for (; o < last; ++o) dot_tile<Arch, Rows, 1>(in, w.at(o, 0), w.stride(0), x.extent(2), out, o);
}

/// y[.., o] = Σ_k w[o][k] x[.., k] for outputs [begin, end) of every row; w is [out, in].
template <class Arch, class W>
void gemm_rows(const view<const float, 3>& x, const view<const W, 2>& w, index_t begin, index_t end,
               const view<float, 3>& y) noexcept {
  const index_t rows = x.extent(0) * x.extent(1), K = x.extent(2);
  // A slab of weights that stays in the second-level cache while all rows pass over it.
  const index_t fitting = (index_t{256} << 10) / (K * static_cast<index_t>(sizeof(W)) + 1);
  const index_t slab = rows == 1 ? end - begin : fitting < 16 ? 16 : fitting / 16 * 16;
  for (index_t first = begin; first < end; first += slab) {
    const index_t last = first + slab < end ? first + slab : end;
    index_t row = 0;
    for (; row + tile_rows<Arch> <= rows; row += tile_rows<Arch>)
      dot_rows<Arch, tile_rows<Arch>>(x, w, row, first, last, y);
    for (; row + 2 <= rows; row += 2) dot_rows<Arch, 2>(x, w, row, first, last, y);
    for (; row < rows; ++row) dot_rows<Arch, 1>(x, w, row, first, last, y);
  }
}

/// y[.., d] = bias[d] + Σ_k x[.., k] m[k][d] for channels [first, last) of rows [begin, end); m is [in, out]. Lanes
/// along d; four partial sums over k, always the same four, hide the latency of the multiply-add.
template <class Arch, class W>
void gemm_columns(const view<const float, 3>& x, const view<const W, 2>& m, const weights<1>& bias, index_t begin,
                  index_t end, index_t first, index_t last, const view<float, 3>& y) noexcept {
  using V = vec<Arch>;
  constexpr int Partial = 4;
  const index_t K = x.extent(2);
  const auto block = [&](index_t row, auto lanes_of_first, auto lanes_of_second, int registers) RWKV7_INLINE_LAMBDA {
    const float* in = x.at(row / x.extent(1), row % x.extent(1), 0);
    float* out = y.at(row / y.extent(1), row % y.extent(1), 0);
    V sum[Partial][2];
    RWKV7_UNROLL
    for (int p = 0; p < Partial; ++p) sum[p][0] = sum[p][1] = V(0.0f);
    const auto add = [&](index_t k, int p) RWKV7_INLINE_LAMBDA {
      const V value(in[k]);
      const W* weight = m.at(k, 0);
      sum[p][0] = cpu::fma<Arch>(value, lanes_of_first.load(weight), sum[p][0]);
      if (registers > 1) sum[p][1] = cpu::fma<Arch>(value, lanes_of_second.load(weight), sum[p][1]);
    };
    index_t k = 0;
    for (; k + Partial <= K; k += Partial) {
      RWKV7_UNROLL
      for (int p = 0; p < Partial; ++p) add(k + p, p);
    }
    for (; k < K; ++k) add(k, static_cast<int>(k % Partial));
    const auto finish = [&](auto at, int v) RWKV7_INLINE_LAMBDA {
      V total = (sum[0][v] + sum[1][v]) + (sum[2][v] + sum[3][v]);
      if (bias) total += param(bias).load(at);
      at.store(out, total);
    };
    finish(lanes_of_first, 0);
    if (registers > 1) finish(lanes_of_second, 1);
  };
  constexpr index_t W1 = lanes<Arch>;
  index_t d = first;
  for (; d + 2 * W1 <= last; d += 2 * W1)
    for (index_t row = begin; row < end; ++row) block(row, whole_lanes<Arch>{d}, whole_lanes<Arch>{d + W1}, 2);
  for (; d + W1 <= last; d += W1)
    for (index_t row = begin; row < end; ++row) block(row, whole_lanes<Arch>{d}, whole_lanes<Arch>{d}, 1);
  if (d < last)
    for (index_t row = begin; row < end; ++row)
      block(row, first_lanes<Arch>{d, last - d}, first_lanes<Arch>{d, last - d}, 1);
}

}  // namespace rwkv7::backend::cpu
