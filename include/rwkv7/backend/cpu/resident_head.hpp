// SPDX-License-Identifier: MIT
/// One token on one head of a state that is kept to suit the decode step.
///
/// As in wkv7_columns.hpp, S lies in panels of value indices, column after column, as S̃ = S diag(1/W) with W the
/// product of the decays so far; beside them lies the update that the token before has left undone. So a step is one
/// pass that loads and stores S̃ once, at four multiply-adds for each register and no sum across lanes:
///
///   S̃ += u' b̃'ᵀ + v' k̃'ᵀ     u = S̃ ã     y = S̃ r̃ + u (b·r) + v (k·r)
///   b̃' = b' / W'     k̃' = k' / W'     ã = a W'     r̃ = r W
///
/// (primed: of the token before). Left undone are then u bᵀ and v kᵀ. Before some W would leave 2^±40, S̃ is settled:
/// multiplied by W, which is then 1, and updated. A decay that is itself outside is applied to S at once, in a pass of
/// its own. W is a sum of two floats, as there.
///
/// One thread of an AMD EPYC (Zen 5), AVX-512, N = 64, heads in the second-level cache: 190 to 215 ns a head, about
/// four fifths of it the pass, whose multiply-adds alone would take 137. Tried in a bare loop and slower: the decay in
/// every pass (five multiply-adds; 15 %, with AVX2 20 %), panels of 64 lanes (12 %) and of 16 (33 %), two columns at
/// once (8 %). What is packed before the pass waits for divisions: packing the next head first was not tried.
#pragma once

#include "rwkv7/backend/cpu/wkv7_columns.hpp"

namespace rwkv7::backend::cpu {

/// One head of a resident state: b k W u v of its last token, then its panels, of 32 lanes for every instruction set
/// and the last one of 16 where no more are left, so that a state outlives a change of executor.
struct resident_head {
  float *b, *k, *high, *low, *u, *v, *panels;
  index_t N, lanes;

  RWKV7_INLINE static constexpr index_t lanes_of(index_t N) noexcept { return (N + 15) / 16 * 16; }
  /// In floats.
  RWKV7_INLINE static constexpr index_t size_of(index_t N) noexcept { return (6 + N) * lanes_of(N); }
  RWKV7_INLINE resident_head(float* at, index_t size) noexcept : b(at), N(size), lanes(lanes_of(size)) {
    k = b + lanes, high = k + lanes, low = high + lanes, u = low + lanes, v = u + lanes, panels = v + lanes;
  }

  /// each(i, width): value indices [i, i + width) are the panel at panels + i · N.
  template <class F>
  RWKV7_INLINE void for_panels(F&& each) const noexcept {
    for (index_t i = 0; i < lanes; i += 32) each(i, lanes - i < 32 ? index_t{16} : index_t{32});
  }
  /// Nothing is left undone, and W = 1.
  template <class Arch>
  RWKV7_INLINE void begin() const noexcept {
    for (index_t i = 0; i < lanes; i += cpu::lanes<Arch>) {
      const vec<Arch> zero(0.0f);
      cpu::store<Arch>(high + i, vec<Arch>(1.0f));
      cpu::store<Arch>(low + i, zero);
      cpu::store<Arch>(b + i, zero);
      cpu::store<Arch>(k + i, zero);
      cpu::store<Arch>(u + i, zero);
      cpu::store<Arch>(v + i, zero);
    }
  }
};

/// One token's operands, scaled.
template <class Arch>
struct resident_token {
  alignas(64) float change[max_head_size];               // w - 1
  alignas(64) float b[max_head_size], k[max_head_size];  // b̃', k̃'
  alignas(64) float a[max_head_size], r[max_head_size];  // ã, r̃
};

/// The pass over some lanes, `Registers` of them from S on, of N columns `width` apart: what was left undone is done
/// with `u` and `v`, which become S̃ ã and S̃ r̃. `ahead` of S lies what comes next: asking for it saves a fifth of the
/// time where it comes from memory.
template <class Arch, int Registers>
RWKV7_INLINE void resident_pass(const resident_token<Arch>& token, index_t N, float* S, index_t width, index_t ahead,
                                vec<Arch> (&u)[Registers], vec<Arch> (&v)[Registers]) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  const auto scalar = [](const float* p) RWKV7_INLINE_LAMBDA {
    V value(*p);
    pin<Arch>(value);  // else it is loaded again for every register
    return value;
  };
  V u_now[Registers], v_now[Registers], a_sum[Registers], r_sum[Registers];
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) u_now[x] = u[x], v_now[x] = v[x], a_sum[x] = r_sum[x] = V(0.0f);
  for (index_t j = 0; j < N; ++j, S += width) {
    const V bj = scalar(token.b + j), kj = scalar(token.k + j), aj = scalar(token.a + j), rj = scalar(token.r + j);
    RWKV7_UNROLL
    for (int x = 0; x < Registers; ++x) {
      if (x * W % 16 == 0) cpu::prefetch(S + ahead + x * W);
      const V s = cpu::fma<Arch>(u_now[x], bj, cpu::fma<Arch>(v_now[x], kj, cpu::load<Arch>(S + x * W)));
      cpu::store<Arch>(S + x * W, s);
      a_sum[x] = cpu::fma<Arch>(s, aj, a_sum[x]);
      r_sum[x] = cpu::fma<Arch>(s, rj, r_sum[x]);
    }
  }
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) u[x] = a_sum[x], v[x] = r_sum[x];
}

/// A panel as it would be with nothing undone and W = 1; `to` may be where it is.
template <class Arch>
void settle_panel(const resident_head& state, index_t i, index_t width, float* to) noexcept {
  using V = vec<Arch>;
  const float* S = state.panels + i * state.N;
  for (index_t j = 0; j < state.N; ++j, S += width, to += width) {
    const float high = state.high[j], kept = high > 0.5f ? 1.0f : 0.0f;
    const V b(state.b[j]), k(state.k[j]), keep(kept), rescale((high - kept) + state.low[j]);
    for_lanes<Arch>(width, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V u = at.load(state.u + i), v = at.load(state.v + i);
      const V s = at.load(S), scaled = cpu::fma<Arch>(s, rescale, s * keep);
      at.store(to, cpu::fma<Arch>(u, b, cpu::fma<Arch>(v, k, scaled)));
    });
  }
}

/// A head with nothing left undone and W = 1.
template <class Arch>
void settle(const resident_head& state) noexcept {
  state.for_panels([&](index_t i, index_t width)
                       RWKV7_INLINE_LAMBDA { settle_panel<Arch>(state, i, width, state.panels + i * state.N); });
  state.template begin<Arch>();
}

/// Value indices [i, i + Registers) of a panel that begins at `panel`: the pass, and what comes of it. `own`,
/// `removed`: k·r and b·r of the token.
template <class Arch, int Registers>
RWKV7_INLINE void resident_lanes(const float* v_new, float* y, const resident_head& state,
                                 const resident_token<Arch>& token, const vec<Arch>& own, const vec<Arch>& removed,
                                 index_t N, index_t panel, index_t i, index_t width, index_t ahead) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  V u[Registers], v[Registers];
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) {
    u[x] = cpu::load<Arch>(state.u + i + x * W);
    v[x] = cpu::load<Arch>(state.v + i + x * W);
  }
  resident_pass<Arch, Registers>(token, N, state.panels + panel * N + (i - panel), width, ahead, u, v);
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) {
    const index_t at = i + x * W, left = N - at;
    const V now = left >= W  ? cpu::load<Arch>(v_new + at)
                  : left > 0 ? cpu::load_first<Arch>(v_new + at, left)
                             : V(0.0f);
    const V out = cpu::fma<Arch>(now, own, cpu::fma<Arch>(u[x], removed, v[x]));
    if (left >= W)
      cpu::store<Arch>(y + at, out);
    else if (left > 0)
      cpu::store_first<Arch>(y + at, out, left);
    cpu::store<Arch>(state.u + at, u[x]);
    cpu::store<Arch>(state.v + at, now);
  }
}

/// W ← W w and the token's operands to match; what was left undone is the token's then. Or nothing and false, where
/// some channel would leave 2^±40. `own`, `removed`: k·r and b·r.
template <class Arch, index_t FixedN, class Head>
RWKV7_INLINE bool resident_scale(const Head& head, index_t t, const resident_head& state, resident_token<Arch>& token,
                                 vec<Arch>& own, vec<Arch>& removed) noexcept {
  using V = vec<Arch>;
  constexpr index_t capacity = FixedN > 0 ? FixedN : max_head_size;
  const index_t N = FixedN > 0 ? FixedN : state.N;
  const float *r = head.r[t], *k = head.k[t], *a = head.a[t], *b = head.b[t];
  float *const b_left = state.b, *const k_left = state.k, *const W_high = state.high, *const W_low = state.low;
  alignas(64) float high[capacity], low[capacity];
  V least(1.0f), most(1.0f), own_sum(0.0f), removed_sum(0.0f);
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    const V h = at.load(W_high), l = at.load(W_low), before = h + l, inverse = V(1.0f) / before;
    const two_floats<Arch> next = times_decay<Arch>(h, l, at.load(token.change));
    const V after = next.high + next.low, rj = at.load(r);
    // NaN stays one whatever the scale. Lanes behind the last channel have h = 0.
    const V size = xsimd::select(h == V(0.0f), V(1.0f), xsimd::abs(after));
    least = xsimd::min(size, least);
    most = xsimd::max(size, most);
    at.store(high, next.high);
    at.store(low, next.low);
    at.store(token.b, at.load(b_left) * inverse);
    at.store(token.k, at.load(k_left) * inverse);
    at.store(token.a, at.load(a) * before);
    at.store(token.r, rj * after);
    own_sum = cpu::fma<Arch>(at.load(k), rj, own_sum);
    removed_sum = cpu::fma<Arch>(at.load(b), rj, removed_sum);
  });
  own = V(reduce_add<Arch>(own_sum));
  removed = V(reduce_add<Arch>(removed_sum));
  if (xsimd::any((least < V(0x1p-40f)) | (most > V(0x1p40f)))) return false;
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    at.store(b_left, at.load(b));
    at.store(k_left, at.load(k));
    at.store(W_high, at.load(high));
    at.store(W_low, at.load(low));
  });
  return true;
}

/// One token of one head.
template <class Arch, index_t FixedN, class Head>
void resident_step(const Head& head, index_t t, const resident_head& state, index_t ahead) noexcept {
  using V = vec<Arch>;
  constexpr int W = static_cast<int>(lanes<Arch>), wide = 32 / W < 4 ? 32 / W : 4, narrow = 16 / W < 4 ? 16 / W : 4;
  static_assert(16 % W == 0);
  const index_t N = FixedN > 0 ? FixedN : state.N;
  resident_token<Arch> token;
  V own, removed;
  decays<Arch, decay_as::change>(head.form, head.offset, head.w[t], N, token.change);
  bool in_scale = resident_scale<Arch, FixedN>(head, t, state, token, own, removed);
  if (!in_scale) {
    settle<Arch>(state);
    in_scale = resident_scale<Arch, 0>(head, t, state, token, own, removed);
  }
  for (float* line = state.b; line < state.panels; line += 16) cpu::prefetch(line + ahead);
  state.for_panels([&](index_t panel, index_t width) RWKV7_INLINE_LAMBDA {
    if (width == 32)
      for (index_t i = panel; i < panel + 32; i += wide * W)
        resident_lanes<Arch, wide>(head.v[t], head.y[t], state, token, own, removed, N, panel, i, width, ahead);
    else
      resident_lanes<Arch, narrow>(head.v[t], head.y[t], state, token, own, removed, N, panel, panel, width, ahead);
  });
  if (in_scale) return;
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    at.store(state.b, at.load(head.b[t]));
    at.store(state.k, at.load(head.k[t]));
  });
  state.for_panels([&](index_t i, index_t width) RWKV7_INLINE_LAMBDA {
    float* S = state.panels + i * N;
    for (index_t j = 0; j < N; ++j, S += width) {
      const V change(token.change[j]);
      for_lanes<Arch>(width, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V s = at.load(S);
        at.store(S, cpu::fma<Arch>(s, change, s));
      });
    }
  });
}

}  // namespace rwkv7::backend::cpu
