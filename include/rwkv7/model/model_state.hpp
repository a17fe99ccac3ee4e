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

#include "rwkv7/model/model_weights.hpp"

namespace rwkv7 {

/// Elements of one layer's part of a slot.
template <variant V>
constexpr index_t layer_state_size(const model_sizes& s) noexcept {
  return (V.token_shift ? 2 : 1) * s.C + s.H * s.N * s.N;
}
/// Elements of a whole slot.
template <variant V>
constexpr index_t model_state_size(const model_sizes& s) noexcept {
  return s.layers * layer_state_size<V>(s);
}

/// One layer's part of the slots [slots, state_size] of a model, and of the snapshots [slots, R, state_size]: strided
/// views of the same memory, absent where those are.
template <variant V, class T>
layer_state<T> state_of_layer(const model_sizes& s, const carried<T, 2>& slots, index_t layer) noexcept {
  const auto part = [&]<class E, int Rank, std::size_t Inner>(
      const view<E, Rank>& v, index_t first,
      const inline_array<index_t, Inner>& shape) -> view<E, Rank - 1 + static_cast<int>(Inner)> {
    if (!v) return {};
    const auto strides_in = dense_strides(shape);
    inline_array<index_t, static_cast<std::size_t>(Rank) - 1 + Inner> extents{}, strides{};
    std::copy(shape.begin(), shape.end(), std::copy_n(v.extents().begin(), Rank - 1, extents.begin()));
    std::copy(strides_in.begin(), strides_in.end(), std::copy_n(v.strides().begin(), Rank - 1, strides.begin()));
    return {slice(v, Rank - 1, layer * layer_state_size<V>(s) + first, 1).data(), extents, strides};
  };
  const auto parts = [&]<std::size_t Inner>(index_t first, const inline_array<index_t, Inner>& shape) {
    return carried<T, static_cast<int>(Inner) + 1>{part(slots.initial, first, shape),
                                                   part(slots.final, first, shape),
                                                   {part(slots.every.ring, first, shape), slots.every.first}};
  };
  layer_state<T> result;
  index_t first = 0;
  if constexpr (V.token_shift) {
    result.att.shift = parts(first, inline_array<index_t, 1>{s.C});
    first += s.C;
  }
  result.ffn = parts(first, inline_array<index_t, 1>{s.C});
  result.att.S = parts(first + s.C, inline_array<index_t, 3>{s.H, s.N, s.N});
  return result;
}

}  // namespace rwkv7
