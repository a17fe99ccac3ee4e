// SPDX-License-Identifier: MIT
/// The scalar functions of the operations, a register at a time.
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::cpu {

/// y = act(y) for channels [first, last) of rows [begin, end), rows counted over B and T.
template <class Arch>
RWKV7_INLINE void activate_rows(activation act, const view<float, 3>& y, index_t begin, index_t end, index_t first,
                                index_t last) noexcept {
  if (act == activation::identity) return;
  for (index_t row = begin; row < end; ++row) {
    float* p = y.at(row / y.extent(1), row % y.extent(1), first);
    if (act == activation::tanh)
      for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::tanh<Arch>(at.load(p))); });
    else
      for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::sigmoid<Arch>(at.load(p))); });
  }
}

/// The factor that multiplies the state, for n channels. The form is looked at once per call, outside the loop.
template <class Arch>
RWKV7_INLINE void decay_factors(decay_form form, decay_offset offset, const float* x, index_t n, float* y) noexcept {
  using V = vec<Arch>;
  switch (form) {
    case decay_form::factor:
      for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, at.load(x)); });
      break;
    case decay_form::log:
      for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, cpu::exp<Arch>(at.load(x))); });
      break;
    case decay_form::loglog:
      for_lanes<Arch>(n,
                      [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, cpu::exp<Arch>(-cpu::exp<Arch>(at.load(x)))); });
      break;
    case decay_form::logit: {
      const V scale(static_cast<float>(-decay_scale(offset)));
      for_lanes<Arch>(
          n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, cpu::exp<Arch>(scale * cpu::sigmoid<Arch>(at.load(x)))); });
      break;
    }
  }
}

}  // namespace rwkv7::backend::cpu
