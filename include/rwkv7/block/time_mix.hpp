// SPDX-License-Identifier: MIT
/// The time-mix block of RWKV-7:
///
///   x ─▶ mix ─▶ prepare ─▶ recur ─▶ readout ─▶ y
///
/// time_mix runs all four; each stage can also be called alone.
#pragma once

#include <algorithm>
#include <cmath>

#include "rwkv7/block/time_mix_params.hpp"
#include "rwkv7/core/workspace.hpp"
#include "rwkv7/ops/first_residual.hpp"
#include "rwkv7/ops/key_update.hpp"
#include "rwkv7/ops/linear.hpp"
#include "rwkv7/ops/low_rank.hpp"
#include "rwkv7/ops/readout.hpp"
#include "rwkv7/ops/repeat_kv.hpp"
#include "rwkv7/ops/residual_add.hpp"
#include "rwkv7/ops/rms_norm.hpp"
#include "rwkv7/ops/rope.hpp"
#include "rwkv7/ops/token_shift.hpp"
#include "rwkv7/ops/wkv7.hpp"
#include "rwkv7/variant/catalogue.hpp"
#include "rwkv7/variant/dims.hpp"

namespace rwkv7 {

/// The largest rank of a low-rank map, which is what layers of one model differ in.
inline index_t hidden_rank(const time_mix_weights& p) noexcept {
  return std::max({p.w.in.extent(1), p.a.in.extent(1), p.v.in.extent(1), p.k.in.extent(1), p.g.in.extent(1)});
}

/// Channels of v: those of the queries where their heads may differ within a group, else those that are projected.
constexpr index_t value_width(const variant& v, const dims& d) noexcept {
  return v.added_value || v.value_residual == first_mix::after_repeat ? d.D() : d.D_kv();
}

/// Lays out the activations of one call; on a counting workspace it only measures.
template <variant V, class T>
time_mix_buffers<T> take_time_mix_buffers(workspace& memory, const dims& d, const time_mix_weights& p, index_t B,
                                          index_t tokens) noexcept {
  static_assert(!V.added_value || V.value_residual == first_mix::none,
                "rwkv7: a variant has either a value residual or an added value: both are called v1 and v2");
  const auto take = [&](index_t width) { return memory.take<T>(B, tokens, width); };
  time_mix_buffers<T> z;
  if constexpr (V.token_shift) {
    z.xr = take(d.C), z.xw = take(d.C), z.xk = take(d.C), z.xv = take(d.C), z.xa = take(d.C);
    if constexpr (V.gate != gate_form::none) z.xg = take(d.C);
  }
  z.r = take(d.D()), z.w = take(d.D()), z.k = take(d.D()), z.v = take(value_width(V, d));
  z.a = take(d.D()), z.b = take(d.D()), z.y = take(d.D());
  z.k0 = d.H_kv == d.H ? z.k : take(d.D_kv());
  z.v0 = z.v.extent(2) == d.D_kv() ? z.v : take(d.D_kv());
  if constexpr (V.value_residual != first_mix::none || V.added_value) z.v_mix = take(value_width(V, d));
  if constexpr (V.key_residual) z.k_mix = take(d.D_kv());
  if constexpr (V.gate != gate_form::none) z.g = take(d.D());
  z.hidden = take(hidden_rank(p));
  return z;
}

/// Bytes of scratch that time_mix needs for these sequences.
template <class T, variant V = x070>
std::size_t time_mix_workspace_size(const sequences& seq, const dims& d, const time_mix_weights& p) noexcept {
  workspace counting;
  take_time_mix_buffers<V, T>(counting, d, p, seq.batch(), seq.tokens());
  return counting.required();
}

namespace time_mix_stages {

/// x_c = x + (x of the token before - x) ⊙ mix_c for c in r, w, k, v, a, g. Reads x and the carried x, writes xr … xg.
template <variant V, executor Exec, class T>
void mix(Exec& exec, const sequences& seq, const time_mix_weights& p, const time_mix_inputs<T>& in,
         time_mix_buffers<T>& z, const shift_state<compute_type<T>>& shift) {
  if constexpr (V.token_shift && V.gate != gate_form::none)
    token_shift(exec, seq, token_shift_inputs<T, 6>{.x = in.x, .mix = {p.x_r, p.x_w, p.x_k, p.x_v, p.x_a, p.x_g}},
                {.y = {z.xr, z.xw, z.xk, z.xv, z.xa, z.xg}}, shift);
  else if constexpr (V.token_shift)
    token_shift(exec, seq, token_shift_inputs<T, 5>{.x = in.x, .mix = {p.x_r, p.x_w, p.x_k, p.x_v, p.x_a}},
                {.y = {z.xr, z.xw, z.xk, z.xv, z.xa}}, shift);
}

/// Projections, norm and rope, low-rank maps, residuals towards the first layer and key update. Reads xr … xg (or x),
/// writes r, w, k, v, g, a, b, and the first layer's values and keys when it is this layer that produces them.
template <variant V, executor Exec, class T>
void prepare(Exec& exec, const dims& d, const time_mix_weights& p, const time_mix_inputs<T>& in, time_mix_buffers<T>& z,
             const first_values<T>& first) {
  const auto mixed = [&](const view<T, 3>& x) { return V.token_shift ? view<const T, 3>(x) : in.x; };
  const auto narrow = [&](const low_rank_weights& w) { return slice(z.hidden, 2, 0, w.in.extent(1)); };
  const auto heads = [&](const view<T, 3>& x) { return split_heads(x, d.N); };
  constexpr bool value_residual = V.value_residual != first_mix::none;

  if (value_residual && first.produce) z.v0 = first.v;
  if (V.key_residual && first.produce) z.k0 = first.k;
  linear(exec, linear_inputs<T>{.x = mixed(z.xr), .weight = p.receptance, .bias = p.receptance_bias}, z.r);
  linear(exec, linear_inputs<T>{.x = mixed(z.xk), .weight = p.key, .bias = p.key_bias}, z.k0);
  linear(exec, linear_inputs<T>{.x = mixed(z.xv), .weight = p.value, .bias = p.value_bias}, z.v0);
  if constexpr (V.qk_norm) {
    rms_norm(exec, rms_norm_inputs<T>{.x = heads(z.r), .weight = p.r_norm, .eps = p.norm_eps}, heads(z.r));
    rms_norm(exec, rms_norm_inputs<T>{.x = heads(z.k0), .weight = p.k_norm, .eps = p.norm_eps}, heads(z.k0));
  }
  if constexpr (V.rope) {
    rope(exec, rope_inputs<T>{.x = heads(z.r), .cos = in.cos, .sin = in.sin}, heads(z.r));
    rope(exec, rope_inputs<T>{.x = heads(z.k0), .cos = in.cos, .sin = in.sin}, heads(z.k0));
  }

  low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xw), .weight = p.w, .inner = activation::tanh},
           {.hidden = narrow(p.w), .y = z.w});
  low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xa), .weight = p.a, .outer = activation::sigmoid},
           {.hidden = narrow(p.a), .y = z.b});  // eta, until the key update turns it into b
  if constexpr (V.gate != gate_form::none)
    low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xg), .weight = p.g, .inner = activation::sigmoid},
             {.hidden = narrow(p.g), .y = z.g});

  if (value_residual && first.produce) {
    z.v = z.v0;
  } else if (value_residual) {
    low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xv), .weight = p.v}, {.hidden = narrow(p.v), .y = z.v_mix});
    first_residual(exec, first_residual_inputs<T>{.x = heads(z.v0), .first = heads(first.v), .mix = heads(z.v_mix)},
                   heads(z.v));
  }
  if (V.key_residual && !first.produce) {
    low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xk), .weight = p.k}, {.hidden = narrow(p.k), .y = z.k_mix});
    first_residual(exec, first_residual_inputs<T>{.x = heads(z.k0), .first = heads(first.k), .mix = heads(z.k_mix)},
                   heads(z.k0));
  }
  if constexpr (V.added_value) {
    low_rank(exec, low_rank_inputs<T>{.x = mixed(z.xv), .weight = p.v}, {.hidden = narrow(p.v), .y = z.v_mix});
    if (d.H_kv != d.H) repeat_kv(exec, repeat_kv_inputs<T>{.x = heads(z.v0)}, heads(z.v));
    residual_add(exec, residual_add_inputs<T>{.x = z.v_mix, .scale = 0.2}, z.v);
  }
  key_update(exec,
             key_update_inputs<T>{.k = heads(z.k0),
                                  .eta = heads(z.b),
                                  .k_k = V.scaled_removal ? p.k_k : weights<1>{},
                                  .k_a = p.k_a,
                                  .rule = V.key,
                                  .w = heads(z.w),
                                  .offset = V.decay},
             {.k = heads(z.k), .a = heads(z.a), .b = heads(z.b)});
}

/// The recurrence. Reads r, w, k, v, a, b and the carried state, writes y.
template <variant V, executor Exec, class T>
void recur(Exec& exec, const sequences& seq, const dims& d, time_mix_buffers<T>& z, const state<compute_type<T>>& S) {
  const auto heads = [&](const view<T, 3>& x) { return split_heads(x, d.N); };
  wkv7(exec, seq,
       wkv7_inputs<T>{.r = heads(z.r),
                      .w = decay<T>::logit(heads(z.w), V.decay),
                      .k = heads(z.k),
                      .v = heads(z.v),
                      .a = heads(z.a),
                      .b = heads(z.b)},
       heads(z.y), S);
}

/// Norm, bonus, gate and output projection. Reads y, r, k, v, g; changes y; writes `out`.
template <variant V, executor Exec, class T>
void readout(Exec& exec, const dims& d, const time_mix_weights& p, time_mix_buffers<T>& z, const view<T, 3>& out) {
  const auto heads = [&](const view<T, 3>& x) { return split_heads(x, d.N); };
  readout_inputs<T> in{.x = heads(z.y)};
  if constexpr (V.norm == readout_norm::group_norm)
    in.weight = p.ln_x_weight, in.bias = p.ln_x_bias, in.eps = p.ln_x_eps;
  if constexpr (V.norm == readout_norm::scale) in.scale = 1 / std::sqrt(static_cast<double>(d.N));
  if constexpr (V.bonus) in.r = heads(z.r), in.k = heads(z.k), in.v = heads(z.v), in.r_k = p.r_k;
  if constexpr (V.gate != gate_form::none) in.g = heads(z.g);
  if constexpr (V.gate == gate_form::one_plus_sigmoid) in.gate_offset = 1;
  rwkv7::readout(exec, in, heads(z.y));
  linear(exec, linear_inputs<T>{.x = z.y, .weight = p.output, .bias = p.output_bias}, out);
}

}  // namespace time_mix_stages

/// What is wrong with a call of time_mix, or nothing.
template <variant V = x070, class T>
diagnosis validate_time_mix(const sequences& seq, const dims& d, const time_mix_weights& p,
                            const time_mix_inputs<T>& in, const std::type_identity_t<view<T, 3>>& y,
                            const std::type_identity_t<first_values<T>>& first,
                            const std::type_identity_t<time_mix_state<T>>& state, const workspace& memory) noexcept {
  const index_t B = seq.batch(), tokens = seq.tokens(), D = d.D(), D_kv = d.D_kv();
  checker check("time_mix");
  const auto vector = [&](const char* name, const weights<1>& w, index_t width) {
    check.operand(name, w, {{"channels", width}});
  };
  const auto low_rank = [&](const char* matrix_1, const char* matrix_2, const char* bias, const low_rank_weights& w,
                            index_t width) {
    const index_t rank = w.in.extent(1);
    check.operand(matrix_1, w.in, {{"C", d.C}, {"rank", rank}})
        .operand(matrix_2, w.out, {{"rank", rank}, {"D", width}});
    if (bias) check.operand(bias, w.bias, {{"D", width}});
  };
  check.grouped("k v", d.H, d.H_kv).head_size(d.N);
  if constexpr (V.token_shift) {
    vector("x_r", p.x_r, d.C), vector("x_w", p.x_w, d.C), vector("x_k", p.x_k, d.C);
    vector("x_v", p.x_v, d.C), vector("x_a", p.x_a, d.C);
    if constexpr (V.gate != gate_form::none) vector("x_g", p.x_g, d.C);
  }
  check.matrix("receptance", p.receptance, {{"D", D}, {"C", d.C}})
      .matrix("key", p.key, {{"D_kv", D_kv}, {"C", d.C}})
      .matrix("value", p.value, {{"D_kv", D_kv}, {"C", d.C}})
      .matrix("output", p.output, {{"C", d.C}, {"D", D}});
  const auto bias = [&](const char* name, const weights<1>& w, index_t width) {
    if (w) vector(name, w, width);
  };
  bias("receptance.bias", p.receptance_bias, D), bias("key.bias", p.key_bias, D_kv);
  bias("value.bias", p.value_bias, D_kv), bias("output.bias", p.output_bias, d.C);
  if constexpr (V.qk_norm) vector("r_norm.weight", p.r_norm, d.N), vector("k_norm.weight", p.k_norm, d.N);
  low_rank("w1", "w2", "w0", p.w, D);
  low_rank("a1", "a2", "a0", p.a, D);
  if constexpr (V.gate != gate_form::none) low_rank("g1", "g2", nullptr, p.g, D);
  if constexpr (V.added_value) low_rank("v1", "v2", nullptr, p.v, D);
  if constexpr (V.scaled_removal) vector("k_k", p.k_k, p.k_k.extent(0) == D ? D : D_kv);
  if constexpr (V.key == key_rule::k_a) vector("k_a", p.k_a, D);
  if constexpr (V.bonus) check.operand("r_k", p.r_k, {{"H", d.H}, {"N", d.N}});
  if constexpr (V.norm == readout_norm::group_norm) {
    vector("ln_x.weight", p.ln_x_weight, D), vector("ln_x.bias", p.ln_x_bias, D);
  }

  check.operand("x", in.x, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .operand("y", y, {{"B", B}, {"T", tokens}, {"C", d.C}})
      .writable("y", y)
      .disjoint("y", y, "x", in.x);
  if constexpr (V.rope) {
    const index_t half = d.N / 2;
    check.require(d.N % 2 == 0, "head size N", d.N, "an even number, for rope")
        .operand("cos", in.cos, {{"B", B}, {"T", tokens}, {"N / 2", half}})
        .operand("sin", in.sin, {{"B", B}, {"T", tokens}, {"N / 2", half}})
        .disjoint("y", y, "cos", in.cos)
        .disjoint("y", y, "sin", in.sin);
  }
  const auto of_first = [&](const char* name, const view<T, 3>& values) {
    check.operand(name, values, {{"B", B}, {"T", tokens}, {"D_kv", D_kv}})
        .disjoint("y", y, name, values)
        .disjoint(name, values, "x", in.x);
    if (first.produce) check.writable(name, values);
  };
  if constexpr (V.value_residual != first_mix::none) {
    of_first("v_first", first.v);
    if (!first.produce) low_rank("v1", "v2", "v0", p.v, value_width(V, d));
  }
  if constexpr (V.key_residual) {
    of_first("k_first", first.k);
    check.disjoint("k_first", first.k, "v_first", first.v);
    if (!first.produce) low_rank("k1", "k2", "k0", p.k, D_kv);
  }
  const auto carried = [&](const char* name, const auto& c, std::initializer_list<axis> axes, const char* every,
                           std::initializer_list<axis> ring_axes) {
    check.sequence_list(seq, detail::slots_of(c), c.writes());
    if (c.initial) check.shape(name, c.initial, axes).disjoint("y", y, name, c.initial);
    if (c.final)
      check.shape(name, c.final, axes)
          .writable(name, c.final)
          .same_or_disjoint(name, c.final, name, c.initial)
          .disjoint(name, c.final, "x", in.x)
          .disjoint(name, c.final, "y", y);
    check.snapshots_of(c, every, name, ring_axes)
        .disjoint(every, c.every.ring, "x", in.x)
        .disjoint(every, c.every.ring, "y", y)
        .disjoint(every, c.every.ring, "v_first", first.v)
        .disjoint(every, c.every.ring, "k_first", first.k);
  };
  const auto slots = [](const auto& c) { return c.initial ? c.initial.extent(0) : c.final.extent(0); };
  const auto& shifts = state.shift.every.ring;
  const auto& states = state.S.every.ring;
  if constexpr (V.token_shift) {
    carried("state.shift", state.shift, {{"slots", slots(state.shift)}, {"C", d.C}}, "state.shift.every",
            {{"slots", shifts.extent(0)}, {"R", shifts.extent(1)}, {"C", d.C}});
    check.unit_stride("state.shift", "C", state.shift.initial)
        .unit_stride("state.shift", "C", state.shift.final)
        .unit_stride("state.shift.every", "C", shifts);
  }
  carried("state.S", state.S, {{"slots", slots(state.S)}, {"H", d.H}, {"N", d.N}, {"N", d.N}}, "state.S.every",
          {{"slots", states.extent(0)}, {"R", states.extent(1)}, {"H", d.H}, {"N", d.N}, {"N", d.N}});
  const auto scratch = memory.rest();
  return check.scratch(memory.remaining(), time_mix_workspace_size<T, V>(seq, d, p))
      .disjoint("state.S", state.S.final, "state.shift", state.shift.final)
      .disjoint("state.S.every", states, "state.shift", state.shift.initial)
      .disjoint("state.S.every", states, "state.shift", state.shift.final)
      .disjoint("state.S.every", states, "state.shift.every", shifts)
      .disjoint("state.shift.every", shifts, "state.S", state.S.initial)
      .disjoint("state.shift.every", shifts, "state.S", state.S.final)
      .disjoint("state.S", state.S.final, "v_first", first.v)
      .disjoint("state.shift", state.shift.final, "v_first", first.v)
      .disjoint("state.S", state.S.final, "k_first", first.k)
      .disjoint("state.shift", state.shift.final, "k_first", first.k)
      .disjoint("workspace", scratch, "x", in.x)
      .disjoint("workspace", scratch, "cos", in.cos)
      .disjoint("workspace", scratch, "sin", in.sin)
      .disjoint("workspace", scratch, "y", y)
      .disjoint("workspace", scratch, "v_first", first.v)
      .disjoint("workspace", scratch, "k_first", first.k)
      .disjoint("workspace", scratch, "state.S", state.S.initial)
      .disjoint("workspace", scratch, "state.S", state.S.final)
      .disjoint("workspace", scratch, "state.shift", state.shift.initial)
      .disjoint("workspace", scratch, "state.shift", state.shift.final)
      .disjoint("workspace", scratch, "state.S.every", states)
      .disjoint("workspace", scratch, "state.shift.every", shifts)
      .result();
}

/// One time-mix block over every sequence.
///
///   x       [B, T, C]  read; normalised
///   cos sin [B, T, N / 2]  read by variants with rope: rope_table's, for the positions of these tokens
///   y       [B, T, C]  overwritten; must not overlap x
///   first   [B, T, D_kv]  the first layer's values and keys: overwritten if first.produce, else read. Absent without
///           the variant's residuals
///   state   .shift [slots, C] and .S [slots, H, N, N], .initial read, .final overwritten; may be one view each;
///           .every of each as in token_shift and wkv7
///   memory  time_mix_workspace_size<T, V>(sequences, d, p) bytes, overwritten
///
/// Errors: rwkv7::error before anything is written. That outputs, state and scratch share no memory with the parameters
/// is not checked. Allocates nothing.
/// Exactness: as its operations; with the cpu executors bitwise the same for any split of T at multiples of 32, and
/// with snapshots the same as T calls of one token each.
template <variant V = x070, executor Exec, class T>
void time_mix(Exec&& exec, const sequences& seq, const dims& d, const time_mix_weights& p, const time_mix_inputs<T>& in,
              std::type_identity_t<view<T, 3>> y, const std::type_identity_t<first_values<T>>& first,
              const std::type_identity_t<time_mix_state<T>>& state, workspace memory) {
  if (const auto problem =
          detail::problem_of(exec, [&] { return validate_time_mix<V>(seq, d, p, in, y, first, state, memory); }))
    return report(problem);
  auto z = take_time_mix_buffers<V, T>(memory, d, p, seq.batch(), seq.tokens());
  detail::prechecked inside(exec);
  time_mix_stages::mix<V>(inside, seq, p, in, z, state.shift);
  time_mix_stages::prepare<V>(inside, d, p, in, z, first);
  time_mix_stages::recur<V>(inside, seq, d, z, state.S);
  time_mix_stages::readout<V>(inside, d, p, z, y);
}

}  // namespace rwkv7
