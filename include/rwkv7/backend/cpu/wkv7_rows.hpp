// SPDX-License-Identifier: MIT
/// The recurrence over few tokens, so also the decode step: the state stays as the caller keeps it, vector lanes along
/// the key index.
///
/// Both dot products of a row are taken from its old values in one read, S a and S (w ⊙ r); then
///
///   u = S a     y = S (w ⊙ r) + u (b·r) + v (k·r)     S = S + (w - 1) S + u bᵀ + v kᵀ
///
/// Five multiply-adds for each register of S. Rows are read twice, first all sums of 4096 elements, then their update:
/// the second time from the nearest cache, and no sum is waited for. As many rows go together as make one register of
/// sums, which then cost three operations each instead of a reduction.
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/transpose.hpp"
#include "rwkv7/backend/cpu/wkv7_head.hpp"

namespace rwkv7::backend::cpu {

/// Where the rows of a state come from or go to; no data: they are zeros, or nobody wants them.
template <class T>
struct state_rows {
  T* data;
  index_t row, column;  // strides

  RWKV7_INLINE state_rows from(index_t i) const noexcept { return {data ? data + i * row : nullptr, row, column}; }
};

/// At most this many tokens at once.
inline constexpr index_t wkv_rows_most = 7;

/// What one token does to every row.
template <class Arch, index_t Capacity>
struct wkv_row_tokens {
  alignas(64) float change[wkv_rows_most][Capacity];   // w - 1
  alignas(64) float read_by[wkv_rows_most][Capacity];  // w ⊙ r where y reads the state after the update, else r
  float own[wkv_rows_most], removed[wkv_rows_most];    // k·r or its like, b·r
};

/// How many rows go together: as many as make one register of sums.
template <class Arch, bool Removal>
inline constexpr int wkv_group = static_cast<int>(lanes<Arch>) / (Removal ? 2 : 1);

/// f(columns, at): registers at, at.shifted(W), … of N elements, `Most` at once or one.
template <class Arch, int Most, class F>
RWKV7_INLINE void for_columns(index_t N, F&& f) noexcept {
  constexpr index_t W = lanes<Arch>;
  index_t j = 0;
  for (; j + Most * W <= N; j += Most * W) f(std::integral_constant<int, Most>{}, whole_lanes<Arch>{j});
  for (; j + W <= N; j += W) f(std::integral_constant<int, 1>{}, whole_lanes<Arch>{j});
  if (j < N) f(std::integral_constant<int, 1>{}, first_lanes<Arch>{j, N - j});
}

/// One token on `rows` rows, a multiple of wkv_group, from `from` to `to` (absent: dropped), which may be the same;
/// `row_stride` apart, or N where that is fixed. `ahead`: how far from these are the rows that are needed next; asking
/// for them saves 3 to 12 %. `v` and `y`: of these rows.
template <class Arch, index_t FixedN, index_t Capacity, bool Removal, read_policy Policy>
[[gnu::noinline]] void wkv_row_token(const wkv_head<Removal, Policy>& head,
                                     const wkv_row_tokens<Arch, Capacity>& tokens, index_t n, index_t t, index_t size,
                                     index_t rows, const float* from, float* to, index_t row_stride, index_t ahead,
                                     const float* v, float* y) noexcept {
  using V = vec<Arch>;
  constexpr int W = static_cast<int>(lanes<Arch>), Rows = wkv_group<Arch, Removal>;
  const index_t N = FixedN > 0 ? FixedN : size, row = FixedN > 0 ? FixedN : row_stride;
  const float *a = head.a[t], *b = head.b[t], *k = head.k[t];
  const float *read_by = tokens.read_by[n], *change = tokens.change[n];
  alignas(64) float read[Capacity], u[Capacity];

  for (index_t i = 0; i < rows; i += Rows) {
    V sums[W];  // S read, then S a
    RWKV7_UNROLL
    for (int x = 0; x < W; ++x) sums[x] = V(0.0f);
    for_columns<Arch, W == 16 ? 4 : 2>(
        N, [&]<int Columns>(std::integral_constant<int, Columns>, auto at) RWKV7_INLINE_LAMBDA {
          V p[Columns], q[Columns];
          RWKV7_UNROLL
          for (int c = 0; c < Columns; ++c) {
            p[c] = at.shifted(c * W).load(read_by);
            if constexpr (Removal) q[c] = at.shifted(c * W).load(a);
          }
          RWKV7_UNROLL
          for (int x = 0; x < Rows; ++x) {
            RWKV7_UNROLL
            for (int c = 0; c < Columns; ++c) {
              V s = at.shifted(c * W).load(from + (i + x) * row);
              pin<Arch>(s);
              sums[x] = cpu::fma<Arch>(s, p[c], sums[x]);
              if constexpr (Removal) sums[Rows + x] = cpu::fma<Arch>(s, q[c], sums[Rows + x]);
            }
          }
        });
    if constexpr (Removal)
      cpu::store_halves<Arch>(read + i, u + i, sum_of_each<Arch>(sums));
    else
      cpu::store<Arch>(read + i, sum_of_each<Arch>(sums));
  }
  const V own(tokens.own[n]), removed(tokens.removed[n]);
  for_lanes<Arch>(rows, [&](auto at) RWKV7_INLINE_LAMBDA {
    V out = at.load(static_cast<const float*>(read));
    if constexpr (Removal) out = cpu::fma<Arch>(at.load(static_cast<const float*>(u)), removed, out);
    if constexpr (Policy != read_policy::before) out = cpu::fma<Arch>(at.load(v), own, out);
    at.store(y, out);
  });
  if (!to) return;
  // What all rows share stays in registers, four columns of registers at a time.
  for_columns<Arch, 4>(N, [&]<int Columns>(std::integral_constant<int, Columns>, auto at) RWKV7_INLINE_LAMBDA {
    V w_part[Columns], k_part[Columns], b_part[Columns];
    RWKV7_UNROLL
    for (int c = 0; c < Columns; ++c) {
      const auto here = at.shifted(c * W);
      w_part[c] = here.load(change), k_part[c] = here.load(k);
      if constexpr (Removal) b_part[c] = here.load(b);
    }
    const float* old_row = from;
    float* new_row = to;
    for (index_t i = 0; i < rows; ++i, old_row += row, new_row += row) {
      const V vi(v[i]), ui(Removal ? u[i] : 0.0f);
      RWKV7_UNROLL
      for (int c = 0; c < Columns; ++c) {
        const auto here = at.shifted(c * W);
        cpu::prefetch(old_row + ahead + here.j);
        const V old = here.load(old_row);
        V s = cpu::fma<Arch>(old, w_part[c], old);
        if constexpr (Removal) s = cpu::fma<Arch>(ui, b_part[c], s);
        here.store(new_row, cpu::fma<Arch>(vi, k_part[c], s));
      }
    }
  });
}

/// Tokens [first, first + count), count ≤ wkv_rows_most, of the rows [begin, end) of one head; none: the rows are
/// copied.
template <class Arch, index_t Capacity, index_t FixedN, bool Removal, read_policy Policy>
void wkv_rows(const wkv_head<Removal, Policy>& head, index_t first, index_t count, index_t size, index_t begin,
              index_t end, const state_rows<const float>& from, const state_rows<float>& to) noexcept {
  using V = vec<Arch>;
  constexpr index_t Rows = wkv_group<Arch, Removal>;
  const index_t N = FixedN > 0 ? FixedN : size;
  wkv_row_tokens<Arch, Capacity> tokens;
  for (index_t n = 0; n < count; ++n) {
    const index_t t = first + n;
    const float *r = head.r[t], *b = head.b[t];
    float *change = tokens.change[n], *read_by = tokens.read_by[n];
    decays<Arch, decay_as::change>(head.form, head.offset, head.w[t], N, change);
    V removed(0.0f);
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V rj = at.load(r);
      at.store(read_by,
               Policy == read_policy::after ? cpu::fma<Arch>(at.load(static_cast<const float*>(change)), rj, rj) : rj);
      if constexpr (Removal) removed = cpu::fma<Arch>(at.load(b), rj, removed);
    });
    tokens.own[n] = head.template own<Arch>(t, N);
    tokens.removed[n] = Removal ? reduce_add<Arch>(removed) : 0.0f;
  }

  // Rows as kernels want them: contiguous, and one after the other where N is fixed.
  const auto usable = [&](const auto& rows) RWKV7_INLINE_LAMBDA {
    return rows.data && (rows.column == 1 || N == 1) && (FixedN == 0 || rows.row == N);
  };
  const bool direct = count > 0 && usable(from) && (to.data ? usable(to) && to.row == from.row : count == 1);
  // So many rows together that the second read of them finds them in the nearest cache.
  const index_t near = 4096 / N / Rows * Rows, most = direct && near > Rows ? near : Rows;
  alignas(64) float copy[Rows * Capacity];  // of rows that lie otherwise, and of a group that is not full
  for (index_t i = begin, rows = 0; i < end; i += rows) {
    const index_t left = end - i;
    rows = left >= most ? most : left >= Rows ? left / Rows * Rows : left;
    const bool in_place = direct && rows >= Rows;
    const auto source = from.from(i);
    const auto target = to.from(i);
    if (!in_place)
      for (index_t x = 0; x < Rows; ++x)
        for (index_t j = 0; j < N; ++j)
          copy[x * Capacity + j] = source.data && x < rows ? source.data[x * source.row + j * source.column] : 0.0f;
    const float* now = in_place ? source.data : copy;
    float* const next = in_place ? target.data : copy;
    const index_t row = in_place ? source.row : Capacity;
    // The rows needed next are another thread's where this thread's heads end.
    const index_t ahead = in_place && (i + rows < end || head.next_follows) ? rows * row : 0;
    for (index_t n = 0; n < count; ++n, now = next) {
      const index_t t = first + n;
      float v_copy[Rows] = {}, y_copy[Rows];
      if (!in_place)
        for (index_t x = 0; x < rows; ++x) v_copy[x] = head.v[t][i + x];
      wkv_row_token<Arch, FixedN>(head, tokens, n, t, N, in_place ? rows : Rows, now, next, row, ahead,
                                  in_place ? head.v[t] + i : v_copy, in_place ? head.y[t] + i : y_copy);
      if (!in_place)
        for (index_t x = 0; x < rows; ++x) head.y[t][i + x] = y_copy[x];
    }
    if (!in_place && target.data)
      for (index_t x = 0; x < rows; ++x)
        for (index_t j = 0; j < N; ++j) target.data[x * target.row + j * target.column] = copy[x * Capacity + j];
  }
}

}  // namespace rwkv7::backend::cpu
