// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>

#include "rwkv7/backend/cpu/attention.hpp"
#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/core/kv_cache.hpp"
#include "rwkv7/operands/gqa_attention.hpp"

namespace rwkv7::backend::cpu {

/// A sequence's heads that share keys and values: where those lie, by positions that count from 0.
template <class T>
struct attention_group {
  const gqa_attention_inputs<T>& in;
  const kv_cache<T>& cache;
  const view<T, 4>& y;
  sequence queries, keys;
  index_t held;  // positions below are in the ring
  index_t g, heads;
  index_t window;  // 0: all

  /// Queries of all heads, token by token.
  RWKV7_INLINE index_t rows() const noexcept { return queries.length * heads; }
  /// The last position that a row sees.
  RWKV7_INLINE index_t position(index_t row) const noexcept {
    return held + keys.length - queries.length + row / heads;
  }
  RWKV7_INLINE index_t first_seen(index_t row) const noexcept {
    const index_t end = position(row) + 1;
    return window > 0 && window < end ? end - window : 0;
  }
  RWKV7_INLINE const T* query(index_t row) const noexcept {
    return in.q.at(queries.batch, queries.first + row / heads, g * heads + row % heads, 0);
  }
  RWKV7_INLINE T* output(index_t row) const noexcept {
    return y.at(queries.batch, queries.first + row / heads, g * heads + row % heads, 0);
  }
  /// The longest run that begins at p and ends before `end`.
  RWKV7_INLINE key_run<T> run(index_t p, index_t end) const noexcept {
    if (p >= held) {
      const index_t token = keys.first + p - held;
      return {in.k.at(keys.batch, token, g, 0),
              in.v.at(keys.batch, token, g, 0),
              in.k.stride(1),
              in.v.stride(1),
              p,
              end - p};
    }
    const index_t capacity = cache.k.extent(2), place = p % capacity, last = end < held ? end : held;
    return {cache.k.at(keys.slot, g, place, 0),
            cache.v.at(keys.slot, g, place, 0),
            cache.k.stride(2),
            cache.v.stride(2),
            p,
            last - p < capacity - place ? last - p : capacity - place};
  }
};

/// Rows [first, first + rows) of a group, at most attention_rows.
template <class Arch, class T>
void attend(const attention_group<T>& group, index_t first, index_t rows) noexcept {
  using S = scalar<Arch>;
  using V = vec<Arch>;
  constexpr index_t W = lanes<Arch>, Block = attention_block, Most = attention_rows;
  constexpr index_t Widest = (max_head_size + W - 1) / W * W;
  const index_t N = group.y.extent(3), step = (N + W - 1) / W * W;
  alignas(64) S query[Most * Widest], total[Most * Widest], part[Most * Widest], score[Most * Block];
  S largest[Most], factor[Most], sum[Most * W];
  index_t begin[Most] = {}, end[Most] = {};  // both rise
  const V scale(static_cast<S>(group.in.scale));
  // Values while scores are made, the next keys while values are added: a decode step that reads 100 MB from memory
  // went from 12.4 to 17.0 GB/s (f32, N 96, groups of 8, one thread of a Zen 5). Of several tiles all but one find both
  // in a cache, and were 3 % slower with it.
  const bool fetch = rows == group.rows();
  for (index_t r = 0; r < rows; ++r) {
    const T* q = group.query(first + r);
    S* to = query + r * step;
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(to, at.load(q) * scale); });
    for (index_t n = 0; n < step; n += W) cpu::store<Arch>(total + r * step + n, V(S(0)));
    largest[r] = -static_cast<S>(__builtin_inff());
    cpu::store<Arch>(sum + r * W, V(S(0)));
    begin[r] = group.first_seen(first + r);
    end[r] = group.position(first + r) + 1;
  }

  for (index_t base = begin[0] / Block * Block; base < end[rows - 1]; base += Block) {
    const index_t from = begin[0] > base ? begin[0] : base;
    const index_t to = end[rows - 1] < base + Block ? end[rows - 1] : base + Block;
    for (index_t p = from; p < to;) {
      const key_run<T> run = group.run(p, to);
      for_row_groups<Arch>(rows, [&](index_t r, auto count) RWKV7_INLINE_LAMBDA {
        score_rows<Arch, count.value>(query + r * step, step, run.k, run.k_stride, run.count, N,
                                      fetch && r == 0 && run.alike() ? run.v : nullptr, score + r * Block + (p - base));
      });
      p += run.count;
    }
    for (index_t r = 0; r < rows; ++r) {
      const index_t low = begin[r] > from ? begin[r] : from, high = end[r] < to ? end[r] : to;
      if (low >= high) continue;
      factor[r] = softmax_block<Arch>(score + r * Block, low - base, high - base, largest[r], sum + r * W);
      for (index_t n = 0; n < step; n += W) cpu::store<Arch>(part + r * step + n, V(S(0)));
    }
    for (index_t p = from; p < to;) {
      const key_run<T> run = group.run(p, to);
      const index_t run_end = p + run.count;
      const auto add = [&](index_t r, auto count, index_t low, index_t high) RWKV7_INLINE_LAMBDA {
        if (low < high)
          add_values<Arch, count.value>(
              score + r * Block + (low - base), run.v + (low - p) * run.v_stride, run.v_stride, high - low, N,
              fetch && r == 0 && run.alike() ? run.k + (low - p + run.count) * run.k_stride : nullptr, part + r * step,
              step);
      };
      for_row_groups<Arch>(rows, [&](index_t r, auto count) RWKV7_INLINE_LAMBDA {
        constexpr std::integral_constant<int, 1> one{};
        constexpr index_t Rows = count.value;
        // What all rows of the group see, between what only some of them do.
        const index_t low = begin[r + Rows - 1] > p ? begin[r + Rows - 1] : p;
        const index_t high = end[r] < run_end ? end[r] : run_end;
        const bool shared = low < high && Rows > 1;
        for (index_t i = r; i < r + Rows; ++i)
          add(i, one, begin[i] > p ? begin[i] : p, shared ? low : end[i] < run_end ? end[i] : run_end);
        if (!shared) return;
        add(r, count, low, high);
        for (index_t i = r; i < r + Rows; ++i) add(i, one, high, end[i] < run_end ? end[i] : run_end);
      });
      p = run_end;
    }
    for (index_t r = 0; r < rows; ++r) {
      if (begin[r] >= to || end[r] <= from) continue;
      S* const so_far = total + r * step;
      const S* const now = part + r * step;
      for (index_t n = 0; n < step; n += W)
        cpu::store<Arch>(so_far + n, cpu::fma<Arch>(load<Arch>(static_cast<const S*>(so_far + n)), V(factor[r]),
                                                    load<Arch>(now + n)));
    }
  }
  for (index_t r = 0; r < rows; ++r) {
    const V inverse(1 / reduce_add<Arch>(load<Arch>(static_cast<const S*>(sum + r * W))));
    const S* from = total + r * step;
    T* y = group.output(first + r);
    for_lanes<Arch>(N, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, at.load(from) * inverse); });
  }
}

/// All queries; keys below the position of a slot are in its ring, where there is one.
template <class Arch, class Exec, class T>
void attend_all(Exec& exec, const sequences& seq, const sequences& keys, const gqa_attention_inputs<T>& in,
                const view<T, 4>& y, const kv_cache<T>& cache, index_t window) {
  using A = registers_for<Arch, T>;
  const index_t H_kv = in.k.extent(2), heads = H_kv > 0 ? y.extent(2) / H_kv : 0;
  if (heads == 0) return;
  const auto group = [&](index_t i, index_t g) RWKV7_INLINE_LAMBDA {
    const sequence s = seq[i], k = keys[i];
    return attention_group<T>{in, cache, y, s, k, cache.position ? cache.position(k.slot) : 0, g, heads, window};
  };
  const auto tiles = [&](index_t i)
                         RWKV7_INLINE_LAMBDA { return (seq[i].length * heads + attention_rows - 1) / attention_rows; };
  index_t items = 0;
  double work = 0;
  for (index_t i = 0; i < seq.count(); ++i) {
    const auto all = group(i, 0);
    if (all.rows() == 0) continue;
    const index_t last = all.rows() - 1;
    items += H_kv * tiles(i);
    work += static_cast<double>(H_kv * all.rows()) *
            static_cast<double>((all.position(last) + 1 - all.first_seen(last)) * y.extent(3));
  }
  if (items == 0) return;
  const auto grain = static_cast<index_t>(131072 * static_cast<double>(items) / (work + 1)) + 1;
  for_ranges(exec, items, grain, 1, [&](index_t begin, index_t end) noexcept {
    index_t i = 0, before = 0;  // a sequence, and the items of those before it
    for (index_t item = begin; item < end; ++item) {
      while (item - before >= H_kv * tiles(i)) before += H_kv * tiles(i++);
      const auto here = group(i, (item - before) / tiles(i));
      const index_t row = (item - before) % tiles(i) * attention_rows, rest = here.rows() - row;
      attend<A>(here, row, rest < attention_rows ? rest : attention_rows);
    }
  });
}

template <class Arch, cpu_executor Exec, activation_element T>
void gqa_attention_kernel(tag<Arch>, Exec& exec, const sequences& seq, const sequences& keys,
                          const gqa_attention_inputs<T>& in, const view<T, 4>& y) {
  attend_all<Arch>(exec, seq, keys, in, y, kv_cache<T>{}, in.window);
}

template <class Arch, cpu_executor Exec, activation_element T>
void gqa_attention_kernel(tag<Arch>, Exec& exec, const sequences& seq, const gqa_attention_inputs<T>& in,
                          const view<T, 4>& y, const kv_cache<T>& cache) {
  const index_t H_kv = in.k.extent(2), N = in.k.extent(3), capacity = cache.k.extent(2);
  attend_all<Arch>(exec, seq, seq, in, y, cache, in.window > 0 ? in.window : capacity);
  // Not before every query has been answered: tokens of this call may take the places of keys that its first ones see.
  const index_t tokens = seq.count() > 0 ? seq.batch() * seq.tokens() / seq.count() + 1 : 1;
  const index_t grain = row_grain(2 * N * (tokens < capacity ? tokens : capacity));
  for_ranges(exec, seq.count() * H_kv, grain, 1, [&](index_t begin, index_t end) noexcept {
    for (index_t item = begin; item < end; ++item) {
      const sequence s = seq[item / H_kv];
      const index_t g = item % H_kv, held = cache.position(s.slot);
      for (index_t t = s.length > capacity ? s.length - capacity : 0; t < s.length && N > 0; ++t) {
        const index_t place = (held + t) % capacity;
        const auto bytes = static_cast<std::size_t>(N) * sizeof(T);
        std::memcpy(cache.k.at(s.slot, g, place, 0), in.k.at(s.batch, s.first + t, g, 0), bytes);
        std::memcpy(cache.v.at(s.slot, g, place, 0), in.v.at(s.batch, s.first + t, g, 0), bytes);
      }
    }
  });
}

}  // namespace rwkv7::backend::cpu
