// SPDX-License-Identifier: MIT
/// The recurrence on CPU, in two forms that are chosen per block of 32 tokens.
///
/// Columns (8 tokens and more): the state transposed in a buffer of the thread, vector lanes along the value index. One
/// pass over S per token updates it and accumulates this token's output and the next token's u = S a, with no sum
/// across lanes. Turning the state round twice costs as much as a few tokens.
///
/// Rows (fewer than 8 tokens, so also the decode step): the state stays where the caller keeps it, lanes along the key
/// index. Both S a and S (w ⊙ r) are taken from the old state in one read, then y = S (w ⊙ r) + u (b·r) + v (k·r).
///
/// The forms sum in different orders. Which tokens use which depends only on their place in the call modulo 32, so
/// splits at multiples of 32 change no bit. Where the states in between are asked for, each token is a run of its own.
///
/// The decay enters as S + (w - 1) S. That costs nothing beside a fused multiply-add, and a slow decay keeps its
/// digits: rounding w = 1 - 1e-4 to a float is an error of 3e-8 that repeats at every token, and measured 6 times as
/// much at the end of 1024 tokens. A factor below 1/2 is right to 6e-8 of 1, not of itself.
#pragma once

#include "rwkv7/backend/cpu/activation.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/operands/wkv7.hpp"

namespace rwkv7::backend::cpu {

inline constexpr index_t wkv7_block = 32;
inline constexpr index_t wkv7_shortest_columns = 8;

/// A [B, T, H, N] operand as one sequence and head sees it: token t at data + t · stride.
template <class T>
struct head_tokens {
  T* data;
  index_t stride;

  RWKV7_INLINE head_tokens(const view<T, 4>& v, const sequence& s, index_t h) noexcept
      : data(v.at(s.batch, s.first, h, 0)), stride(v.stride(1)) {}
  RWKV7_INLINE T* operator[](index_t t) const noexcept { return data + t * stride; }
};

/// Everything one sequence and head needs. `Removal`: there are a and b.
template <bool Removal, read_policy Policy>
struct wkv_head {
  head_tokens<const float> r, w, k, v, a, b;
  head_tokens<float> y;
  const float* u;  // [N], for read_policy::before_bonus
  decay_form form;
  decay_offset offset;

  /// What multiplies v in the output, beside the state: y = (state read) r + v · own.
  template <class Arch>
  RWKV7_INLINE float own(index_t t, index_t N) const noexcept {
    if constexpr (Policy == read_policy::before) return 0;
    vec<Arch> sum(0.0f);
    const float *rt = r[t], *kt = k[t];
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<Arch> product = at.load(rt) * at.load(kt);
      if constexpr (Policy == read_policy::before_bonus)
        sum = cpu::fma<Arch>(product, at.load(u), sum);
      else
        sum += product;
    });
    return reduce_add<Arch>(sum);
  }
};

/// Lanes [i, i + Width · lanes) of the value index, `count` tokens from t0 on. S: column j at S + j · ld, padded.
template <class Arch, int Width, index_t FixedN, bool Removal, read_policy Policy>
RWKV7_INLINE void wkv_columns(const wkv_head<Removal, Policy>& head, index_t t0, index_t count, const float* changes,
                              index_t size, index_t i, float* S, index_t ld) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  const index_t N = FixedN > 0 ? FixedN : size;
  const auto load_values = [&](const float* p, int x) RWKV7_INLINE_LAMBDA {
    const index_t at = i + x * W, left = N - at;
    return left >= W ? cpu::load<Arch>(p + at) : left > 0 ? cpu::load_first<Arch>(p + at, left) : V(0.0f);
  };

  V u[Width];  // S a of the coming token
  RWKV7_UNROLL
  for (int x = 0; x < Width; ++x) u[x] = V(0.0f);
  if constexpr (Removal)
    for (index_t j = 0; j < N; ++j) {
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x)
        u[x] = cpu::fma<Arch>(cpu::load<Arch>(S + j * ld + i + x * W), V(head.a[t0][j]), u[x]);
    }

  for (index_t n = 0; n < count; ++n, changes += N) {
    const index_t t = t0 + n;
    const float *r = head.r[t], *k = head.k[t];
    const float* b = Removal ? head.b[t] : nullptr;
    const float* a_next = Removal ? head.a[n + 1 < count ? t + 1 : t] : nullptr;  // the last one's is not used
    V v[Width], y[Width], next[Width];
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) {
      v[x] = load_values(head.v[t], x);
      y[x] = next[x] = V(0.0f);
    }
    for (index_t j = 0; j < N; ++j) {
      const V wj(changes[j]), kj(k[j]), rj(r[j]);
      float* column = S + j * ld + i;
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) {
        const V old = cpu::load<Arch>(column + x * W);
        if constexpr (Policy != read_policy::after) y[x] = cpu::fma<Arch>(old, rj, y[x]);
        V s = cpu::fma<Arch>(old, wj, old);
        if constexpr (Removal) s = cpu::fma<Arch>(u[x], V(b[j]), s);
        s = cpu::fma<Arch>(v[x], kj, s);
        cpu::store<Arch>(column + x * W, s);
        if constexpr (Policy == read_policy::after) y[x] = cpu::fma<Arch>(s, rj, y[x]);
        if constexpr (Removal) next[x] = cpu::fma<Arch>(s, V(a_next[j]), next[x]);
      }
    }
    if constexpr (Policy == read_policy::before_bonus) {
      const V own(head.template own<Arch>(t, N));
      RWKV7_UNROLL
      for (int x = 0; x < Width; ++x) y[x] = cpu::fma<Arch>(v[x], own, y[x]);
    }
    RWKV7_UNROLL
    for (int x = 0; x < Width; ++x) {
      u[x] = next[x];
      const index_t at = i + x * W, left = N - at;
      if (left >= W)
        cpu::store<Arch>(head.y[t] + at, y[x]);
      else if (left > 0)
        cpu::store_first<Arch>(head.y[t] + at, y[x], left);
    }
  }
}

/// One token on a row-major state: row i at S + i · ld. `read_by` [N] is scratch: what the old state is read by, w ⊙ r
/// where y reads the state after the update, else r.
template <class Arch, index_t FixedN, bool Removal, read_policy Policy>
RWKV7_INLINE void wkv_rows(const wkv_head<Removal, Policy>& head, index_t t, const float* changes, float* read_by,
                           index_t size, float* S, index_t ld) noexcept {
  using V = vec<Arch>;
  const index_t N = FixedN > 0 ? FixedN : size;
  const float *r = head.r[t], *k = head.k[t], *v = head.v[t];
  const float *a = Removal ? head.a[t] : nullptr, *b = Removal ? head.b[t] : nullptr;
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    const V rj = at.load(r);
    at.store(read_by, Policy == read_policy::after ? cpu::fma<Arch>(at.load(changes), rj, rj) : rj);
  });
  const float own = head.template own<Arch>(t, N);
  float removed = 0;  // b · r
  if constexpr (Removal) {
    V sum(0.0f);
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { sum = cpu::fma<Arch>(at.load(b), at.load(r), sum); });
    removed = reduce_add<Arch>(sum);
  }
  const auto rows = [&]<int Rows>(std::integral_constant<int, Rows>, index_t i) RWKV7_INLINE_LAMBDA {
    V u[Rows], q[Rows];
    RWKV7_UNROLL
    for (int x = 0; x < Rows; ++x) u[x] = q[x] = V(0.0f);
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V p = at.load(static_cast<const float*>(read_by));
      RWKV7_UNROLL
      for (int x = 0; x < Rows; ++x) {
        const V s = at.load(static_cast<const float*>(S + (i + x) * ld));
        q[x] = cpu::fma<Arch>(s, p, q[x]);
        if constexpr (Removal) u[x] = cpu::fma<Arch>(s, at.load(a), u[x]);
      }
    });
    V u_all[Rows], v_all[Rows];
    RWKV7_UNROLL
    for (int x = 0; x < Rows; ++x) {
      const float ui = Removal ? reduce_add<Arch>(u[x]) : 0.0f, vi = v[i + x];
      head.y[t][i + x] = reduce_add<Arch>(q[x]) + ui * removed + vi * own;
      u_all[x] = V(ui);
      v_all[x] = V(vi);
    }
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V wj = at.load(changes), kj = at.load(k);
      RWKV7_UNROLL
      for (int x = 0; x < Rows; ++x) {
        float* row = S + (i + x) * ld;
        const V old = at.load(static_cast<const float*>(row));
        V s = cpu::fma<Arch>(old, wj, old);
        if constexpr (Removal) s = cpu::fma<Arch>(u_all[x], at.load(b), s);
        at.store(row, cpu::fma<Arch>(v_all[x], kj, s));
      }
    });
  };
  index_t i = 0;
  for (; i + 4 <= N; i += 4) rows(std::integral_constant<int, 4>{}, i);
  for (; i < N; ++i) rows(std::integral_constant<int, 1>{}, i);
}

/// to[i][j] = from[i][j] for an N × N matrix, either side strided; in tiles, so that a transposition stays in cache.
template <class Arch>
RWKV7_INLINE void copy_square(const float* from, index_t row, index_t column, float* to, index_t to_row,
                              index_t to_column, index_t N) noexcept {
  constexpr index_t tile = 16;
  for (index_t i0 = 0; i0 < N; i0 += tile)
    for (index_t j0 = 0; j0 < N; j0 += tile)
      for (index_t i = i0; i < N && i < i0 + tile; ++i)
        for (index_t j = j0; j < N && j < j0 + tile; ++j)
          to[i * to_row + j * to_column] = from ? from[i * row + j * column] : 0.0f;
}

/// One sequence and head, from its initial state to its final one. Capacity bounds N and sizes the stack.
template <class Arch, index_t Capacity, index_t FixedN, bool Removal, read_policy Policy>
void wkv_sequence(const wkv_head<Removal, Policy>& head, index_t T, index_t size, const view<const float, 2>& initial,
                  const view<float, 2>& final) noexcept {
  constexpr index_t W = lanes<Arch>, padded = (Capacity + W - 1) / W * W;
  const index_t N = FixedN > 0 ? FixedN : size, ld = FixedN > 0 ? padded : (N + W - 1) / W * W;
  const index_t short_tail = T % wkv7_block < wkv7_shortest_columns ? T % wkv7_block : 0;
  const index_t column_tokens = T - short_tail;
  const bool final_has_rows = final && (final.stride(1) == 1 || N == 1);

  alignas(64) float buffer[Capacity * padded];
  alignas(64) float changes[wkv7_block * Capacity];

  // Where the state is now: in `buffer` as columns, in `buffer` as rows, or in `final`.
  float* rows = final_has_rows ? final.data() : buffer;
  const index_t rows_ld = final_has_rows ? final.stride(0) : ld;

  if (column_tokens > 0) {
    for (index_t j = 0; j < N; ++j)
      for (index_t i = N; i < ld; ++i) buffer[j * ld + i] = 0;
    copy_square<Arch>(initial.data(), initial.stride(0), initial.stride(1), buffer, 1, ld, N);
    for (index_t t0 = 0; t0 < column_tokens; t0 += wkv7_block) {
      const index_t count = column_tokens - t0 < wkv7_block ? column_tokens - t0 : wkv7_block;
      for (index_t n = 0; n < count; ++n)
        decays<Arch, decay_as::change>(head.form, head.offset, head.w[t0 + n], N, changes + n * N);
      index_t i = 0;
      for (; i + 2 * W <= ld; i += 2 * W) wkv_columns<Arch, 2, FixedN>(head, t0, count, changes, N, i, buffer, ld);
      for (; i < ld; i += W) wkv_columns<Arch, 1, FixedN>(head, t0, count, changes, N, i, buffer, ld);
    }
    if (short_tail == 0) {
      if (final) copy_square<Arch>(buffer, 1, ld, final.data(), final.stride(0), final.stride(1), N);
      return;
    }
    if (final_has_rows)
      copy_square<Arch>(buffer, 1, ld, rows, rows_ld, 1, N);
    else
      for (index_t i = 0; i < N; ++i)
        for (index_t j = 0; j < i; ++j) {
          const float above = buffer[j * ld + i];
          buffer[j * ld + i] = buffer[i * ld + j];
          buffer[i * ld + j] = above;
        }
  } else if (!(final_has_rows && initial.data() == final.data() && initial.strides() == final.strides())) {
    copy_square<Arch>(initial.data(), initial.stride(0), initial.stride(1), rows, rows_ld, 1, N);
  }

  for (index_t t = column_tokens; t < T; ++t) {
    decays<Arch, decay_as::change>(head.form, head.offset, head.w[t], N, changes);
    wkv_rows<Arch, FixedN>(head, t, changes, changes + Capacity, N, rows, rows_ld);
  }
  if (final && !final_has_rows) copy_square<Arch>(buffer, ld, 1, final.data(), final.stride(0), final.stride(1), N);
}

/// Sequences × heads over the executor, for both recurrences. The unused operands repeat r.
template <class Arch, bool Removal, read_policy Policy, class Exec, class Inputs>
void wkv_heads(Exec& exec, const sequences& seq, const Inputs& in, const view<const float, 4>& a,
               const view<const float, 4>& b, const view<const float, 2>& u, const view<float, 4>& y,
               const state<float>& state) {
  const index_t H = y.extent(2), N = y.extent(3), heads = seq.count() * H;
  if (heads == 0) return;
  const index_t tokens = seq.batch() * seq.tokens() / seq.count() + 1;
  for_ranges(exec, heads, (index_t{1} << 16) / (N * N * tokens + 1) + 1, 1, [&](index_t begin, index_t end) noexcept {
    for (index_t item = begin; item < end; ++item) {
      const sequence all = seq[item / H];
      const index_t h = item % H;
      const auto initial = state.initial ? state.initial[all.slot][h] : view<const float, 2>{};
      const auto final = state.final ? state.final[all.slot][h] : view<float, 2>{};
      const auto run = [&](const sequence& s, const view<const float, 2>& from, const view<float, 2>& to) noexcept {
        const wkv_head<Removal, Policy> head{{in.r, s, h},
                                             {in.w.values(), s, h},
                                             {in.k, s, h / (H / in.k.extent(2))},
                                             {in.v, s, h / (H / in.v.extent(2))},
                                             {a, s, h},
                                             {b, s, h},
                                             {y, s, h},
                                             u ? u.at(h, 0) : nullptr,
                                             in.w.form(),
                                             in.w.offset()};
        if (N == 64)
          wkv_sequence<Arch, 64, 64>(head, s.length, N, from, to);
        else if (N == 128)
          wkv_sequence<Arch, 128, 128>(head, s.length, N, from, to);
        else if (N < 64)
          wkv_sequence<Arch, 64, 0>(head, s.length, N, from, to);
        else if (N < 128)
          wkv_sequence<Arch, 128, 0>(head, s.length, N, from, to);
        else
          wkv_sequence<Arch, max_head_size, 0>(head, s.length, N, from, to);
      };
      if (!state.every) {
        run(all, initial, final);
        continue;
      }
      // Token by token, each from the snapshot of the one before; then the last one is carried over.
      view<const float, 2> from = initial;
      for (index_t t = 0; t < all.length; ++t) {
        const auto to = state.every.ring[all.slot][state.every.place(t)][h];
        run({all.batch, all.first + t, 1, all.slot}, from, to);
        from = to;
      }
      if (final) run({all.batch, all.first, 0, all.slot}, from, final);
    }
  });
}

template <class Arch, cpu_executor Exec>
void wkv7_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv7_inputs<float>& in, const view<float, 4>& y,
                 const state<float>& state) {
  wkv_heads<Arch, true, read_policy::after>(exec, seq, in, in.a, in.b, {}, y, state);
}

template <class Arch, cpu_executor Exec, read_policy Policy>
void wkv_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv_inputs<float, Policy>& in,
                const view<float, 4>& y, const state<float>& state) {
  view<const float, 2> u;
  if constexpr (Policy == read_policy::before_bonus) u = in.u;
  wkv_heads<Arch, false, Policy>(exec, seq, in, in.r, in.r, u, y, state);
}

}  // namespace rwkv7::backend::cpu
