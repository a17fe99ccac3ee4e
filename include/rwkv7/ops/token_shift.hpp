// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/backend/cpu/token_shift.hpp"
#include "rwkv7/backend/reference/token_shift.hpp"
#include "rwkv7/core/check.hpp"
#include "rwkv7/exec/launch.hpp"
#include "rwkv7/operands/token_shift.hpp"

namespace rwkv7 {

/// What is wrong with a call of token_shift, or nothing.
template <class T, std::size_t Mixes>
diagnosis validate_token_shift(const sequences& seq, const token_shift_inputs<T, Mixes>& in,
                               const token_shift_outputs<T, Mixes>& out,
                               const std::type_identity_t<shift_state<compute_type<T>>>& state) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), C = in.x.extent(2);
  checker check("token_shift");
  check.sequence_list(seq, detail::slots_of(state), state.writes())
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", C}});
  for (std::size_t i = 0; i < Mixes; ++i) {
    check.operand("mix", in.mix[i], {{"C", C}})
        .operand("y", out.y[i], {{"B", B}, {"T", tokens}, {"C", C}})
        .writable("y", out.y[i])
        .disjoint("y", out.y[i], "x", in.x)
        .disjoint("y", out.y[i], "mix", in.mix[i])
        .disjoint("y", out.y[i], "state.initial", state.initial)
        .disjoint("y", out.y[i], "state.final", state.final)
        .disjoint("y", out.y[i], "state.every", state.every.ring);
    for (std::size_t j = 0; j < i; ++j) check.disjoint("y", out.y[i], "another y", out.y[j]);
  }
  if (state.initial) check.operand("state.initial", state.initial, {{"slots", state.initial.extent(0)}, {"C", C}});
  if (state.final) {
    check.operand("state.final", state.final, {{"slots", state.final.extent(0)}, {"C", C}})
        .writable("state.final", state.final)
        .disjoint("state.final", state.final, "x", in.x)
        .same_or_disjoint("state.final", state.final, "state.initial", state.initial);
  }
  const auto& ring = state.every.ring;
  return check.snapshots_of(state, "state.every", "state", {{"slots", ring.extent(0)}, {"R", ring.extent(1)}, {"C", C}})
      .unit_stride("state.every", "C", ring)
      .disjoint("state.every", ring, "x", in.x)
      .result();
}

/// Every token mixed with the one before it in its sequence, once for each mixing vector.
///
///   y_i,t = x_t + (x_{t-1} - x_t) ⊙ mix_i          x_{-1} = state.initial, or 0
///
///   x        [B, T, C]  read
///   mix      [C] each  read; f32, f16 or bf16, any values (released models go outside [0, 1])
///   y        [B, T, C] each  overwritten; must not overlap x or each other
///   state    [slots, C]  .initial read, .final overwritten with the last x of each sequence; may be one view. A
///            sequence of length 0 carries its value over. .every [slots, R, C] takes each token's x. In float where T
///            is bf16 or f16: one state serves models in any of them
///
/// Errors: rwkv7::error before anything is written. Cost: 3 C flops per token and mix. Allocates nothing.
/// Exactness: elementwise (D1–D4 bitwise).
template <executor Exec, class T, std::size_t Mixes>
void token_shift(Exec&& exec, const sequences& seq, const token_shift_inputs<T, Mixes>& in,
                 const std::type_identity_t<token_shift_outputs<T, Mixes>>& out,
                 const std::type_identity_t<shift_state<compute_type<T>>>& state = {}) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_token_shift(seq, in, out, state); }))
    return report(problem);
  detail::launch<T>([](auto&&... a) -> decltype(token_shift_kernel(a...)) { token_shift_kernel(a...); }, exec, seq, in,
                    out, state);
}

}  // namespace rwkv7
