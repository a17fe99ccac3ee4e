// SPDX-License-Identifier: MIT
/// One layer of a linearised Transformer: x += mix(RMS(x)); x += mlp(RMS(x)), where mix is time-mix, or the attention
/// that was there before.
#pragma once

#include <algorithm>

#include "rwkv7/block/attention.hpp"
#include "rwkv7/block/swiglu_mlp.hpp"
#include "rwkv7/block/time_mix.hpp"
#include "rwkv7/ops/residual_add.hpp"
#include "rwkv7/ops/rms_norm.hpp"

namespace rwkv7 {

/// Parameters of `blocks.i`.
struct hybrid_layer_weights {
  weights<1> ln1{}, ln2{};        // [C]
  double norm_eps = 1e-6;         // of both, under the root
  bool is_attention = false;      // which of the next two it has
  time_mix_weights att{};         // blocks.i.att
  attention_weights attention{};  // blocks.i.att, of a layer that was not turned
  swiglu_mlp_weights ffn{};       // blocks.i.ffn
};

/// Operands of hybrid_layer beside the residual stream.
template <class T>
struct hybrid_layer_inputs {
  view<const compute_type<T>, 3> cos{}, sin{};  // [B, T, N / 2]  as in time_mix, or attention
  index_t window = 0;                           // as in attention
};

/// What a layer carries from call to call: the one that it needs.
template <class T>
struct hybrid_layer_state {
  time_mix_state<T> att{};  // of time-mix
  kv_cache<T> cache{};      // of attention
};

/// Bytes of scratch that hybrid_layer needs for these sequences.
template <class T, variant V>
std::size_t hybrid_layer_workspace_size(const sequences& seq, const dims& d, const hybrid_layer_weights& p) noexcept {
  workspace counting;
  counting.take<T>(seq.batch(), seq.tokens(), d.C);
  counting.take<T>(seq.batch(), seq.tokens(), d.C);
  return counting.required() +
         std::max(p.is_attention ? attention_workspace_size<T>(seq, d) : time_mix_workspace_size<T, V>(seq, d, p.att),
                  swiglu_mlp_workspace_size<T>(seq, p.ffn));
}

/// What is wrong with a call of hybrid_layer, or nothing.
template <variant V, class T>
diagnosis validate_hybrid_layer(const sequences& seq, const dims& d, const hybrid_layer_weights& p,
                                const std::type_identity_t<hybrid_layer_inputs<T>>& in, const view<T, 3>& x,
                                const std::type_identity_t<first_values<T>>& first,
                                const std::type_identity_t<hybrid_layer_state<T>>& state, workspace memory) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens();
  checker check("hybrid_layer");
  check.operand("ln1.weight", p.ln1, {{"C", d.C}})
      .operand("ln2.weight", p.ln2, {{"C", d.C}})
      .operand("x", x, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .writable("x", x)
      .disjoint("x", x, "cos", in.cos)
      .disjoint("x", x, "sin", in.sin);
  if (p.is_attention)
    check.disjoint("x", x, "state.cache.k", state.cache.k).disjoint("x", x, "state.cache.v", state.cache.v);
  else
    check.disjoint("x", x, "v_first", first.v)
        .disjoint("x", x, "k_first", first.k)
        .disjoint("x", x, "state.att.shift", state.att.shift.final)
        .disjoint("x", x, "state.att.S", state.att.S.final)
        .disjoint("x", x, "state.att.shift.every", state.att.shift.every.ring)
        .disjoint("x", x, "state.att.S.every", state.att.S.every.ring);
  const auto scratch = memory.rest();
  check.scratch(memory.remaining(), hybrid_layer_workspace_size<T, V>(seq, d, p))
      .disjoint("x", x, "state.cache.position", state.cache.position)
      .disjoint("workspace", scratch, "x", x)
      .disjoint("workspace", scratch, "cos", in.cos)
      .disjoint("workspace", scratch, "sin", in.sin)
      .disjoint("workspace", scratch, "v_first", first.v)
      .disjoint("workspace", scratch, "k_first", first.k)
      .disjoint("workspace", scratch, "state.cache.k", state.cache.k)
      .disjoint("workspace", scratch, "state.cache.v", state.cache.v)
      .disjoint("workspace", scratch, "state.cache.position", state.cache.position)
      .disjoint("workspace", scratch, "state.att.shift", state.att.shift.final)
      .disjoint("workspace", scratch, "state.att.S", state.att.S.final);
  if (check.result()) return check.result();
  const auto normed = memory.take<T>(B, tokens, d.C), out = memory.take<T>(B, tokens, d.C);
  const auto problem =
      p.is_attention
          ? validate_attention(seq, d, p.attention,
                               attention_inputs<T>{.x = normed, .cos = in.cos, .sin = in.sin, .window = in.window}, out,
                               state.cache, memory)
          : validate_time_mix<V>(seq, d, p.att, time_mix_inputs<T>{.x = normed, .cos = in.cos, .sin = in.sin}, out,
                                 first, state.att, memory);
  return problem ? problem : validate_swiglu_mlp(p.ffn, swiglu_mlp_inputs<T>{.x = normed}, out, memory);
}

/// One layer over every sequence.
///
///   in      .cos .sin [B, T, N / 2] and .window, read by the block that the layer has
///   x       [B, T, C]  accumulated into
///   first   as in time_mix; layers of attention leave it alone
///   state   .att as in time_mix, or .cache as in attention
///   memory  hybrid_layer_workspace_size<T, V>(sequences, d, p) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. Allocates nothing. Exactness: as its operations.
template <variant V, executor Exec, class T>
void hybrid_layer(Exec&& exec, const sequences& seq, const dims& d, const hybrid_layer_weights& p,
                  const std::type_identity_t<hybrid_layer_inputs<T>>& in, view<T, 3> x,
                  const std::type_identity_t<first_values<T>>& first,
                  const std::type_identity_t<hybrid_layer_state<T>>& state, workspace memory) {
  if (const auto problem =
          detail::problem_of(exec, [&] { return validate_hybrid_layer<V>(seq, d, p, in, x, first, state, memory); }))
    return report(problem);
  const auto normed = memory.take<T>(seq.batch(), seq.tokens(), d.C),
             out = memory.take<T>(seq.batch(), seq.tokens(), d.C);
  const auto norm = [&](auto& inside, const weights<1>& weight) {
    rms_norm(inside, rms_norm_inputs<T>{.x = split_heads(x, d.C), .weight = weight, .eps = p.norm_eps},
             split_heads(normed, d.C));
  };
  detail::prechecked inside(exec);
  norm(inside, p.ln1);
  if (p.is_attention)
    attention(inside, seq, d, p.attention,
              attention_inputs<T>{.x = normed, .cos = in.cos, .sin = in.sin, .window = in.window}, out, state.cache,
              memory);
  else
    time_mix<V>(inside, seq, d, p.att, time_mix_inputs<T>{.x = normed, .cos = in.cos, .sin = in.sin}, out, first,
                state.att, memory);
  residual_add(inside, residual_add_inputs<T>{.x = out}, x);
  norm(inside, p.ln2);
  swiglu_mlp(inside, p.ffn, swiglu_mlp_inputs<T>{.x = normed}, out, memory);
  residual_add(inside, residual_add_inputs<T>{.x = out}, x);
}

}  // namespace rwkv7
