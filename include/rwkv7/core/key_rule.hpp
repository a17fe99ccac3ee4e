// SPDX-License-Identifier: MIT
#pragma once

namespace rwkv7 {

/// By what k is multiplied to be the key that is written.
enum class key_rule : unsigned char {
  k_a,                       // 1 + (eta - 1) k_a
  one_minus_omega_plus_eta,  // 1 - ω + eta, where the decay is exp(-exp(ω)): ω = -softplus(-logit) - c
  one_minus_decay_plus_eta   // 1 - w + eta, where the decay is w
};

}  // namespace rwkv7
