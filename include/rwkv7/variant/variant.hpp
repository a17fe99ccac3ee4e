// SPDX-License-Identifier: MIT
/// A variant of RWKV-7 as a value: what differs between the published models, one switch each.
///
/// Blocks are templates over such a value. A new variant is a copy of an old one with a field changed:
///
///   constexpr variant mine = [] { variant v = x070; v.bonus = false; return v; }();
///   time_mix<mine>(…);
#pragma once

#include "rwkv7/core/decay.hpp"

namespace rwkv7 {

/// What follows the recurrence.
enum class readout_norm : unsigned char { none, group_norm };

/// The switches, with the x070 behaviour as their defaults.
struct variant {
  bool token_shift = true;                       // six mixed inputs; without it all six are x
  decay_offset decay = decay_offset::half;       // c in w = exp(-exp(-c) σ(logit))
  bool value_residual = true;                    // v is mixed towards the first layer's
  readout_norm norm = readout_norm::group_norm;  // on y, before the bonus
  bool bonus = true;                             // y += (Σ r k r_k) v
  bool gate = true;                              // y ⊙ σ(x g1) g2 before the output projection

  friend constexpr bool operator==(const variant&, const variant&) = default;
};

}  // namespace rwkv7
