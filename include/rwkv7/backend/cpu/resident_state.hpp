// SPDX-License-Identifier: MIT
/// The decode step on a state that is kept to suit it.
///
/// As in wkv7_columns.hpp, S lies in panels of value indices, column after column, as S̃ = S diag(1/W) with W the
/// product of the decays so far; beside them lies the update that the token before has left undone. So a step is one
/// pass that loads and stores S̃ once, at four multiply-adds for each register and no sum across lanes:
///
///   S̃ += u' b̃'ᵀ + v' k̃'ᵀ     u = S̃ ã     y = S̃ r̃ + u (b·r) + v (k·r)     ã = a W'     r̃ = r W
///
/// (primed: of the token before; r̃ is decayed already, which is what y reads). What is left undone is then u, v and
/// b̃ = b / W, k̃ = k / W. Before some W would leave 2^±40, S̃ is settled: updated and multiplied by W, which is then 1.
/// A decay that is itself outside is applied to S at once, in a pass of its own. W is a sum of two floats, as there.
///
/// Panels are of 32 lanes for every instruction set, the last one of 16 where no more are left, so that a state
/// outlives a change of executor. Each thread steps whole shards, heads next to each other of all slots, which lie 16
/// KiB apart: nearer, one core's prefetcher takes lines from the other's cache.
///
/// One thread of an AMD EPYC (Zen 5), AVX-512, N = 64: see bench/ops/wkv7.cpp. Tried and slower: the decay in every
/// pass (5 multiply-adds; 15 % in the cache), panels of 64 lanes (12 %) and of 16 (34 %), two columns at once (8 %).
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/wkv7_columns.hpp"
#include "rwkv7/core/resident_state.hpp"

namespace rwkv7::backend::cpu {

/// Where things lie. A head is b̃ k̃ W u v of its last token and then its panels.
struct resident_shards {
  static constexpr index_t between = 16384 / sizeof(float);

  index_t slots, H, N, shards;

  RWKV7_INLINE explicit resident_shards(const state_extents& e, index_t count) noexcept
      : slots(e.slots), H(e.H), N(e.N), shards(count) {}

  RWKV7_INLINE index_t lanes() const noexcept { return (N + 15) / 16 * 16; }
  RWKV7_INLINE index_t head_size() const noexcept { return (6 + N) * lanes(); }
  RWKV7_INLINE index_t first_head(index_t shard) const noexcept { return H * shard / shards; }
  RWKV7_INLINE index_t shard_size() const noexcept {
    return slots * ((H + shards - 1) / shards) * head_size() + between;
  }
  RWKV7_INLINE index_t size() const noexcept { return shards * shard_size() - between; }
  /// Head h of a slot, which lies in this shard.
  RWKV7_INLINE index_t place(index_t shard, index_t slot, index_t h) const noexcept {
    const index_t first = first_head(shard), heads = first_head(shard + 1) - first;
    return shard * shard_size() + (slot * heads + h - first) * head_size();
  }
};

template <class T, class Arch>
requires std::is_same_v<T, float> resident_plan resident_plan_of(tag<Arch>, const state_extents& e, index_t concurrency)
noexcept {
  const index_t most = e.H > 1 ? e.H : 1, shards = concurrency < 1 ? 1 : concurrency < most ? concurrency : most;
  return {"cpu", shards,
          static_cast<std::size_t>(resident_shards(e, shards).size()) * sizeof(float) / sizeof(cache_line)};
}

/// One head of a resident state.
struct resident_head {
  float *b, *k, *high, *low, *u, *v, *panels;
  index_t N, lanes;

  RWKV7_INLINE resident_head(float* at, const resident_shards& where) noexcept
      : b(at), N(where.N), lanes(where.lanes()) {
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
      cpu::store<Arch>(high + i, vec<Arch>(1.0f));
      for (float* const zeros : {b, k, low, u, v}) cpu::store<Arch>(zeros + i, vec<Arch>(0.0f));
    }
  }
};

/// One token's operands, scaled.
template <class Arch>
struct resident_token {
  alignas(64) float change[max_head_size];                    // w - 1
  alignas(64) float high[max_head_size], low[max_head_size];  // W = high + low
  alignas(64) float b[max_head_size], k[max_head_size];       // b̃, k̃
  alignas(64) float a[max_head_size], r[max_head_size];       // ã, r̃

  /// W ← W w; or false, where some channel would leave 2^±40.
  template <class Head>
  RWKV7_INLINE bool scale(const Head& head, index_t t, const resident_head& state) noexcept {
    using V = vec<Arch>;
    V least(1.0f), most(1.0f);
    for_lanes<Arch>(state.N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const V h = at.load(state.high), l = at.load(state.low);
      const two_floats<Arch> next = times_decay<Arch>(h, l, at.load(change));
      const V W = next.high + next.low, inverse = V(1.0f) / W;
      // NaN stays one whatever the scale. Lanes behind the last channel have h = 0.
      const V size = xsimd::select(h == V(0.0f), V(1.0f), xsimd::abs(W));
      least = xsimd::min(size, least);
      most = xsimd::max(size, most);
      at.store(high, next.high);
      at.store(low, next.low);
      at.store(b, at.load(head.b[t]) * inverse);
      at.store(k, at.load(head.k[t]) * inverse);
      at.store(a, at.load(head.a[t]) * (h + l));
      at.store(r, at.load(head.r[t]) * W);
    });
    return !xsimd::any((least < V(0x1p-40f)) | (most > V(0x1p40f)));
  }
  /// W = 1 before and after: the decay is for another pass.
  template <class Head>
  RWKV7_INLINE void unscaled(const Head& head, index_t t, index_t N) noexcept {
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
      const vec<Arch> rj = at.load(head.r[t]);
      at.store(high, vec<Arch>(1.0f));
      at.store(low, vec<Arch>(0.0f));
      at.store(b, at.load(head.b[t]));
      at.store(k, at.load(head.k[t]));
      at.store(a, at.load(head.a[t]));
      at.store(r, cpu::fma<Arch>(rj, at.load(change), rj));
    });
  }
};

/// The pass over some lanes, `Registers` of them from S on, of columns `width` apart: what was left undone is done with
/// `u` and `v`, which become S̃ ã and S̃ r̃. `ahead` of S lies what comes next: asking for it saves a third of the time
/// where it comes from memory.
template <class Arch, int Registers>
[[gnu::noinline]] void resident_pass(const resident_head& state, const resident_token<Arch>& token, float* S,
                                     index_t width, index_t ahead, vec<Arch> (&u)[Registers],
                                     vec<Arch> (&v)[Registers]) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  const auto scalar = [](const float* p) RWKV7_INLINE_LAMBDA {
    V value(*p);
    pin<Arch>(value);  // else it is loaded again for every register
    return value;
  };
  const float *b = state.b, *k = state.k;
  V u_now[Registers], v_now[Registers], a_sum[Registers], r_sum[Registers];
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) u_now[x] = u[x], v_now[x] = v[x], a_sum[x] = r_sum[x] = V(0.0f);
  for (index_t j = 0, N = state.N; j < N; ++j, S += width) {
    const V bj = scalar(b + j), kj = scalar(k + j), aj = scalar(token.a + j), rj = scalar(token.r + j);
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
      const V s = cpu::fma<Arch>(u, b, cpu::fma<Arch>(v, k, at.load(S)));
      at.store(to, cpu::fma<Arch>(s, rescale, s * keep));
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

/// Value indices [i, i + Registers) of a panel that begins at `panel`: the pass, and what comes of it.
template <class Arch, int Registers, class Head>
RWKV7_INLINE void resident_lanes(const Head& head, index_t t, const resident_head& state,
                                 const resident_token<Arch>& token, const vec<Arch>& own, const vec<Arch>& removed,
                                 index_t panel, index_t i, index_t width, index_t ahead) noexcept {
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>;
  V u[Registers], v[Registers];
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) {
    u[x] = cpu::load<Arch>(state.u + i + x * W);
    v[x] = cpu::load<Arch>(state.v + i + x * W);
  }
  resident_pass<Arch, Registers>(state, token, state.panels + panel * state.N + (i - panel), width, ahead, u, v);
  RWKV7_UNROLL
  for (int x = 0; x < Registers; ++x) {
    const index_t at = i + x * W, left = state.N - at;
    const float* const values = head.v[t] + at;
    const V now = left >= W ? cpu::load<Arch>(values) : left > 0 ? cpu::load_first<Arch>(values, left) : V(0.0f);
    const V y = cpu::fma<Arch>(now, own, cpu::fma<Arch>(u[x], removed, v[x]));
    if (left >= W)
      cpu::store<Arch>(head.y[t] + at, y);
    else if (left > 0)
      cpu::store_first<Arch>(head.y[t] + at, y, left);
    cpu::store<Arch>(state.u + at, u[x]);
    cpu::store<Arch>(state.v + at, now);
  }
}

/// One token of one head.
template <class Arch, class Head>
void resident_step(const Head& head, index_t t, const resident_head& state, index_t ahead) noexcept {
  using V = vec<Arch>;
  constexpr int W = static_cast<int>(lanes<Arch>), wide = 32 / W < 4 ? 32 / W : 4, narrow = 16 / W < 4 ? 16 / W : 4;
  static_assert(16 % W == 0);
  const index_t N = state.N;
  resident_token<Arch> token;
  decays<Arch, decay_as::change>(head.form, head.offset, head.w[t], N, token.change);
  bool in_scale = token.scale(head, t, state);
  if (!in_scale) {
    settle<Arch>(state);
    in_scale = token.scale(head, t, state);
    if (!in_scale) token.unscaled(head, t, N);
  }
  V removed(0.0f);
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    removed = cpu::fma<Arch>(at.load(head.b[t]), at.load(head.r[t]), removed);
  });
  const V own_all(head.template own<Arch>(t, N)), removed_all(reduce_add<Arch>(removed));
  for (float* line = state.b; line < state.panels; line += 16) cpu::prefetch(line + ahead);
  state.for_panels([&](index_t panel, index_t width) RWKV7_INLINE_LAMBDA {
    if (width == 32)
      for (index_t i = panel; i < panel + 32; i += wide * W)
        resident_lanes<Arch, wide>(head, t, state, token, own_all, removed_all, panel, i, width, ahead);
    else
      resident_lanes<Arch, narrow>(head, t, state, token, own_all, removed_all, panel, panel, width, ahead);
  });
  if (!in_scale)
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
  for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA {
    at.store(state.b, at.load(token.b));
    at.store(state.k, at.load(token.k));
    at.store(state.high, at.load(token.high));
    at.store(state.low, at.load(token.low));
  });
}

/// f(item, h, at, ahead) for `items` slots, slot_of(item), of every head: its memory, and how far from there is that of
/// the head that comes next on this thread. Each of these does about `work` multiply-adds.
template <class Exec, class SlotOf, class F>
void for_resident_heads(Exec& exec, const resident_state<float>& s, index_t items, index_t work, SlotOf slot_of, F f) {
  const resident_shards where(s.extents(), s.plan().shards);
  if (items == 0 || where.H == 0) return;
  const index_t of_shard = items * ((where.H + where.shards - 1) / where.shards);
  for_ranges(exec, where.shards, (index_t{1} << 16) / (work * of_shard + 1) + 1, 1,
             [&](index_t begin, index_t end) noexcept {
               for (index_t shard = begin; shard < end; ++shard) {
                 const index_t first = where.first_head(shard), last = where.first_head(shard + 1);
                 for (index_t item = 0; item < items; ++item)
                   for (index_t h = first; h < last; ++h) {
                     const index_t place = where.place(shard, slot_of(item), h);
                     const index_t next = h + 1 < last       ? place + where.head_size()
                                          : item + 1 < items ? where.place(shard, slot_of(item + 1), first)
                                                             : place;
                     f(item, h, resident_head(s.data() + place, where), next - place);
                   }
               }
             });
}

template <class Arch, cpu_executor Exec>
void wkv7_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv7_inputs<float>& in, const view<float, 4>& y,
                 const resident_state<float>& s) {
  const index_t N = y.extent(3), H = y.extent(2), count = seq.count();
  for_resident_heads(
      exec, s, count, N * N * (count > 0 ? seq.batch() * seq.tokens() / count + 1 : 0),
      [&](index_t item) RWKV7_INLINE_LAMBDA { return seq[item].slot; },
      [&](index_t item, index_t h, const resident_head& state, index_t ahead) RWKV7_INLINE_LAMBDA {
        const sequence one = seq[item];
        const wkv_head<true, read_policy::after> head{{in.r, one, h},
                                                      {in.w.values(), one, h},
                                                      {in.k, one, h / (H / in.k.extent(2))},
                                                      {in.v, one, h / (H / in.v.extent(2))},
                                                      {in.a, one, h},
                                                      {in.b, one, h},
                                                      {y, one, h},
                                                      nullptr,
                                                      in.w.form(),
                                                      in.w.offset(),
                                                      false};
        for (index_t t = 0; t < one.length; ++t) resident_step<Arch>(head, t, state, t + 1 == one.length ? ahead : 0);
      });
}

template <class Arch, cpu_executor Exec>
void import_state_kernel(tag<Arch>, Exec& exec, const view<const float, 4>& from, const resident_state<float>& s,
                         const index_list& slots) {
  const auto [all, H, N] = s.extents();
  for_resident_heads(
      exec, s, slots.size() > 0 ? slots.size() : all, N * N,
      [&](index_t item) RWKV7_INLINE_LAMBDA { return slots.size() > 0 ? slots[item] : item; },
      [&](index_t item, index_t h, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA {
        const auto rows = from ? from[item][h] : view<const float, 2>{};
        state.for_panels([&](index_t i, index_t width) RWKV7_INLINE_LAMBDA {
          read_panel<Arch>(rows, state.N, i, width, state.panels + i * state.N);
        });
        state.template begin<Arch>();
      });
}

template <class Arch, cpu_executor Exec>
void export_state_kernel(tag<Arch>, Exec& exec, const resident_state<float>& s, const view<float, 4>& to,
                         const index_list& slots) {
  for_resident_heads(
      exec, s, to.extent(0), to.extent(2) * to.extent(2),
      [&](index_t item) RWKV7_INLINE_LAMBDA { return slots.size() > 0 ? slots[item] : item; },
      [&](index_t item, index_t h, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA {
        alignas(64) float settled[32 * max_head_size];
        const auto rows = to[item][h];
        state.for_panels([&](index_t i, index_t width) RWKV7_INLINE_LAMBDA {
          settle_panel<Arch>(state, i, width, settled);
          write_panel<Arch>(settled, state.N, i, width, rows);
        });
      });
}

template <class Arch, cpu_executor Exec>
void flush_state_kernel(tag<Arch>, Exec& exec, const resident_state<float>& s) {
  const auto [slots, H, N] = s.extents();
  for_resident_heads(
      exec, s, slots, N * N, [](index_t item) RWKV7_INLINE_LAMBDA { return item; },
      [&](index_t, index_t, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA { settle<Arch>(state); });
}

}  // namespace rwkv7::backend::cpu
