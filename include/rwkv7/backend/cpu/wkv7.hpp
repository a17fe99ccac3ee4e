// SPDX-License-Identifier: MIT
/// The recurrence on CPU, in two forms that are chosen per block of 32 tokens.
///
/// wkv7_columns.hpp serves 8 tokens and more: there the state is turned round first and back afterwards, which costs as
/// much as a few tokens. wkv7_rows.hpp serves the rest, so also the decode step.
///
/// The forms sum in different orders. Which tokens use which depends only on their place in the call modulo 32, so
/// splits at multiples of 32 change no bit. Where the states in between are asked for, each token is a run of its own.
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/wkv7_columns.hpp"
#include "rwkv7/backend/cpu/wkv7_double.hpp"
#include "rwkv7/backend/cpu/wkv7_halves.hpp"
#include "rwkv7/backend/cpu/wkv7_rows.hpp"
#include "rwkv7/core/state.hpp"

namespace rwkv7::backend::cpu {

inline constexpr index_t wkv7_shortest_columns = wkv_rows_most + 1;

/// One sequence and head, from its initial state to its final one. Capacity bounds N and sizes the stack.
template <class Arch, index_t Capacity, index_t FixedN, bool Removal, read_policy Policy>
void wkv_sequence(const wkv_head<Removal, Policy>& head, index_t T, index_t size, const view<const float, 2>& initial,
                  const view<float, 2>& final) noexcept {
  const index_t N = FixedN > 0 ? FixedN : size, tail = T % wkv7_block < wkv7_shortest_columns ? T % wkv7_block : 0;
  const state_rows<float> to{final.data(), final.stride(0), final.stride(1)};
  if (T > tail)
    wkv_columns<Arch, Capacity, FixedN>(
        head, T - tail, N, initial, [&](index_t i, index_t width, const float* S) RWKV7_INLINE_LAMBDA {
          const index_t rows = N - i < width ? N - i : width;
          if (tail > 0)
            wkv_rows<Arch, Capacity, FixedN>(head, T - tail, tail, N, i, i + rows,
                                             state_rows<const float>{S - i, 1, width}, to);
          else if (final)
            write_panel<Arch>(S, N, i, width, final);
        });
  else if (tail > 0 || final)
    wkv_rows<Arch, Capacity, FixedN>(head, 0, tail, N, 0, N,
                                     state_rows<const float>{initial.data(), initial.stride(0), initial.stride(1)}, to);
}

/// The same for any size. Each of these takes the compiler seconds, so only what people run is unrolled.
template <class Arch, bool Removal, read_policy Policy>
RWKV7_INLINE void wkv_of_any_size(const wkv_head<Removal, Policy>& head, index_t T, index_t N,
                                  const view<const float, 2>& from, const view<float, 2>& to) noexcept {
  if constexpr (Removal) {
    if (N == 64) return wkv_sequence<Arch, 64, 64>(head, T, N, from, to);
    if (N == 128) return wkv_sequence<Arch, 128, 128>(head, T, N, from, to);
    if (N < 128) return wkv_sequence<Arch, 128, 0>(head, T, N, from, to);
  }
  wkv_sequence<Arch, max_head_size, 0>(head, T, N, from, to);
}

/// The same for any element types, of operands and state.
template <class Arch, bool Removal, read_policy Policy, class T, class S>
RWKV7_INLINE void wkv_of_any_type(const wkv_head<Removal, Policy, T>& head, index_t tokens, index_t N,
                                  const view<const S, 2>& from, const view<S, 2>& to) noexcept {
  if constexpr (std::is_same_v<T, double>)
    wkv_in_double<in_double<Arch>>(head, tokens, N, from, to);
  else if constexpr (std::is_same_v<T, float> && std::is_same_v<S, float>)
    wkv_of_any_size<Arch>(head, tokens, N, from, to);
  else
    wkv_in_halves<Arch>(head, tokens, N, from, to,
                        [](const auto&... x) noexcept { wkv_of_any_size<Arch, Removal, Policy>(x...); });
}

/// Sequences × heads over the executor, for both recurrences. The unused operands repeat r.
template <class Arch, bool Removal, read_policy Policy, class Exec, class Inputs, class T, class S>
void wkv_heads(Exec& exec, const sequences& seq, const Inputs& in, const view<const T, 4>& a, const view<const T, 4>& b,
               const view<const T, 2>& u, const view<T, 4>& y, const state<S>& state) {
  const index_t H = y.extent(2), N = y.extent(3), heads = seq.count() * H;
  if (heads == 0) return;
  const index_t tokens = seq.batch() * seq.tokens() / seq.count() + 1;
  const index_t k_shared = H / in.k.extent(2), v_shared = H / in.v.extent(2);
  // Heads are seldom shared, and a division takes longer than the question.
  const auto group = [](index_t h, index_t shared) RWKV7_INLINE_LAMBDA { return shared == 1 ? h : h / shared; };
  // Where all of it takes microseconds, each thread has one range, the same in every call: what it left in its cache is
  // there, and the fewest heads lie beside those of another core.
  const index_t grain = (index_t{1} << 16) / (N * N * tokens + 1) + 1, threads = exec.concurrency();
  const index_t step = heads <= 2 * grain * threads ? (heads + threads - 1) / threads : 1;
  for_ranges(exec, heads, grain, step, [&](index_t begin, index_t end) noexcept {
    index_t n = begin / H, h = begin % H;
    sequence all = seq[n];
    for (index_t item = begin; item < end; ++item, ++h) {
      if (h == H) h = 0, all = seq[++n];
      const auto initial = state.initial ? state.initial[all.slot][h] : view<const S, 2>{};
      const auto final = state.final ? state.final[all.slot][h] : view<S, 2>{};
      const auto run = [&](const sequence& s, const view<const S, 2>& from, const view<S, 2>& to) noexcept {
        const wkv_head<Removal, Policy, T> head{{in.r, s, h},
                                                {in.w.values(), s, h},
                                                {in.k, s, group(h, k_shared)},
                                                {in.v, s, group(h, v_shared)},
                                                {a, s, h},
                                                {b, s, h},
                                                {y, s, h},
                                                u ? u.at(h, 0) : nullptr,
                                                in.w.form(),
                                                in.w.offset(),
                                                item + 1 < end};
        wkv_of_any_type<Arch>(head, s.length, N, from, to);
      };
      if (!state.every) {
        run(all, initial, final);
        continue;
      }
      // Token by token, each from the snapshot of the one before; then the last one is carried over.
      view<const S, 2> from = initial;
      for (index_t t = 0; t < all.length; ++t) {
        const auto to = state.every.ring[all.slot][state.every.place(t)][h];
        run({all.batch, all.first + t, 1, all.slot}, from, to);
        from = to;
      }
      if (final) run({all.batch, all.first, 0, all.slot}, from, final);
    }
  });
}

template <class Arch, cpu_executor Exec, activation_element T, class S>
void wkv7_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv7_inputs<T>& in, const view<T, 4>& y,
                 const state<S>& state) {
  wkv_heads<Arch, true, read_policy::after, Exec, wkv7_inputs<T>, T>(exec, seq, in, in.a, in.b, {}, y, state);
}

template <class Arch, cpu_executor Exec, activation_element T, read_policy Policy, class S>
void wkv_kernel(tag<Arch>, Exec& exec, const sequences& seq, const wkv_inputs<T, Policy>& in, const view<T, 4>& y,
                const state<S>& state) {
  view<const T, 2> u;
  if constexpr (Policy == read_policy::before_bonus) u = in.u;
  wkv_heads<Arch, false, Policy>(exec, seq, in, in.r, in.r, u, y, state);
}

}  // namespace rwkv7::backend::cpu
