// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/parallel.hpp"
#include "rwkv7/backend/cpu/params.hpp"
#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/operands/token_shift.hpp"

namespace rwkv7::backend::cpu {

template <class Arch, cpu_executor Exec, activation_element T, std::size_t Mixes>
void token_shift_kernel(tag<Arch>, Exec& exec, const sequences& seq, const token_shift_inputs<T, Mixes>& in,
                        const token_shift_outputs<T, Mixes>& out, const shift_state<compute_type<T>>& state) {
  using A = registers_for<Arch, T>;
  using V = vec<A>;
  const index_t C = in.x.extent(2);
  const auto mix_token = [&](const sequence& s, index_t t, const auto* previous) noexcept {
    const T* x = in.x.at(s.batch, s.first + t, 0);
    for (std::size_t m = 0; m < Mixes; ++m) {
      const param mix(in.mix[m]);
      T* y = out.y[m].at(s.batch, s.first + t, 0);
      for_lanes<A>(C, [&](auto at) RWKV7_INLINE_LAMBDA {
        const V now = at.load(x), before = previous ? at.load(previous) : V(0.0f);
        at.store(y, cpu::fma<A>(before - now, mix.load(at), now));
      });
    }
    // Tokens run on several threads: one that a later one would replace is left out.
    if (state.every && s.length - t <= state.every.ring.extent(1)) {
      auto* place = state.every.ring.at(s.slot, state.every.place(t), 0);
      for_lanes<A>(C, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(place, at.load(x)); });
    }
  };
  // The first token alone reads the carried value, so once it is done the value can be replaced.
  const auto carry = [&](const sequence& s) noexcept {
    const auto* previous = state.initial ? state.initial.at(s.slot, 0) : nullptr;
    if (s.length > 0) mix_token(s, 0, previous);
    if (!state.final) return;
    auto* final = state.final.at(s.slot, 0);
    const auto keep = [&](const auto* last) noexcept {
      for_lanes<A>(C, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(final, last ? at.load(last) : V(0.0f)); });
    };
    if (s.length > 0)
      keep(in.x.at(s.batch, s.first + s.length - 1, 0));
    else if (previous != final)
      keep(previous);
  };
  const auto mix_rest = [&](const sequence& s, index_t begin, index_t end) noexcept {
    for (index_t t = begin; t < end; ++t) mix_token(s, t, in.x.at(s.batch, s.first + t - 1, 0));
  };
  const index_t grain = row_grain(static_cast<index_t>(Mixes) * C);
  if (seq.count() == 1) {
    const sequence s = seq[0];
    carry(s);
    for_ranges(exec, s.length - 1, grain, 1,
               [&](index_t begin, index_t end) noexcept { mix_rest(s, begin + 1, end + 1); });
  } else {
    const index_t tokens = seq.count() > 0 ? seq.batch() * seq.tokens() / seq.count() + 1 : 1;
    for_ranges(exec, seq.count(), grain / tokens + 1, 1, [&](index_t begin, index_t end) noexcept {
      for (index_t i = begin; i < end; ++i) {
        carry(seq[i]);
        mix_rest(seq[i], 1, seq[i].length);
      }
    });
  }
}

}  // namespace rwkv7::backend::cpu
