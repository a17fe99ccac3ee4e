// SPDX-License-Identifier: MIT
/// The decode step on a state that is kept to suit it.
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

/// Where things lie. A head is b k W u v of its last token and then its panels.
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
  /// Where the heads of a slot begin that lie in this shard.
  RWKV7_INLINE index_t place(index_t shard, index_t slot) const noexcept {
    return shard * shard_size() + slot * (first_head(shard + 1) - first_head(shard)) * head_size();
  }
};

/// What it takes on these threads.
template <class T, class Arch, class Exec>
requires std::is_same_v<T, float> resident_plan resident_plan_of(tag<Arch>, Exec& exec, const state_extents& e)
noexcept {
  const index_t threads = exec.concurrency(), most = threads < e.H ? threads : e.H, shards = most > 1 ? most : 1;
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
/// with `u` and `v`, which become S̃ ã and S̃ r̃. `ahead` of S lies what comes next: asking for it saves a third of the
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

/// For `items` slots, slot_of(item): each(at, head, ahead) for heads one after the other, of which `first` is the
/// first, with at = start(item, first). `ahead` is how far from there lies what comes next on this thread. Each of
/// these calls does about `work` multiply-adds.
template <class Exec, class SlotOf, class Start, class F>
void for_resident_heads(Exec& exec, const resident_state<float>& s, index_t items, index_t work, SlotOf slot_of,
                        Start start, F each) {
  const resident_shards where(s.extents(), s.plan().shards);
  if (items == 0 || where.H == 0) return;
  const index_t of_shard = items * ((where.H + where.shards - 1) / where.shards);
  for_ranges(exec, where.shards, (index_t{1} << 16) / (work * of_shard + 1) + 1, 1,
             [&](index_t begin, index_t end) noexcept {
               const index_t size = where.head_size();
               for (index_t shard = begin; shard < end; ++shard) {
                 const index_t first = where.first_head(shard), heads = where.first_head(shard + 1) - first;
                 float *head = s.data() + where.place(shard, slot_of(0)), *next = head;
                 for (index_t item = 0; item < items; ++item, head = next) {
                   if (item + 1 < items) next = s.data() + where.place(shard, slot_of(item + 1));
                   auto at = start(item, first);
                   for (index_t left = heads; left-- > 0; head += size)
                     each(at, resident_head(head, where), left > 0 ? size : item + 1 < items ? next - head : 0);
                 }
               }
             });
}

/// A head of an item, where nothing else is needed.
struct resident_item {
  index_t item, h;
};

/// Successive heads of one sequence's operands.
struct resident_operands {
  wkv_head<true, read_policy::after> head;
  index_t h, r, w, k, v, a, b, y;  // the head, and the strides from one to the next
  index_t k_shared, v_shared;      // heads that share one of k, of v
  index_t tokens;

  RWKV7_INLINE resident_operands(const wkv7_inputs<float>& in, const view<float, 4>& out, const sequence& one,
                                 index_t first) noexcept
      : head{{in.r, one, first},
             {in.w.values(), one, first},
             {in.k, one, first / (out.extent(2) / in.k.extent(2))},
             {in.v, one, first / (out.extent(2) / in.v.extent(2))},
             {in.a, one, first},
             {in.b, one, first},
             {out, one, first},
             nullptr,
             in.w.form(),
             in.w.offset(),
             false},
        h(first),
        r(in.r.stride(2)),
        w(in.w.values().stride(2)),
        k(in.k.stride(2)),
        v(in.v.stride(2)),
        a(in.a.stride(2)),
        b(in.b.stride(2)),
        y(out.stride(2)),
        k_shared(out.extent(2) / in.k.extent(2)),
        v_shared(out.extent(2) / in.v.extent(2)),
        tokens(one.length) {}

  RWKV7_INLINE void next() noexcept {
    ++h;
    head.r.data += r, head.w.data += w, head.a.data += a, head.b.data += b, head.y.data += y;
    if (k_shared == 1 || h % k_shared == 0) head.k.data += k;
    if (v_shared == 1 || h % v_shared == 0) head.v.data += v;
  }
};

template <class Arch, cpu_executor Exec>
void wkv7_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv7_inputs<float>& in, const view<float, 4>& y,
                 const resident_state<float>& s) {
  const index_t N = y.extent(3), count = seq.count();
  for_resident_heads(
      exec, s, count, count > 0 ? N * N * (seq.batch() * seq.tokens() / count + 1) : 0,
      [&](index_t item) RWKV7_INLINE_LAMBDA { return seq[item].slot; },
      [&](index_t item, index_t first) RWKV7_INLINE_LAMBDA { return resident_operands(in, y, seq[item], first); },
      [&](resident_operands& at, const resident_head& state, index_t ahead) RWKV7_INLINE_LAMBDA {
        for (index_t t = 0; t < at.tokens; ++t) {
          const index_t then = t + 1 == at.tokens ? ahead : 0;
          if (state.N == 64)
            resident_step<Arch, 64>(at.head, t, state, then);
          else
            resident_step<Arch, 0>(at.head, t, state, then);
        }
        at.next();
      });
}

template <class Arch, cpu_executor Exec>
void import_state_kernel(tag<Arch>, Exec& exec, const view<const float, 4>& from, const resident_state<float>& s,
                         const index_list& slots) {
  const auto [all, H, N] = s.extents();
  for_resident_heads(
      exec, s, slots.size() > 0 ? slots.size() : all, N * N,
      [&](index_t item) RWKV7_INLINE_LAMBDA { return slots.size() > 0 ? slots[item] : item; },
      [](index_t item, index_t first) RWKV7_INLINE_LAMBDA {
        return resident_item{item, first};
      },
      [&](resident_item& at, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA {
        const auto rows = from ? from[at.item][at.h++] : view<const float, 2>{};
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
      [](index_t item, index_t first) RWKV7_INLINE_LAMBDA {
        return resident_item{item, first};
      },
      [&](resident_item& at, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA {
        alignas(64) float settled[32 * max_head_size];
        const auto rows = to[at.item][at.h++];
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
      [](index_t item, index_t first) RWKV7_INLINE_LAMBDA {
        return resident_item{item, first};
      },
      [](resident_item&, const resident_head& state, index_t) RWKV7_INLINE_LAMBDA { settle<Arch>(state); });
}

}  // namespace rwkv7::backend::cpu
