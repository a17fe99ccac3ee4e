// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/dtype.hpp"
#include "rwkv7/core/missing.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// Operands of rope_table, for activations that compute in T.
template <compute_element T>
struct rope_table_inputs {
  view<const std::int64_t, 1> position = detail::missing<T, "position">();  // [slots]  of each sequence's first token
  view<const double, 1> frequency = detail::missing<T, "frequency">();      // [N / 2]  radians per token
};

/// What rope_table writes, and rope reads.
template <compute_element T>
struct rope_table_outputs {
  view<T, 3> cos = detail::missing<T, "cos">();  // [B, T, N / 2]
  view<T, 3> sin = detail::missing<T, "sin">();  // [B, T, N / 2]
};

}  // namespace rwkv7
