// SPDX-License-Identifier: MIT
/// The scalar functions of the operations, a register at a time.
#pragma once

#include "rwkv7/backend/cpu/math.hpp"
#include "rwkv7/core/decay.hpp"
#include "rwkv7/core/view.hpp"
#include "rwkv7/operands/low_rank.hpp"

namespace rwkv7::backend::cpu {

/// y = act(y) for channels [first, last) of rows [begin, end), rows counted over B and T.
template <class Arch, class T>
RWKV7_INLINE void activate_rows(activation act, const view<T, 3>& y, index_t begin, index_t end, index_t first,
                                index_t last) noexcept {
  if (act == activation::identity) return;
  for (index_t row = begin; row < end; ++row) {
    T* p = y.at(row / y.extent(1), row % y.extent(1), first);
    if (act == activation::tanh)
      for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::tanh<Arch>(at.load(p))); });
    else
      for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(p, cpu::sigmoid<Arch>(at.load(p))); });
  }
}

/// What the decay does to the state, for n channels: as the factor w, or as the change w - 1.
enum class decay_as : unsigned char { factor, change };

/// The form of the decay is looked at once per call, outside the loop.
template <class Arch, decay_as As, class T, class Y>
RWKV7_INLINE void decays(decay_form form, decay_offset offset, const T* x, index_t n, Y* y) noexcept {
  using V = vec<Arch>;
  const auto exponential = [](const V& e) RWKV7_INLINE_LAMBDA {
    return As == decay_as::factor ? cpu::exp<Arch>(e) : cpu::expm1<Arch>(e);
  };
  switch (form) {
    case decay_form::factor:
      for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA {
        at.store(y, As == decay_as::factor ? at.load(x) : at.load(x) - V(1.0f));
      });
      break;
    case decay_form::log:
      for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, exponential(at.load(x))); });
      break;
    case decay_form::loglog:
      for_lanes<Arch>(n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, exponential(-cpu::exp<Arch>(at.load(x)))); });
      break;
    case decay_form::logit: {
      const V scale(static_cast<scalar<Arch>>(-decay_scale(offset)));
      for_lanes<Arch>(
          n, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(y, exponential(scale * cpu::sigmoid<Arch>(at.load(x)))); });
      break;
    }
  }
}

}  // namespace rwkv7::backend::cpu
