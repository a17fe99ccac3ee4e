// SPDX-License-Identifier: MIT
/// Dense products for activations [B, T, in] and one weight matrix [out, in] that lies in memory by inputs: the weights
/// of one input are neighbours, so those of an input that is zero need not be read. After a squared ReLU that is half
/// of them and more.
///
/// Lanes along the outputs. An output is always the same sum in the same order, with many rows or one:
///
///   chains of `input_chain` inputs, one after the other; the chains of a strip added in turn; strips added in turn.
///
/// A zero adds nothing to a chain, so a product that skips it has the same bits as one that does not (weights being
/// finite). Few rows skip, several rows of weights at once; many rows share strips of weights on the stack.
///
/// Time of ggml, which reads all of [out, in], over ours, half of the inputs zero, Zen 5, one thread, 3072 to 768
/// (rwkv7_bench of 2026-11-21, rows linear/forward/cpu/…/by_inputs): T 1 from memory f32 1.26 and bf16 1.35; f32 T 16
/// 1.28, where gemm.hpp has 2.0 to 2.2 on square matrices, and T 128 2.85.
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7::backend::cpu {

/// Inputs of one chain of sums, and those of a strip: as many chains as leave it in the first-level cache.
inline constexpr index_t input_chain = 32;
inline constexpr index_t strip_inputs = 256;
/// From so many rows on strips pay, although they read every weight.
inline constexpr index_t many_rows = 7;

/// Up to four inputs of a chain that are not zero, and their weights; what is missing is a zero and any weights.
template <class X, class W>
struct live_inputs {
  const X* x[4];
  const W* w[4];
  bool begins, ends;  // the chain
};

/// Of either sign.
template <class X>
RWKV7_INLINE bool is_zero(const X& x) noexcept {
  if constexpr (half_element<X>)
    return (x.bits & 0x7fff) == 0;
  else
    return x == 0;
}

/// The inputs of x [inputs] that are not zero, in their order, with their rows of w. How many fours they are.
template <class X, class W>
RWKV7_INLINE index_t find_live(const X* x, const X* zero, index_t inputs, const W* w, index_t stride,
                               live_inputs<X, W>* live) noexcept {
  index_t count = 0;
  for (index_t k = 0; k < inputs; k += input_chain) {
    const index_t end = inputs - k < input_chain ? inputs : k + input_chain;
    index_t at[input_chain], found = 0;
    for (index_t i = k; i < end; ++i) {
      at[found] = i;
      found += !is_zero(x[i]);
    }
    for (index_t first = 0; first < found; first += 4) {
      auto& four = live[count++];
      for (index_t j = 0; j < 4; ++j) {
        const bool is = first + j < found;
        const index_t i = at[is ? first + j : first];
        four.x[j] = is ? x + i : zero;
        four.w[j] = w + i * stride;
      }
      four.begins = first == 0;
      four.ends = first + 4 >= found;
    }
  }
  return count;
}

/// y[o] += Σ_k x[k] w[k][o] for the inputs of one strip and n outputs; fetches weights ahead.
template <class Arch, class X, class W>
void add_live(const X* x, index_t inputs, const W* w, index_t stride, index_t n, scalar<Arch>* y) noexcept {
  using V = vec<Arch>;
  constexpr index_t width = 1024;  // 8 KiB of sums, 4 of y and four rows of weights, in the first-level cache
  const X zero{};
  live_inputs<X, W> live[strip_inputs / 4 + 1];
  scalar<Arch> chain_sums[width], strip_sums[width];
  const index_t count = find_live(x, &zero, inputs, w, stride, live);
  if (count == 0) return;
  live[count] = live[count - 1];
  for (index_t first = 0; first < n; first += width) {
    const index_t some = n - first < width ? n - first : width;
    for_lanes<Arch>(some, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(strip_sums, V(0.0f)); });
    for (index_t i = 0; i < count; ++i) {
      const auto &four = live[i], &next = live[i + 1];
      const V x0 = broadcast<Arch>(four.x[0]), x1 = broadcast<Arch>(four.x[1]);
      const V x2 = broadcast<Arch>(four.x[2]), x3 = broadcast<Arch>(four.x[3]);
      for_lanes<Arch>(some, [&](auto at) RWKV7_INLINE_LAMBDA {
        const auto from = at.shifted(first);
        for (const W* row : next.w) prefetch(row + from.j);
        V sum = four.begins ? V(0.0f) : at.load(chain_sums);
        sum = cpu::fma<Arch>(x0, from.load(four.w[0]), sum);
        sum = cpu::fma<Arch>(x1, from.load(four.w[1]), sum);
        sum = cpu::fma<Arch>(x2, from.load(four.w[2]), sum);
        sum = cpu::fma<Arch>(x3, from.load(four.w[3]), sum);
        if (four.ends)
          at.store(strip_sums, at.load(strip_sums) + sum);
        else
          at.store(chain_sums, sum);
      });
    }
    scalar<Arch>* const to = y + first;
    for_lanes<Arch>(some, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(to, at.load(to) + at.load(strip_sums)); });
  }
}

/// y[r][to] += Σ_k x[r][k] strip[k] for the inputs of one strip, two registers of outputs wide.
template <class Arch, int Rows, class Lanes, class X>
RWKV7_INLINE void add_strip(const view<const X, 3>& x, index_t row, index_t k, index_t inputs,
                            const scalar<Arch>* strip, const Lanes (&to)[2], const view<scalar<Arch>, 3>& y) noexcept {
  using V = vec<Arch>;
  const X* in[Rows];
  scalar<Arch>* out[Rows];
  V total[Rows][2];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    in[r] = x.at((row + r) / x.extent(1), (row + r) % x.extent(1), k);
    out[r] = y.at((row + r) / y.extent(1), (row + r) % y.extent(1), 0);
    total[r][0] = total[r][1] = V(0.0f);
  }
  for (index_t begin = 0; begin < inputs; begin += input_chain) {
    V sum[Rows][2];
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) sum[r][0] = sum[r][1] = V(0.0f);
    const auto add = [&](index_t i) RWKV7_INLINE_LAMBDA {
      const V low = load<Arch>(strip + i * 2 * lanes<Arch>), high = load<Arch>(strip + (2 * i + 1) * lanes<Arch>);
      RWKV7_UNROLL
      for (int r = 0; r < Rows; ++r) {
        const V value = broadcast<Arch>(in[r] + i);
        sum[r][0] = cpu::fma<Arch>(value, low, sum[r][0]);
        sum[r][1] = cpu::fma<Arch>(value, high, sum[r][1]);
      }
    };
    const index_t end = inputs - begin < input_chain ? inputs : begin + input_chain;
    index_t i = begin;
    for (; i + 2 <= end; i += 2) add(i), add(i + 1);
    if (i < end) add(i);
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) total[r][0] = total[r][0] + sum[r][0], total[r][1] = total[r][1] + sum[r][1];
  }
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    to[0].store(out[r], to[0].load(out[r]) + total[r][0]);
    to[1].store(out[r], to[1].load(out[r]) + total[r][1]);
  }
}

/// Strips of the outputs [first, last) and inputs [k, k + inputs), for all rows [begin, end).
template <class Arch, class X, class W>
RWKV7_INLINE void add_strips(const view<const X, 3>& x, const view<const W, 2>& m, index_t k, index_t inputs,
                             index_t begin, index_t end, index_t first, index_t last,
                             const view<scalar<Arch>, 3>& y) noexcept {
  constexpr int Rows = lanes<Arch> * static_cast<index_t>(sizeof(scalar<Arch>)) == 64 ? 8 : 4;
  constexpr index_t W2 = 2 * lanes<Arch>;
  alignas(64) scalar<Arch> strip[strip_inputs * W2];
  // Each group of rows fetches its share of the next strip into the second-level cache.
  const index_t groups = (end - begin) / Rows, share = groups > 0 ? (inputs + groups - 1) / groups : 0;
  const auto fetch_next = [&](index_t o, index_t row) RWKV7_INLINE_LAMBDA {
    const index_t from = (row - begin) / Rows * share, to = inputs - from < share ? inputs : from + share;
    for (index_t i = from; o + W2 < last && i < to; ++i) {
      const W* const next = m.at(o + W2, k + i);
      prefetch_near(next);
      if constexpr (sizeof(W) * W2 > 64) prefetch_near(next + lanes<Arch>);
    }
  };
  for (index_t o = first; o < last; o += W2) {
    const index_t width = last - o < W2 ? last - o : W2;
    const index_t low = width < lanes<Arch> ? width : lanes<Arch>;
    const first_lanes<Arch> tails[2] = {{o, low}, {o + low, width - low}};
    for (index_t i = 0; i < inputs; ++i) {
      scalar<Arch>* const to = strip + i * W2;
      const W* const w = m.at(0, k + i);
      const bool whole = width == W2;
      cpu::store<Arch>(to, whole ? load<Arch>(w + o) : tails[0].load(w));
      cpu::store<Arch>(to + lanes<Arch>, whole ? load<Arch>(w + o + lanes<Arch>) : tails[1].load(w));
    }
    index_t row = begin;
    if (width == W2) {
      const whole_lanes<Arch> to[2] = {{o}, {o + lanes<Arch>}};
      for (; row + Rows <= end; row += Rows) {
        fetch_next(o, row);
        add_strip<Arch, Rows>(x, row, k, inputs, strip, to, y);
      }
      if constexpr (Rows > 4)
        for (; row + 4 <= end; row += 4) add_strip<Arch, 4>(x, row, k, inputs, strip, to, y);
      for (; row + 2 <= end; row += 2) add_strip<Arch, 2>(x, row, k, inputs, strip, to, y);
      for (; row < end; ++row) add_strip<Arch, 1>(x, row, k, inputs, strip, to, y);
    } else {
      for (; row < end; ++row) add_strip<Arch, 1>(x, row, k, inputs, strip, tails, y);
    }
  }
}

/// y[.., o] = Σ_k m[o][k] x[.., k] for outputs [first, last) of rows [begin, end).
template <class Arch, class X, class W>
void gemm_by_inputs(const view<const X, 3>& x, const view<const W, 2>& m, index_t begin, index_t end, index_t first,
                    index_t last, const view<scalar<Arch>, 3>& y) noexcept {
  const auto out = [&](index_t row) RWKV7_INLINE_LAMBDA { return y.at(row / y.extent(1), row % y.extent(1), first); };
  for (index_t row = begin; row < end; ++row) {
    scalar<Arch>* const zeros = out(row);
    for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(zeros, vec<Arch>(0.0f)); });
  }
  const index_t K = m.extent(1);
  for (index_t k = 0; k < K; k += strip_inputs) {
    const index_t inputs = K - k < strip_inputs ? K - k : strip_inputs;
    if (end - begin >= many_rows) {
      add_strips<Arch>(x, m, k, inputs, begin, end, first, last, y);
      continue;
    }
    for (index_t row = begin; row < end; ++row)
      add_live<Arch>(x.at(row / x.extent(1), row % x.extent(1), k), inputs, m.at(first, k), m.stride(1), last - first,
                     out(row));
  }
}

}  // namespace rwkv7::backend::cpu
