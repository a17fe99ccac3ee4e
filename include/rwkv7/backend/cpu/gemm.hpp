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
/// Chains let one row of weights be read from end to end, the only way that reaches what memory gives (Zen 5, one
/// thread, matrices beyond the caches: 42 of 42 GB/s in f32 and 36 of 42 in bf16, against 33 and 22 with eight rows at
/// once). Blocks let a slab of weights and some rows of x stay in the caches whatever the number of inputs is: f32 with
/// T 128 and 2048 inputs went from 150 to 200 Gflop/s, of about 256.
#pragma once

#include "rwkv7/backend/cpu/reduce.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// Inputs that are summed before lanes are.
inline constexpr index_t block_inputs = 1024;
/// Registers of one chain. The shorter, the more of them run at once, and the more work it is to add them: half as many
/// where a line of weights fills two registers.
template <class W>
inline constexpr index_t chain = sizeof(W) == 4 ? 16 : 8;

/// Rows × outputs of one register tile: as many accumulators as the register file holds beside the operands.
template <class Arch>
inline constexpr int tile_rows = lanes<Arch> == 16 ? 6 : 4;
template <class Arch>
inline constexpr int tile_outputs = lanes<Arch> == 16 ? 4 : 3;

/// Into the second-level cache.
RWKV7_INLINE void prefetch(const void* p) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(p, 0, 2);
#else
  static_cast<void>(p);
#endif
}

/// Weights to fetch into the second-level cache during a tile: `rows` of them, as long as the tile's.
template <class W>
struct next_weights {
  const W* first;
  int rows;
};

/// y[r][first + o] = Σ_k x[r][k] w[o][k] over inputs [k, last_k) of one block, added to y unless it is the first.
template <class Arch, int Rows, int Outputs, class W>
RWKV7_INLINE void dot_tile(const float* const* x, const W* w, index_t w_stride, index_t k, index_t last_k,
                           float* const* y, index_t first, const next_weights<W>& next) noexcept {
  vec<Arch> sum[Rows][Outputs], total[Rows][Outputs];
  const auto multiply = [&](auto at) RWKV7_INLINE_LAMBDA {
    if constexpr (Outputs > 1) {
      for (int i = 0; i < next.rows; ++i) prefetch(next.first + i * w_stride + at.j);
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
    const index_t end = last_k - k > lanes<Arch> * chain<W> ? k + lanes<Arch> * chain<W> : last_k;
    for (; k + lanes<Arch> <= end; k += lanes<Arch>) multiply(whole_lanes<Arch>{k});
    if (k < end) multiply(first_lanes<Arch>{k, end - k});
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

/// The same for one row of x and one output after the other, which reads the weights from end to end.
template <class Arch, int Outputs, class W>
RWKV7_INLINE void dot_one(const float* x, const W* w, index_t w_stride, index_t first_k, index_t last_k, float* y,
                          index_t first) noexcept {
  vec<Arch> total[1][Outputs];
  for (int o = 0; o < Outputs; ++o, w += w_stride) {
    index_t k = first_k;
    const auto multiply = [&](auto at, const vec<Arch>& sum)
                              RWKV7_INLINE_LAMBDA { return cpu::fma<Arch>(at.load(x), at.load(w), sum); };
    vec<Arch> so_far(0.0f);
    for (; last_k - k >= lanes<Arch> * chain<W>; k += lanes<Arch> * chain<W>) {
      vec<Arch> sum(0.0f);
      RWKV7_UNROLL
      for (index_t i = 0; i < chain<W>; ++i) sum = multiply(whole_lanes<Arch>{k + i * lanes<Arch>}, sum);
      so_far = k > first_k ? so_far + sum : sum;
    }
    if (k < last_k) {
      const bool more = k > first_k;
      vec<Arch> sum(0.0f);
      for (; k + lanes<Arch> <= last_k; k += lanes<Arch>) sum = multiply(whole_lanes<Arch>{k}, sum);
      if (k < last_k) sum = multiply(first_lanes<Arch>{k, last_k - k}, sum);
      so_far = more ? so_far + sum : sum;
    }
    total[0][o] = so_far;
  }
  put_sums<Arch, 1, Outputs>(total, &y, first, first_k > 0);
}

/// Outputs [first, last) of one group of rows, over inputs [k, last_k). Tiles are of one block at most; without them
/// any number of inputs is summed, output by output.
template <class Arch, int Rows, class W>
RWKV7_INLINE void dot_rows(const view<const float, 3>& x, const view<const W, 2>& w, index_t row, index_t k,
                           index_t last_k, index_t first, index_t last, const view<float, 3>& y, bool tiled,
                           const next_weights<W>& next) noexcept {
  const float* in[Rows];
  float* out[Rows];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    in[r] = x.at((row + r) / x.extent(1), (row + r) % x.extent(1), 0);
    out[r] = y.at((row + r) / y.extent(1), (row + r) % y.extent(1), 0);
  }
  constexpr int Outputs = tile_outputs<Arch>;
  const index_t stride = w.stride(0);
  index_t o = first;
  for (; tiled && o + Outputs <= last; o += Outputs)
    dot_tile<Arch, Rows, Outputs>(in, w.at(o, 0), stride, k, last_k, out, o,
                                  next_weights<W>{next.first + (o - first) * stride, next.rows});
  if constexpr (Rows == 1) {
    for (; last_k <= block_inputs && o + 4 <= last; o += 4)
      dot_one<Arch, 4>(in[0], w.at(o, 0), stride, k, last_k, out[0], o);
  }
  for (; o < last; ++o) {
    for (index_t from = k; from == k || from < last_k; from += block_inputs) {
      const index_t to = last_k - from > block_inputs ? from + block_inputs : last_k;
      if constexpr (Rows == 1)
        dot_one<Arch, 1>(in[0], w.at(o, 0), stride, from, to, out[0], o);
      else
        dot_tile<Arch, Rows, 1>(in, w.at(o, 0), stride, from, to, out, o, next);
    }
  }
}

/// y[.., o] = Σ_k w[o][k] x[.., k] for outputs [begin, end) of every row; w is [out, in].
template <class Arch, class W>
void gemm_rows(const view<const float, 3>& x, const view<const W, 2>& w, index_t begin, index_t end,
               const view<float, 3>& y) noexcept {
  constexpr int Rows = tile_rows<Arch>, Outputs = tile_outputs<Arch>;
  const index_t rows = x.extent(0) * x.extent(1), K = x.extent(2);
  // Few rows take less time than their weights take to come from memory: those are then read from end to end (T 2,
  // beyond the caches, 768 inputs: bf16 1.8 and f32 1.2 times as fast as in tiles; with more rows, x leaves the cache).
  const index_t few = sizeof(W) == 2 && K <= block_inputs ? 4 : 2;
  const bool tiled = rows > few || w.extent(0) * K * static_cast<index_t>(sizeof(W)) < index_t{1} << 19;
  // Otherwise a slab of weights stays in the second-level cache while all rows pass over it.
  const index_t depth = tiled ? block_inputs : K + 1;
  const index_t deepest = K < 1 ? 1 : K < block_inputs ? K : block_inputs;
  const index_t fitting = (index_t{256} << 10) / (deepest * static_cast<index_t>(sizeof(W))) / Outputs * Outputs;
  const index_t slab = tiled ? fitting : end - begin;
  // Meanwhile each group of rows fetches its share of the next slab (f32, T 32, 8192 inputs: 150 Gflop/s before, 190).
  const index_t groups = (rows + Rows - 1) / Rows;
  for (index_t first = begin; first < end; first += slab) {
    const index_t last = first + slab < end ? first + slab : end;
    for (index_t k = 0; k == 0 || k < K; k += depth) {
      const index_t last_k = K - k < depth ? K : k + depth;
      const bool deeper = last_k<K, more = groups> 1 && (deeper || last < end);
      const W* const next = !more ? w.data() : deeper ? w.at(first, depth) : w.at(last, -k);
      index_t row = 0;
      const auto share = [&]() RWKV7_INLINE_LAMBDA {
        const index_t group = row / Rows, from = group * Outputs / groups;
        const index_t count = more ? (group + 1) * Outputs / groups - from : 0;
        return next_weights<W>{next + from * w.stride(0), static_cast<int>(count)};
      };
      for (; row + Rows <= rows; row += Rows)
        dot_rows<Arch, Rows>(x, w, row, k, last_k, first, last, y, tiled, share());
      if constexpr (Rows > 4)
        for (; row + 4 <= rows; row += 4) dot_rows<Arch, 4>(x, w, row, k, last_k, first, last, y, tiled, share());
      for (; row + 2 <= rows; row += 2) dot_rows<Arch, 2>(x, w, row, k, last_k, first, last, y, tiled, share());
      for (; row < rows; ++row) dot_rows<Arch, 1>(x, w, row, k, last_k, first, last, y, tiled, share());
    }
  }
}

}  // namespace rwkv7::backend::cpu
