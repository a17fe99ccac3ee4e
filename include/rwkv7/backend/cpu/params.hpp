// SPDX-License-Identifier: MIT
/// Parameter vectors in the element type of the checkpoint, read a register at a time.
#pragma once

#include "rwkv7/backend/cpu/simd.hpp"
#include "rwkv7/core/weights.hpp"

namespace rwkv7::backend::cpu {

/// A pointer with a run-time element type. The branch is the same for a whole vector, so it predicts; the alternative,
/// one kernel per combination of types, would multiply every kernel by three for each parameter it has.
struct param {
  const void* data;
  dtype type;

  RWKV7_INLINE explicit param(const weights<1>& w) noexcept : data(w.data()), type(w.type()) {}
  /// Row `i` of a matrix of parameters.
  RWKV7_INLINE param(const weights<2>& w, index_t i) noexcept
      : data(static_cast<const char*>(w.data()) + i * w.stride(0) * static_cast<index_t>(size_of(w.type()))),
        type(w.type()) {}
  /// The vector from element `first` on; of an absent one, nothing.
  RWKV7_INLINE param from(index_t first) const noexcept {
    param p = *this;
    if (data) p.data = static_cast<const char*>(data) + first * static_cast<index_t>(size_of(type));
    return p;
  }

  /// The elements `at` stands for, as floats.
  template <class Lanes>
  RWKV7_INLINE auto load(const Lanes& at) const noexcept {
    if (type == dtype::f32) return at.load(static_cast<const float*>(data));
    if (type == dtype::bf16) return at.load(static_cast<const bf16*>(data));
    return at.load(static_cast<const f16*>(data));
  }
};

/// y[.., o] += bias[o] for outputs [first, last) of rows [begin, end), where there is a bias.
template <class Arch>
RWKV7_INLINE void add_bias(const weights<1>& bias, index_t begin, index_t end, index_t first, index_t last,
                           const view<scalar<Arch>, 3>& y) noexcept {
  for (index_t row = begin; bias && row < end; ++row) {
    scalar<Arch>* const out = y.at(row / y.extent(1), row % y.extent(1), first);
    const param p = param(bias).from(first);
    for_lanes<Arch>(last - first, [&](auto at) RWKV7_INLINE_LAMBDA { at.store(out, at.load(out) + p.load(at)); });
  }
}

}  // namespace rwkv7::backend::cpu
