// SPDX-License-Identifier: MIT
/// Softmax attention of some query rows of one sequence and group of heads, block by block of keys (online softmax).
///
/// Blocks begin at multiples of attention_block on the axis of positions, and within a block everything has one order:
/// a score is the sum of gemm.hpp; weights are summed in lanes by the place in the block; values are added key by key.
/// So a query's bits depend on nothing but its keys' positions: not on the queries beside it, on cuts into calls, or on
/// which keys lie in a ring.
#pragma once

#include "rwkv7/backend/cpu/gemm.hpp"
#include "rwkv7/backend/cpu/math.hpp"

namespace rwkv7::backend::cpu {

/// Keys of a block: some registers of scores, and few enough that keys and values stay in the first two caches.
inline constexpr index_t attention_block = 64;
/// Query rows of a tile, which share what is read of a block. All heads of a group come together, so at decode the
/// cache is read once for up to this many of them.
inline constexpr index_t attention_rows = 24;

/// Rows that are computed together: the largest of 6 (where there are 32 registers), 4, 2 and 1 that fit.
template <class Arch, class F>
RWKV7_INLINE void for_row_groups(index_t rows, F&& f) noexcept {
  index_t row = 0;
  if constexpr (tile_rows<Arch> == 6)
    for (; row + 6 <= rows; row += 6) f(row, std::integral_constant<int, 6>{});
  for (; row + 4 <= rows; row += 4) f(row, std::integral_constant<int, 4>{});
  for (; row + 2 <= rows; row += 2) f(row, std::integral_constant<int, 2>{});
  for (; row < rows; ++row) f(row, std::integral_constant<int, 1>{});
}

/// Keys or values of successive positions, `stride` elements apart.
template <class T>
struct key_run {
  const T *k, *v;
  index_t k_stride, v_stride;
  index_t first, count;  // position of the first, how many

  /// Whether what follows one of them can be fetched while the other is read.
  RWKV7_INLINE bool alike() const noexcept { return k_stride == v_stride; }
};

/// score[r][j] = Σ_n q[r][n] k[j][n] for `count` keys; rows of q are q_step apart, those of scores attention_block.
/// Meanwhile as much is fetched from `next` on.
template <class Arch, int Rows, class T>
void score_rows(const scalar<Arch>* q, index_t q_step, const T* k, index_t stride, index_t count, index_t N,
                const T* next, scalar<Arch>* score) noexcept {
  constexpr int Keys = tile_outputs<Arch>;
  const scalar<Arch>* in[Rows];
  scalar<Arch>* out[Rows];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) in[r] = q + r * q_step, out[r] = score + r * attention_block;
  const int fetched = next ? Keys : 0;
  const T* const from = next ? next : k;
  index_t j = 0;
  for (; j + Keys <= count; j += Keys)
    dot_tile<Arch, Rows, Keys>(in, k + j * stride, stride, 0, N, out, j, next_weights<T>{from + j * stride, fetched});
  for (; j < count; ++j) dot_tile<Arch, Rows, 1>(in, k + j * stride, stride, 0, N, out, j, next_weights<T>{k, 0});
}

/// part[r][n] += Σ_j weight[r][j] v[j][n] for the channels of some registers, key by key; fetches from `next`, too.
template <class Arch, int Rows, int Registers, class Lanes, class T>
RWKV7_INLINE void add_values_of(const scalar<Arch>* weight, const T* v, index_t stride, index_t count, const T* next,
                                const Lanes (&at)[Registers], scalar<Arch>* part, index_t step) noexcept {
  vec<Arch> sum[Rows][Registers];
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    RWKV7_UNROLL
    for (int i = 0; i < Registers; ++i) sum[r][i] = load<Arch>(part + r * step + at[i].j);
  }
  for (index_t j = 0; j < count; ++j) {
    if (next) {
      RWKV7_UNROLL
      for (int i = 0; i < Registers; ++i) prefetch_near(next + j * stride + at[i].j);
    }
    vec<Arch> value[Registers];
    RWKV7_UNROLL
    for (int i = 0; i < Registers; ++i) value[i] = at[i].load(v + j * stride);
    RWKV7_UNROLL
    for (int r = 0; r < Rows; ++r) {
      const vec<Arch> w(weight[r * attention_block + j]);
      RWKV7_UNROLL
      for (int i = 0; i < Registers; ++i) sum[r][i] = cpu::fma<Arch>(w, value[i], sum[r][i]);
    }
  }
  RWKV7_UNROLL
  for (int r = 0; r < Rows; ++r) {
    RWKV7_UNROLL
    for (int i = 0; i < Registers; ++i) cpu::store<Arch>(part + r * step + at[i].j, sum[r][i]);
  }
}

/// The same for all N channels; rows of `part` are whole registers.
template <class Arch, int Rows, class T>
void add_values(const scalar<Arch>* weight, const T* v, index_t stride, index_t count, index_t N, const T* next,
                scalar<Arch>* part, index_t step) noexcept {
  constexpr int Registers = tile_rows<Arch> == 6 ? 4 : 2;
  constexpr index_t W = lanes<Arch>;
  index_t n = 0;
  for (; n + Registers * W <= N; n += Registers * W) {
    whole_lanes<Arch> at[Registers];
    RWKV7_UNROLL
    for (int i = 0; i < Registers; ++i) at[i].j = n + i * W;
    add_values_of<Arch, Rows, Registers>(weight, v, stride, count, next, at, part, step);
  }
  for (; n + W <= N; n += W) {
    const whole_lanes<Arch> at[1] = {{n}};
    add_values_of<Arch, Rows, 1>(weight, v, stride, count, next, at, part, step);
  }
  if (n < N) {
    const tail_lanes<Arch> at[1] = {{n, N - n}};
    add_values_of<Arch, Rows, 1>(weight, v, stride, count, next, at, part, step);
  }
}

/// Scores [begin, end) of a row become weights exp(score - largest), which are added to `sum` lane by lane. What was
/// summed before is to be scaled to the same largest score by the factor that is returned.
template <class Arch>
scalar<Arch> softmax_block(scalar<Arch>* score, index_t begin, index_t end, scalar<Arch>& largest,
                           scalar<Arch>* sum) noexcept {
  using V = vec<Arch>;
  using S = scalar<Arch>;
  constexpr index_t W = lanes<Arch>;
  constexpr S lowest = -static_cast<S>(__builtin_inff());
  const index_t first = begin / W * W, last = (end + W - 1) / W * W;
  for (index_t j = first; j < begin; ++j) score[j] = lowest;
  for (index_t j = end; j < last; ++j) score[j] = lowest;
  V most(lowest);
  for (index_t j = first; j < last; j += W) most = xsimd::max(load<Arch>(score + j), most);
  S lane[W];
  cpu::store<Arch>(lane, most);
  for (index_t half = W / 2; half > 0; half /= 2)
    for (index_t i = 0; i < half; ++i) lane[i] = lane[i] > lane[i + half] ? lane[i] : lane[i + half];
  S factor = 1;
  if (lane[0] > largest) {
    S changed[W];
    cpu::store<Arch>(changed, cpu::exp<Arch>(V(largest - lane[0])));
    factor = changed[0];
    largest = lane[0];
  }
  const V shift(largest == lowest ? S(0) : largest);  // as yet all are -inf, and weigh nothing
  V added(S(0));
  for (index_t j = first; j < last; j += W) {
    const V weight = cpu::exp<Arch>(load<Arch>(score + j) - shift);
    cpu::store<Arch>(score + j, weight);
    added = added + weight;
  }
  cpu::store<Arch>(sum, cpu::fma<Arch>(load<Arch>(static_cast<const S*>(sum)), V(factor), added));
  return factor;
}

}  // namespace rwkv7::backend::cpu
