// SPDX-License-Identifier: MIT
/// What a time-mix block is made of and what it carries.
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/state.hpp"
#include "rwkv7/core/weights.hpp"
#include "rwkv7/operands/group_norm.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7 {

/// Parameters, with the names and shapes of RWKV-LM (`blocks.i.att`). Those a variant does not use stay absent.
struct time_mix_weights {
  weights<1> x_r{}, x_w{}, x_k{}, x_v{}, x_a{}, x_g{};  // [C]
  weights<2> receptance{}, key{}, value{}, output{};    // [D, C], [D_kv, C], [D_kv, C], [C, D]
  weights<1> receptance_bias{}, key_bias{};             // [D], [D_kv], or absent
  weights<1> value_bias{}, output_bias{};               // [D_kv], [C], or absent
  weights<1> r_norm{}, k_norm{};                        // [N], with qk_norm
  double norm_eps = 1e-6;                               // of that norm, under the root
  low_rank_weights w{};                                 // decay: w1, w2, w0
  low_rank_weights a{};                                 // in-context learning rate: a1, a2, a0
  low_rank_weights v{};                   // value residual: v1, v2, v0, not in the first layer; added value: v1, v2
  low_rank_weights k{};                   // key residual: k1, k2, k0, not in the first layer
  low_rank_weights g{};                   // gate: g1, g2
  weights<1> k_k{}, k_a{};                // [D_kv] or [D], [D]
  weights<2> r_k{};                       // [H, N]
  weights<1> ln_x_weight{}, ln_x_bias{};  // [D]
  double ln_x_eps = group_norm_eps;       // of that norm, under the root
};

/// Operands of time_mix.
template <class T>
struct time_mix_inputs {
  view<const T, 3> x = detail::missing<T, "x">();  // [B, T, C], normalised
  view<const compute_type<T>, 3> cos{}, sin{};     // [B, T, N / 2]  of rope_table, for variants with rope
};

/// The values and keys of the first layer, [B, T, D_kv]: written by the layer that produces them, read by those above
/// it. They belong to the tokens of one call, not to the state. Which layer that is, the caller says: in models where
/// some layers stay attention, inference takes the first one with time-mix; where training took layer 0 whatever it
/// was, no layer produces and both stay zero.
template <class T>
struct first_values {
  view<T, 3> v{};        // [B, T, D_kv], with a value residual
  view<T, 3> k{};        // [B, T, D_kv], with a key residual: after norm and rope
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
  view<T, 3> r{}, w{}, k{}, v{}, g{};             // [B, T, D]     prepare → recur, readout (v: D_kv or D; w: logits)
  view<T, 3> a{}, b{};                            // [B, T, D]     prepare → recur
  view<T, 3> k0{}, v0{}, k_mix{};                 // [B, T, D_kv]  inside prepare
  view<T, 3> v_mix{};                             // as v          inside prepare
  view<T, 3> hidden{};                            // [B, T, rank]  inside prepare
  view<T, 3> y{};                                 // [B, T, D]     recur → readout
};

}  // namespace rwkv7
