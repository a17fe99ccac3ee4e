// SPDX-License-Identifier: MIT
/// The published variants, as values.
///
/// x070 is RWKV-LM's. The others turn the attention of a Transformer into time-mix; they are written down as they
/// were trained and are run: OpenMOSE's RWKVInside and RWKV-Infer (cxa and hxa), yynil's RWKVInside (ARWKV), the
/// RADLADS paper (RAD-RWKV7). "cxa" and "hxa" of one number are the same block; in hxa models some layers stay
/// attention. Models whose teacher has no norm on queries and keys are the same variant without qk_norm.
#pragma once

#include "rwkv7/variant/variant.hpp"

namespace rwkv7 {

/// Standard RWKV-7 "Goose", as RWKV-LM releases it.
inline constexpr variant x070{};

/// What cxa073 and cxa074 are: x070 without token shift and gate, grouped heads, a decay that may fall further.
inline constexpr variant cxa073{.token_shift = false,
                                .decay = decay_offset::six_tenths,
                                .value_residual = first_mix::after_repeat,
                                .gate = gate_form::none,
                                .layers = layer_form::transformer};
/// A gate of 1 + σ, no norm.
inline constexpr variant cxa075{.token_shift = false,
                                .value_residual = first_mix::after_repeat,
                                .norm = readout_norm::none,
                                .gate = gate_form::one_plus_sigmoid,
                                .layers = layer_form::transformer};
/// PRWKV: keys grow with the logarithm of the decay, no k_k, no k_a.
inline constexpr variant cxa076{.token_shift = false,
                                .value_residual = first_mix::after_repeat,
                                .scaled_removal = false,
                                .key = key_rule::one_minus_omega_plus_eta,
                                .norm = readout_norm::scale,
                                .layers = layer_form::transformer};
/// For teachers with a norm on queries and keys.
inline constexpr variant cxa076r = [] {
  variant v = cxa076;
  v.qk_norm = true;
  return v;
}();
/// With rope; D may differ from C. cxa077 is a draft of it.
inline constexpr variant cxa078 = [] {
  variant v = cxa076r;
  v.rope = true;
  return v;
}();
/// HRWKV7: residuals towards the keys and values of the first layer, before heads are repeated.
inline constexpr variant cxa079 = [] {
  variant v = cxa078;
  v.value_residual = first_mix::before_repeat;
  v.key_residual = true;
  return v;
}();
/// Neither residuals nor bonus.
inline constexpr variant hxa07a = [] {
  variant v = cxa078;
  v.value_residual = first_mix::none;
  v.bonus = false;
  return v;
}();
/// A low-rank term added to v.
inline constexpr variant hxa07b = [] {
  variant v = hxa07a;
  v.added_value = true;
  return v;
}();
/// Keys grow with the decay itself.
inline constexpr variant hxa07c = [] {
  variant v = hxa07b;
  v.key = key_rule::one_minus_decay_plus_eta;
  return v;
}();

/// ARWKV-7B: x070 without norm and gate.
inline constexpr variant arwkv{.norm = readout_norm::none, .gate = gate_form::none, .layers = layer_form::transformer};
/// With the gate that its published gated models have. Its trainer's later one is 1 + σ.
inline constexpr variant arwkv_gated{.norm = readout_norm::none, .layers = layer_form::transformer};

/// RADLADS' "RADGoose".
inline constexpr variant rad_rwkv7{.token_shift = false,
                                   .rope = true,
                                   .value_residual = first_mix::after_repeat,
                                   .scaled_removal = false,
                                   .key = key_rule::one_minus_decay_plus_eta,
                                   .norm = readout_norm::scale,
                                   .bonus = false,
                                   .layers = layer_form::transformer};

}  // namespace rwkv7
