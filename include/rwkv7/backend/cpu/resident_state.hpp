// SPDX-License-Identifier: MIT
/// Resident states over an executor. Each thread steps whole shards, heads next to each other of all slots, which lie
/// 16 KiB apart: nearer, one core's prefetcher takes lines from the other's cache. What a head does: resident_head.hpp.
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/resident_head.hpp"
#include "rwkv7/core/resident_state.hpp"

namespace rwkv7::backend::cpu {

/// Where heads lie.
struct resident_shards {
  static constexpr index_t between = 16384 / sizeof(float);

  index_t slots, H, N, shards;

  RWKV7_INLINE explicit resident_shards(const state_extents& e, index_t count) noexcept
      : slots(e.slots), H(e.H), N(e.N), shards(count) {}

  RWKV7_INLINE index_t head_size() const noexcept { return resident_head::size_of(N); }
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
                     each(at, resident_head(head, where.N), left > 0 ? size : item + 1 < items ? next - head : 0);
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
