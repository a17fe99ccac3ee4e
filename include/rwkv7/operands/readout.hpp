// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/operands/group_norm.hpp"

namespace rwkv7 {

/// Operands of readout. Its three steps are each there or left out: the norm with weight and bias (without them x is
/// multiplied by `scale`), the bonus with r, k, v and r_k, the gate with g.
template <class T>
struct readout_inputs {
  view<const T, 4> x = detail::missing<T, "x">();  // [B, T, H, N]
  weights<1> weight{}, bias{};                     // [H N]
  double eps = group_norm_eps;                     // under the root
  double scale = 1;                                // of x, where there is no norm
  view<const T, 4> r{};                            // [B, T, H, N]
  view<const T, 4> k{}, v{};                       // [B, T, H_k, N], [B, T, H_v, N]
  weights<2> r_k{};                                // [H, N]
  view<const T, 4> g{};                            // [B, T, H, N]
  double gate_offset = 0;                          // added to g
};

}  // namespace rwkv7
