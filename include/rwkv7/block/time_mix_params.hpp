// SPDX-License-Identifier: MIT
/// What a time-mix block is made of and what it carries.
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/core/weights.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7 {

/// Parameters, with the names and shapes of RWKV-LM (`blocks.i.att`). Those a variant does not use stay absent.
struct time_mix_weights {
  weights<1> x_r{}, x_w{}, x_k{}, x_v{}, x_a{}, x_g{};  // [C]
  weights<2> receptance{}, key{}, value{}, output{};    // [D, C], [D_kv, C], [D_kv, C], [C, D]
  low_rank_weights w{};                                 // decay: w1, w2, w0
  low_rank_weights a{};                                 // in-context learning rate: a1, a2, a0
  low_rank_weights v{};                                 // value residual: v1, v2, v0; not in the first layer
  low_rank_weights g{};                                 // gate: g1, g2
  weights<1> k_k{}, k_a{};                              // [D_kv], [D]
  weights<2> r_k{};                                     // [H, N]
  weights<1> ln_x_weight{}, ln_x_bias{};                // [D]
};

/// Operands of time_mix.
template <class T>
struct time_mix_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C], layer-normalised
};

/// The values of the first layer, [B, T, D_kv]: written by the layer that produces them, read by those above it. They
/// belong to the tokens of one call, not to the state.
template <class T>
struct first_values {
  view<T, 3> v{};        // [B, T, D_kv]
  bool produce = false;  // written by this call, else read
};

/// What a time-mix block carries from call to call; in float where T is bf16 or f16.
template <class T>
struct time_mix_state {
  shift_state<compute_type<T>> shift{};  // [slots, C]
  state<compute_type<T>> S{};            // [slots, H, N, N]
};

/// The activations of one call, in the caller's workspace. Each stage says which it reads and which it writes.
template <class T>
struct time_mix_buffers {
  view<T, 3> xr{}, xw{}, xk{}, xv{}, xa{}, xg{};  // [B, T, C]     mix → prepare
  view<T, 3> r{}, w{}, k{}, v{}, g{};             // [B, T, D]     prepare → recur, readout (v: D_kv; w: logits)
  view<T, 3> a{}, b{};                            // [B, T, D]     prepare → recur
  view<T, 3> k0{}, v_mix{};                       // [B, T, D_kv]  inside prepare
  view<T, 3> hidden{};                            // [B, T, rank]  inside prepare
  view<T, 3> y{};                                 // [B, T, D]     recur → readout
};

}  // namespace rwkv7
