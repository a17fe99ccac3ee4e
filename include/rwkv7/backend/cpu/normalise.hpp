// SPDX-License-Identifier: MIT
/// What layer_norm does to a token, and group_norm and readout to a head.
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/backend/cpu/params.hpp"

namespace rwkv7::backend::cpu {

/// (x - mean) / sqrt(var + eps), a register at a time.
template <class Arch>
struct standard {
  vec<Arch> mean, scale;

  RWKV7_INLINE vec<Arch> operator()(const vec<Arch>& x) const noexcept { return (x - mean) * scale; }
};

/// Of n elements. The variance is summed from the centred values: E[x²] - mean² would cancel.
template <class Arch, class T>
RWKV7_INLINE standard<Arch> standard_of(const T* x, index_t n, double eps) noexcept {
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
  return {mean, V(1.0f / square_root(reduce_add<Arch>(squares) / count + static_cast<scalar<Arch>>(eps)))};
}

/// y = (x - mean) / sqrt(var + eps) ⊙ weight + bias over n elements; y may be x.
template <class Arch, class T>
RWKV7_INLINE void normalise(const T* x, index_t n, double eps, param weight, param bias, T* y) noexcept {
  const auto standardised = standard_of<Arch>(x, n, eps);
  for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA {
    at.store(y, cpu::fma<Arch>(standardised(at.load(x)), weight.load(at), bias.load(at)));
  });
}

}  // namespace rwkv7::backend::cpu
