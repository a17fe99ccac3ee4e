// SPDX-License-Identifier: MIT
/// A variant of RWKV-7 as a value: what differs between the published models, one switch each.
///
/// Blocks are templates over such a value. A new variant is a copy of an old one with a field changed:
///
///   constexpr variant mine = [] { variant v = x070; v.bonus = false; return v; }();
///   time_mix<mine>(…);
#pragma once

#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/key_rule.hpp"

namespace rwkv7 {

/// Where v is mixed towards the first layer's: nowhere, or before or after its heads are repeated for groups of
/// queries. The mix then has as many channels as the keys and values that are projected, or as the queries.
enum class first_mix : unsigned char { none, before_repeat, after_repeat };
/// What follows the recurrence: nothing, a norm of every head, or a product with N^(-1/2).
enum class readout_norm : unsigned char { none, group_norm, scale };
/// What y is multiplied by before the output projection: nothing, g = σ(x g1) g2, or 1 + g.
enum class gate_form : unsigned char { none, sigmoid, one_plus_sigmoid };
/// What stands around time-mix in a whole model: RWKV-LM's layer norms and channel-mix, or what a Transformer had and
/// keeps: rms norms and SwiGLU, and attention in the layers that were not turned.
enum class layer_form : unsigned char { rwkv_lm, transformer };

/// The switches, with the x070 behaviour as their defaults.
struct variant {
  bool token_shift = true;                              // six mixed inputs; without it all six are x
  decay_offset decay = decay_offset::half;              // c in w = exp(-exp(-c) σ(logit))
  bool qk_norm = false;                                 // rms_norm of every head of r and of the projected k
  bool rope = false;                                    // r and k turn with the position, after that norm
  first_mix value_residual = first_mix::before_repeat;  // v is mixed towards the first layer's
  bool key_residual = false;                            // so is k, after norm and rope, before it is repeated
  bool added_value = false;                             // v += 0.2 (x v1) v2, after it is repeated
  bool scaled_removal = true;                           // kk from k ⊙ k_k, else from k
  key_rule key = key_rule::k_a;                         // what k' is
  readout_norm norm = readout_norm::group_norm;         // on y, before the bonus
  bool bonus = true;                                    // y += (Σ r k r_k) v
  gate_form gate = gate_form::sigmoid;                  // of y before the output projection
  layer_form layers = layer_form::rwkv_lm;              // of a whole model; nothing to the block

  friend constexpr bool operator==(const variant&, const variant&) = default;
};

}  // namespace rwkv7
