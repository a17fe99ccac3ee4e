// SPDX-License-Identifier: MIT
/// Dense products for activations [B, T, in] and one weight matrix [out, in], whatever its element type.
///
/// Why not Eigen's product: it allocates, takes no bf16 or f16 weights, and sums in an order that depends on the number
/// of rows. Here an output is always the same sum in the same order, so one row of many equals the same row alone,
/// which makes prefill and decode agree bitwise; and the weights are read where they lie, never packed. The order:
///
///   lanes along the inputs; chains of `chain` registers, added to each other; across lanes after `block` inputs;
///   blocks in turn.
///
/// Chains let one row of weights be read from end to end, which comes closest to what memory gives (Zen 5, one thread,
/// T 1, 768 to 768 beyond the caches: f32 37 and bf16 32 of 41 GB/s, against 31 and 20 with eight rows at once). Blocks
/// let a slab of weights and some rows of x stay in the caches whatever the number of inputs is: f32 with T 128 and
/// 2048 inputs went from 146 to 193 Gflop/s in one run (about 256 are the most).
#pragma once

#include "rwkv7/backend/cpu/reduce.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// Inputs that are summed before lanes are.
inline constexpr index_t block_inputs = 1024;
/// Registers of one chain, the same for every element type: weights in 16 bits give the bits of the same values in 32.
/// Half as many made bf16 5 % slower at T 128 and moved T 1 by less than it varies.
inline constexpr index_t chain = 16;

/// Rows × outputs of one register tile: as many accumulators as the register file holds beside the operands.
template <class Arch>
inline constexpr int tile_rows = lanes<Arch> == 16 ? 6 : 4;
template <class Arch>
inline constexpr int tile_outputs = lanes<Arch> == 16 ? 4 : 3;

/// Weights to fetch into the second-level cache during a tile: `rows` of them, as long as the tile's.
template <class W>
struct next_weights {
  const W* first;
  int rows;
};

/// The last n < lanes elements, from a function that is not inlined: in every tile it would be most of the code.
template <class Arch, class T>
[[gnu::noinline]] vec<Arch> load_tail(const T* p, index_t n) noexcept {
  return load_first<Arch>(p, n);
}
template <class Arch>
struct tail_lanes {
  index_t j, n;
  template <class T>
  RWKV7_INLINE vec<Arch> load(const T* p) const noexcept {
    return load_tail<Arch>(p + j, n);
  }
};

/// y[r][first + o] = Σ_k x[r][k] w[o][k] over inputs [k, last_k) of one block, added to y unless it is the first.
template <class Arch, int Rows, int Outputs, class X, class W>
RWKV7_INLINE void dot_tile(const X* const* x, const W* w, index_t w_stride, index_t k, index_t last_k,
                           scalar<Arch>* const* y, index_t first, const next_weights<W>& next) noexcept {
  vec<Arch> sum[Rows][Outputs], total[Rows][Outputs];
  const auto multiply = [&](auto at) RWKV7_INLINE_LAMBDA {
    if constexpr (Outputs > 1) {
      for (int i = 0; i < next.rows; ++i) prefetch_near(next.first + i * w_stride + at.j);
    }
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
  };
  const bool add = k > 0;
  for (bool more = false;; more = true) {
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      RWKV7_UNROLL
      for (int o = 0; o < Outputs; ++o) sum[r][o] = vec<Arch>(0.0f);
    }
    const index_t end = last_k - k > lanes<Arch> * chain ? k + lanes<Arch> * chain : last_k;
    for (; k + lanes<Arch> <= end; k += lanes<Arch>) multiply(whole_lanes<Arch>{k});
    if (k < end) multiply(tail_lanes<Arch>{k, end - k});
    k = end;
    if (more) {
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        RWKV7_UNROLL
        for (int o = 0; o < Outputs; ++o) sum[r][o] = total[r][o] + sum[r][o];
      }
    }
    if (k == last_k) break;
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      RWKV7_UNROLL
      for (int o = 0; o < Outputs; ++o) total[r][o] = sum[r][o];
    }
  }
  put_sums<Arch, Rows, Outputs>(sum, y, first, add);
}

/// y[first] = Σ_k x[k] w[k], likewise: one row of x and one output, which reads the weights from end to end.
template <class Arch, class X, class W>
RWKV7_INLINE void dot_one(const X* x, const W* w, index_t first_k, index_t last_k, scalar<Arch>* y,
                          index_t first) noexcept {
  const auto multiply = [&](auto at, const vec<Arch>& sum)
                            RWKV7_INLINE_LAMBDA { return cpu::fma<Arch>(at.load(x), at.load(w), sum); };
  vec<Arch> total[1][1];
  vec<Arch>& so_far = total[0][0];
  so_far = vec<Arch>(0.0f);
  index_t k = first_k;
  for (; last_k - k >= lanes<Arch> * chain; k += lanes<Arch> * chain) {
    vec<Arch> sum(0.0f);
    RWKV7_UNROLL
    for (index_t i = 0; i < chain; ++i) sum = multiply(whole_lanes<Arch>{k + i * lanes<Arch>}, sum);
    so_far = k > first_k ? so_far + sum : sum;
  }
  if (k < last_k) {
    const bool more = k > first_k;
    vec<Arch> sum(0.0f);
    for (; k + lanes<Arch> <= last_k; k += lanes<Arch>) sum = multiply(whole_lanes<Arch>{k}, sum);
    if (k < last_k) sum = multiply(tail_lanes<Arch>{k, last_k - k}, sum);
    so_far = more ? so_far + sum : sum;
  }
  put_sums<Arch, 1, 1>(total, &y, first, first_k > 0);
}

/// Outputs [first, last) of `Rows` rows: in tiles over inputs [k, last_k) of one block, or output by output over all.
template <class Arch, int Rows, bool Tiled, class X, class W>
RWKV7_INLINE void dot_rows(const view<const X, 3>& x, const view<const W, 2>& w, index_t row, index_t k, index_t last_k,
                           index_t first, index_t last, const view<scalar<Arch>, 3>& y,
                           const next_weights<W>& next) noexcept {
  const X* in[Rows];
  scalar<Arch>* out[Rows];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    in[r] = x.at((row + r) / x.extent(1), (row + r) % x.extent(1), 0);
    out[r] = y.at((row + r) / y.extent(1), (row + r) % y.extent(1), 0);
  }
  const index_t stride = w.stride(0);
  if constexpr (Tiled) {
    constexpr int Outputs = tile_outputs<Arch>;
    for (index_t o = first; o < last; o += Outputs)
      dot_tile<Arch, Rows, Outputs>(in, w.at(o, 0), stride, k, last_k, out, o,
                                    next_weights<W>{next.first + (o - first) * stride, next.rows});
  } else {
    for (index_t o = first; o < last; ++o) {
      for (index_t from = k; from == k || from < last_k; from += block_inputs) {
        const index_t to = last_k - from > block_inputs ? from + block_inputs : last_k;
        if constexpr (Rows == 1)
          dot_one<Arch>(in[0], w.at(o, 0), from, to, out[0], o);
        else
          dot_tile<Arch, Rows, 1>(in, w.at(o, 0), stride, from, to, out, o, next);
      }
    }
  }
}

/// y[.., o] = Σ_k w[o][k] x[.., k] for outputs [begin, end) of rows [first_row, last_row); w is [out, in].
template <class Arch, class X, class W>
void gemm_rows(const view<const X, 3>& x, const view<const W, 2>& w, index_t first_row, index_t last_row, index_t begin,
               index_t end, const view<scalar<Arch>, 3>& y) noexcept {
  constexpr int Rows = tile_rows<Arch>, Outputs = tile_outputs<Arch>;
  constexpr auto size = static_cast<index_t>(sizeof(W));
  const index_t rows = last_row - first_row, K = x.extent(2);
  // One or two rows take less time than their weights take to come from memory: those are then read from end to end
  // (T 2, beyond the caches, 768 inputs: bf16 1.8 and f32 1.2 times as fast as in tiles).
  const bool tiled = rows > 2 || w.extent(0) * K * size < index_t{1} << 19;
  const index_t tiled_end = tiled ? begin + (end - begin) / Outputs * Outputs : begin;
  // A slab of weights stays in the second-level cache while all rows pass over it. Meanwhile each group of rows fetches
  // its share of the next slab (f32, T 32, 8192 inputs: 150 Gflop/s before, 190 since).
  const index_t depth = K < 1 ? 1 : K < block_inputs ? K : block_inputs;
  const index_t slab = (index_t{256} << 10) / (depth * size) / Outputs * Outputs;
  const index_t groups = (rows + Rows - 1) / Rows;
  for (index_t first = begin; first < tiled_end; first += slab) {
    const index_t last = first + slab < tiled_end ? first + slab : tiled_end;
    for (index_t k = 0; k == 0 || k < K; k += depth) {
      const index_t last_k = K - k < depth ? K : k + depth;
      const bool deeper = last_k < K;
      const bool more = rows > 2 && (deeper || last < tiled_end);
      const W* const next = !more ? w.data() : deeper ? w.at(first, depth) : w.at(last, -k);
      index_t row = first_row;
      const auto share = [&]() RWKV7_INLINE_LAMBDA {
        const index_t group = (row - first_row) / Rows, from = group * Outputs / groups;
        const index_t count = more ? (group + 1) * Outputs / groups - from : 0;
        return next_weights<W>{next + from * w.stride(0), static_cast<int>(count)};
      };
      for (; row + Rows <= last_row; row += Rows)
        dot_rows<Arch, Rows, true>(x, w, row, k, last_k, first, last, y, share());
      if constexpr (Rows > 4)
        for (; row + 4 <= last_row; row += 4) dot_rows<Arch, 4, true>(x, w, row, k, last_k, first, last, y, share());
      for (; row + 2 <= last_row; row += 2) dot_rows<Arch, 2, true>(x, w, row, k, last_k, first, last, y, share());
      for (; row < last_row; ++row) dot_rows<Arch, 1, true>(x, w, row, k, last_k, first, last, y, share());
    }
  }
  const next_weights<W> none{w.data(), 0};
  index_t row = first_row;
  for (; row + 2 <= last_row; row += 2) dot_rows<Arch, 2, false>(x, w, row, 0, K, tiled_end, end, y, none);
  for (; row < last_row; ++row) dot_rows<Arch, 1, false>(x, w, row, 0, K, tiled_end, end, y, none);
}

}  // namespace rwkv7::backend::cpu
