// SPDX-License-Identifier: MIT
/// One layer of the residual stream: x += time_mix(LN(x)); x += channel_mix(LN(x)).
#pragma once

#include "rwkv7/block/channel_mix.hpp"
#include "rwkv7/block/time_mix.hpp"
#include "rwkv7/ops/layer_norm.hpp"
#include "rwkv7/ops/residual_add.hpp"

namespace rwkv7 {

/// Parameters of `blocks.i`, without ln0, which belongs to the embedding.
struct layer_weights {
  weights<1> ln1_weight{}, ln1_bias{}, ln2_weight{}, ln2_bias{};  // [C]
  time_mix_weights att{};                                         // blocks.i.att
  channel_mix_weights ffn{};                                      // blocks.i.ffn
};

/// What a layer carries from call to call; in float where T is bf16 or f16.
template <class T>
struct layer_state {
  time_mix_state<T> att{};             // of time-mix
  shift_state<compute_type<T>> ffn{};  // of channel-mix
};

/// Bytes of scratch that layer needs for these sequences.
template <class T, variant V = x070>
std::size_t layer_workspace_size(const sequences& seq, const dims& d, const layer_weights& p) noexcept {
  workspace counting;
  counting.take<T>(seq.batch(), seq.tokens(), d.C);
  counting.take<T>(seq.batch(), seq.tokens(), d.C);
  return counting.required() +
         std::max(time_mix_workspace_size<T, V>(seq, d, p.att), channel_mix_workspace_size<T>(seq, p.ffn));
}

/// What is wrong with a call of layer, or nothing.
template <variant V = x070, class T>
diagnosis validate_layer(const sequences& seq, const dims& d, const layer_weights& p, const view<T, 3>& x,
                         const std::type_identity_t<first_values<T>>& first,
                         const std::type_identity_t<layer_state<T>>& state, workspace memory) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens();
  checker check("layer");
  check.operand("ln1.weight", p.ln1_weight, {{"C", d.C}})
      .operand("ln1.bias", p.ln1_bias, {{"C", d.C}})
      .operand("ln2.weight", p.ln2_weight, {{"C", d.C}})
      .operand("ln2.bias", p.ln2_bias, {{"C", d.C}})
      .operand("x", x, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .writable("x", x)
      .disjoint("x", x, "v_first", first.v)
      .disjoint("x", x, "k_first", first.k)
      .disjoint("x", x, "state.att.shift", state.att.shift.final)
      .disjoint("x", x, "state.att.S", state.att.S.final)
      .disjoint("x", x, "state.ffn", state.ffn.final)
      .disjoint("x", x, "state.att.shift.every", state.att.shift.every.ring)
      .disjoint("x", x, "state.att.S.every", state.att.S.every.ring)
      .disjoint("x", x, "state.ffn.every", state.ffn.every.ring)
      .scratch(memory.remaining(), layer_workspace_size<T, V>(seq, d, p));
  if (check.result()) return check.result();
  const auto normed = memory.take<T>(B, tokens, d.C), out = memory.take<T>(B, tokens, d.C);
  const auto problem =
      validate_time_mix<V>(seq, d, p.att, time_mix_inputs<T>{.x = normed}, out, first, state.att, memory);
  return problem ? problem
                 : validate_channel_mix(seq, p.ffn, channel_mix_inputs<T>{.x = normed}, out, state.ffn, memory);
}

/// One layer over every sequence.
///
///   x       [B, T, C]  accumulated into
///   first   as in time_mix
///   state   .att as in time_mix, .ffn [slots, C] as in channel_mix
///   memory  layer_workspace_size<T, V>(sequences, d, p) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: as its operations.
template <variant V = x070, executor Exec, class T>
void layer(Exec&& exec, const sequences& seq, const dims& d, const layer_weights& p, view<T, 3> x,
           const std::type_identity_t<first_values<T>>& first, const std::type_identity_t<layer_state<T>>& state,
           workspace memory) {
  if (const auto problem =
          detail::problem_of(exec, [&] { return validate_layer<V>(seq, d, p, x, first, state, memory); }))
    return report(problem);
  const auto normed = memory.take<T>(seq.batch(), seq.tokens(), d.C),
             out = memory.take<T>(seq.batch(), seq.tokens(), d.C);
  detail::prechecked inside(exec);
  layer_norm(inside, layer_norm_inputs<T>{.x = x, .weight = p.ln1_weight, .bias = p.ln1_bias}, normed);
  time_mix<V>(inside, seq, d, p.att, time_mix_inputs<T>{.x = normed}, out, first, state.att, memory);
  residual_add(inside, residual_add_inputs<T>{.x = out}, x);
  layer_norm(inside, layer_norm_inputs<T>{.x = x, .weight = p.ln2_weight, .bias = p.ln2_bias}, normed);
  channel_mix(inside, seq, p.ffn, channel_mix_inputs<T>{.x = normed}, out, state.ffn, memory);
  residual_add(inside, residual_add_inputs<T>{.x = out}, x);
}

}  // namespace rwkv7
