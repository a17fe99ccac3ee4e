// SPDX-License-Identifier: MIT
/// What layer_norm does to a token and group_norm to a head.
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/params.hpp"

namespace rwkv7::backend::cpu {

/// y = (x - mean) / sqrt(var + eps) ⊙ weight + bias over n elements; y may be x. The variance is summed from the
/// centred values: E[x²] - mean² would cancel.
template <class Arch, class T>
RWKV7_INLINE void normalise(const T* x, index_t n, double eps, param weight, param bias, T* y) noexcept {
  using V = vec<Arch>;
  const auto count = static_cast<scalar<Arch>>(n);
  V sum(0.0f);
  for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA { sum += at.load(x); });
  const V mean(reduce_add<Arch>(sum) / count);
  V squares(0.0f);
  for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA {
    const V d = at.keep(at.load(x) - mean);
    squares = cpu::fma<Arch>(d, d, squares);
  });
  const V scale(1.0f / square_root(reduce_add<Arch>(squares) / count + static_cast<scalar<Arch>>(eps)));
  for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA {
    at.store(y, cpu::fma<Arch>((at.load(x) - mean) * scale, weight.load(at), bias.load(at)));
  });
}

}  // namespace rwkv7::backend::cpu
