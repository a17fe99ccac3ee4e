// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7 {

/// A function of one number.
enum class activation : unsigned char { identity, tanh, sigmoid };

/// The parameters of one low-rank map, as RWKV-LM stores them: both matrices (in, out).
struct low_rank_weights {
  weights<2> in{};    // [C, rank]    w1 a1 v1 g1
  weights<2> out{};   // [rank, D]    w2 a2 v2 g2
  weights<1> bias{};  // [D]          w0 a0 v0; absent for g

  /// False when absent.
  explicit operator bool() const noexcept { return static_cast<bool>(in); }
};

/// Operands of low_rank.
template <class T>
struct low_rank_inputs {
  view<const T, 3> x = detail::missing<T, "x">();            // [B, T, C]
  low_rank_weights weight = detail::missing<T, "weight">();  // both matrices and the bias
  activation inner = activation::identity;                   // between the matrices
  activation outer = activation::identity;                   // on the result
};

/// The hidden values are an output: scratch for inference, kept for a backward pass.
template <class T>
struct low_rank_outputs {
  view<T, 3> hidden = detail::missing<T, "hidden">();  // [B, T, rank]
  view<T, 3> y = detail::missing<T, "y">();            // [B, T, D]
};

}  // namespace rwkv7
