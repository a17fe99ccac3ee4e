// SPDX-License-Identifier: MIT
/// The channel-mix block of RWKV-7: token shift, then a feed-forward layer with a squared ReLU.
#pragma once

#include "rwkv7/core/workspace.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/squared_relu.hpp"
#include "rwkv7/ops/token_shift.hpp"

namespace rwkv7 {

/// Parameters, with the names and shapes of RWKV-LM (`blocks.i.ffn`).
struct channel_mix_weights {
  weights<1> x_k{};           // [C]
  weights<2> key{}, value{};  // [F, C], [C, F]; value best by inputs (core/weights.hpp), of which half are zero
};

/// Operands of channel_mix.
template <class T>
struct channel_mix_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C], layer-normalised
};

/// The activations of one call, in the caller's workspace.
template <class T>
struct channel_mix_buffers {
  view<T, 3> xk{}, hidden{};  // [B, T, C], [B, T, F]
};

/// Lays out the activations of one call; on a counting workspace it only measures.
template <class T>
channel_mix_buffers<T> take_channel_mix_buffers(workspace& memory, const channel_mix_weights& p, index_t B,
                                                index_t tokens) noexcept {
  return {memory.take<T>(B, tokens, p.key.extent(1)), memory.take<T>(B, tokens, p.key.extent(0))};
}

/// Bytes of scratch that channel_mix needs for these sequences.
template <class T>
std::size_t channel_mix_workspace_size(const sequences& seq, const channel_mix_weights& p) noexcept {
  workspace counting;
  take_channel_mix_buffers<T>(counting, p, seq.batch(), seq.tokens());
  return counting.required();
}

/// What is wrong with a call of channel_mix, or nothing.
template <class T>
diagnosis validate_channel_mix(const sequences& seq, const channel_mix_weights& p, const channel_mix_inputs<T>& in,
                               const std::type_identity_t<view<T, 3>>& y,
                               const std::type_identity_t<shift_state<compute_type<T>>>& state,
                               const workspace& memory) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), C = in.x.extent(2), F = p.key.extent(0);
  checker check("channel_mix");
  check.operand("x_k", p.x_k, {{"C", C}})
      .matrix("key", p.key, {{"F", F}, {"C", C}})
      .matrix("value", p.value, {{"C", C}, {"F", F}})
      .operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", C}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x)
      .disjoint("y", y, "state.initial", state.initial)
      .disjoint("y", y, "state.final", state.final)
      .disjoint("y", y, "state.every", state.every.ring)
      .sequence_list(seq, detail::slots_of(state), state.writes());
  if (state.initial) check.operand("state.initial", state.initial, {{"slots", state.initial.extent(0)}, {"C", C}});
  if (state.final)
    check.operand("state.final", state.final, {{"slots", state.final.extent(0)}, {"C", C}})
        .writable("state.final", state.final)
        .same_or_disjoint("state.final", state.final, "state.initial", state.initial)
        .disjoint("state.final", state.final, "x", in.x);
  const auto& ring = state.every.ring;
  check.snapshots_of(state, "state.every", "state", {{"slots", ring.extent(0)}, {"R", ring.extent(1)}, {"C", C}})
      .unit_stride("state.every", "C", ring)
      .disjoint("state.every", ring, "x", in.x);
  const auto scratch = memory.rest();
  return check.scratch(memory.remaining(), channel_mix_workspace_size<T>(seq, p))
      .disjoint("workspace", scratch, "x", in.x)
      .disjoint("workspace", scratch, "y", y)
      .disjoint("workspace", scratch, "state.initial", state.initial)
      .disjoint("workspace", scratch, "state.final", state.final)
      .disjoint("workspace", scratch, "state.every", ring)
      .result();
}

/// One channel-mix block over every sequence.
///
///   y = value · max(key · xk, 0)²          xk = x + (x of the token before - x) ⊙ x_k
///
///   x       [B, T, C]  read; layer-normalised
///   y       [B, T, C]  overwritten; must not overlap x
///   state   [slots, C]  .initial read, .final overwritten; may be one view; .every as in token_shift
///   memory  channel_mix_workspace_size<T>(sequences, p) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. That outputs, state and scratch share no memory with the parameters
/// is not checked. Cost: 4 C F flops per token. Allocates nothing.
/// Exactness: as its operations.
template <executor Exec, class T>
void channel_mix(Exec&& exec, const sequences& seq, const channel_mix_weights& p, const channel_mix_inputs<T>& in,
                 std::type_identity_t<view<T, 3>> y, const std::type_identity_t<shift_state<compute_type<T>>>& state,
                 workspace memory) {
  if (const auto problem = detail::problem_of(exec, [&] { return validate_channel_mix(seq, p, in, y, state, memory); }))
    return report(problem);
  const auto z = take_channel_mix_buffers<T>(memory, p, seq.batch(), seq.tokens());
  detail::prechecked inside(exec);
  token_shift(inside, seq, token_shift_inputs<T, 1>{.x = in.x, .mix = {p.x_k}}, {.y = {z.xk}}, state);
  linear(inside, linear_inputs<T>{.x = z.xk, .weight = p.key}, z.hidden);
  squared_relu(inside, squared_relu_inputs<T>{.x = z.hidden}, z.hidden);
  linear(inside, linear_inputs<T>{.x = z.hidden, .weight = p.value}, y);
}

}  // namespace rwkv7
