// SPDX-License-Identifier: MIT
/// How the state of a whole model lies in memory.
///
/// One slot is state_size elements without a gap, so that copying a slot is branching. Layer after layer it holds
///
///   att shift  [C]        the last token's input of time-mix; not there where the variant has no token shift
///   ffn shift  [C]        the last token's input of channel-mix
///   S          [H, N, N]  row = value, column = key
///
/// A fresh state is all zeros.
#pragma once

#include <algorithm>
#include <array>

#include "rwkv7/model/model_weights.hpp"

namespace rwkv7 {

/// Elements of one layer's part of a slot, and of a whole slot.
template <variant V>
constexpr index_t layer_state_size(const model_sizes& s) noexcept {
  return (V.token_shift ? 2 : 1) * s.C + s.H * s.N * s.N;
}
template <variant V>
constexpr index_t model_state_size(const model_sizes& s) noexcept {
  return s.layers * layer_state_size<V>(s);
}

/// One layer's part of the slots [slots, state_size] of a model: strided views of the same memory, absent where the
/// slots are.
template <variant V, class T>
layer_state<T> state_of_layer(const model_sizes& s, const carried<T, 2>& slots, index_t layer) noexcept {
  const auto part = [&]<class E, std::size_t Rank>(
      const view<E, 2>& v, index_t first,
      const std::array<index_t, Rank>& shape) -> view<E, static_cast<int>(Rank) + 1> {
    if (!v) return {};
    const auto inner = dense_strides(shape);
    std::array<index_t, Rank + 1> extents{v.extent(0)}, strides{v.stride(0)};
    std::copy(shape.begin(), shape.end(), extents.begin() + 1);
    std::copy(inner.begin(), inner.end(), strides.begin() + 1);
    return {v.at(0, layer * layer_state_size<V>(s) + first), extents, strides};
  };
  const auto parts = [&]<std::size_t Rank>(index_t first, const std::array<index_t, Rank>& shape) {
    return carried<T, static_cast<int>(Rank) + 1>{part(slots.initial, first, shape), part(slots.final, first, shape)};
  };
  layer_state<T> result;
  index_t first = 0;
  if constexpr (V.token_shift) {
    result.att.shift = parts(first, std::array{s.C});
    first += s.C;
  }
  result.ffn = parts(first, std::array{s.C});
  result.att.S = parts(first + s.C, std::array{s.H, s.N, s.N});
  return result;
}

}  // namespace rwkv7
