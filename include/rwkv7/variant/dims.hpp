// SPDX-License-Identifier: MIT
#pragma once

#include "rwkv7/core/config.hpp"

namespace rwkv7 {

/// The sizes a time-mix block cannot read off its weights.
struct dims {
  index_t C;         // channels of the residual stream
  index_t H;         // heads
  index_t N;         // head size
  index_t H_kv = H;  // heads of k and v before the key update; a divisor of H

  /// Width of r, w, g and the readout. Equal to C in x070.
  constexpr index_t D() const noexcept { return H * N; }
  /// Width of the key and value projections.
  constexpr index_t D_kv() const noexcept { return H_kv * N; }
};

}  // namespace rwkv7
