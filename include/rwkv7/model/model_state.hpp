// SPDX-License-Identifier: MIT
/// How the state of a whole model lies in memory.
///
/// One slot is model_state_size elements without a gap, so that copying a slot is branching. With RWKV-LM's layers it
/// holds, layer after layer,
///
///   att shift  [C]        the last token's input of time-mix; not there where the variant has no token shift
///   ffn shift  [C]        the last token's input of channel-mix
///   S          [H, N, N]  row = value, column = key
///
/// and in linearised Transformers
///
///   position   [2]                  tokens seen so far: the first + 2^24 times the second, both whole numbers
///   att shift  [C]                  of each layer with time-mix in turn, with token shift, and
///   S          [H, N, N]            its state
///   k v        [H_kv, context, N]   of each attention layer in turn: rings in which position p has place p mod context
///
/// A fresh state is all zeros. Snapshots (core/state.hpp) hold what lies before the rings: copied over a slot's
/// beginning, they take the model back, and rings still hold what it then sees, if context ≥ window + tokens taken
/// back.
#pragma once

#include <algorithm>

#include "rwkv7/core/kv_cache.hpp"
#include "rwkv7/model/model_weights.hpp"

namespace rwkv7 {

/// Elements of one time-mix layer's part of a slot.
template <variant V>
constexpr index_t layer_state_size(const model_sizes& s) noexcept {
  const index_t shifts = (V.token_shift ? 1 : 0) + (V.layers == layer_form::rwkv_lm ? 1 : 0);
  return shifts * s.C + s.H * s.N * s.N;
}
/// Elements that say how many tokens a state has seen.
template <variant V>
inline constexpr index_t position_size = V.layers == layer_form::transformer ? 2 : 0;
/// Elements of a snapshot of a slot: all but the rings of attention layers.
template <variant V>
constexpr index_t model_snapshot_size(const model_sizes& s) noexcept {
  return position_size<V> + (s.layers - s.attention) * layer_state_size<V>(s);
}
/// Elements of a whole slot.
template <variant V>
constexpr index_t model_state_size(const model_sizes& s) noexcept {
  return model_snapshot_size<V>(s) + 2 * s.attention * s.H_kv * s.context * s.N;
}

namespace detail {

/// The elements [first, first + size of `shape`) of every slot or snapshot, as tensors: a strided view of the same
/// memory, absent where that is.
template <class E, int Rank, std::size_t Inner>
view<E, Rank - 1 + static_cast<int>(Inner)> part_of(const view<E, Rank>& v, index_t first,
                                                    const inline_array<index_t, Inner>& shape) noexcept {
  if (!v) return {};
  const auto strides_in = dense_strides(shape);
  inline_array<index_t, static_cast<std::size_t>(Rank) - 1 + Inner> extents{}, strides{};
  std::copy(shape.begin(), shape.end(), std::copy_n(v.extents().begin(), Rank - 1, extents.begin()));
  std::copy(strides_in.begin(), strides_in.end(), std::copy_n(v.strides().begin(), Rank - 1, strides.begin()));
  return {slice(v, Rank - 1, first, 1).data(), extents, strides};
}
/// The same of all that is carried.
template <class T, std::size_t Inner>
carried<T, static_cast<int>(Inner) + 1> parts_of(const carried<T, 2>& slots, index_t first,
                                                 const inline_array<index_t, Inner>& shape) noexcept {
  return {part_of(slots.initial, first, shape),
          part_of(slots.final, first, shape),
          {part_of(slots.every.ring, first, shape), slots.every.first}};
}

}  // namespace detail

/// One layer's part of the slots [slots, state_size] of a model with RWKV-LM's layers, and of the snapshots [slots, R,
/// state_size]: strided views of the same memory, absent where those are.
template <variant V, class T>
layer_state<T> state_of_layer(const model_sizes& s, const carried<T, 2>& slots, index_t layer) noexcept {
  static_assert(V.layers == layer_form::rwkv_lm,
                "rwkv7: states of linearised Transformers have parts of other kinds: state_of_time_mix and "
                "rings_of_attention say where");
  layer_state<T> result;
  index_t first = layer * layer_state_size<V>(s);
  if constexpr (V.token_shift) {
    result.att.shift = detail::parts_of(slots, first, inline_array<index_t, 1>{s.C});
    first += s.C;
  }
  result.ffn = detail::parts_of(slots, first, inline_array<index_t, 1>{s.C});
  result.att.S = detail::parts_of(slots, first + s.C, inline_array<index_t, 3>{s.H, s.N, s.N});
  return result;
}
/// The same of a linearised Transformer, of its time-mix layer number `layer`, counted among themselves.
template <variant V, class T>
time_mix_state<T> state_of_time_mix(const model_sizes& s, const carried<T, 2>& slots, index_t layer) noexcept {
  static_assert(
      V.layers == layer_form::transformer,
      "rwkv7: only states of linearised Transformers have layers of time-mix alone; state_of_layer says where "
      "those of others are");
  time_mix_state<T> result;
  index_t first = position_size<V> + layer * layer_state_size<V>(s);
  if constexpr (V.token_shift) {
    result.shift = detail::parts_of(slots, first, inline_array<index_t, 1>{s.C});
    first += s.C;
  }
  result.S = detail::parts_of(slots, first, inline_array<index_t, 3>{s.H, s.N, s.N});
  return result;
}
/// The rings of its attention layer number `layer`, counted among themselves, in slots [slots, state_size].
template <variant V, class T>
kv_cache<T> rings_of_attention(const model_sizes& s, const view<T, 2>& slots,
                               const view<const std::int64_t, 1>& position, index_t layer) noexcept {
  static_assert(V.layers == layer_form::transformer, "rwkv7: only states of linearised Transformers have rings");
  if (!slots) return {};
  const inline_array<index_t, 3> shape{s.H_kv, s.context, s.N};
  const index_t size = s.H_kv * s.context * s.N, first = model_snapshot_size<V>(s) + 2 * layer * size;
  return {detail::part_of(slots, first, shape), detail::part_of(slots, first + size, shape), position};
}

/// How many tokens the state of a linearised Transformer has seen, from its first two elements; -1 where they cannot
/// be that.
template <class T>
std::int64_t stored_position(const T* state) noexcept {
  constexpr double unit = 1 << 24;
  const double low = static_cast<double>(state[0]), high = static_cast<double>(state[1]);
  const auto whole = [](double x) {
    return x >= 0 && x < unit && static_cast<double>(static_cast<std::int64_t>(x)) == x;
  };
  return whole(low) && whole(high) ? static_cast<std::int64_t>(low + unit * high) : -1;
}
/// Writes such a number, below 2^48.
template <class T>
void store_position(std::int64_t position, T* state) noexcept {
  state[0] = static_cast<T>(position % (std::int64_t{1} << 24));
  state[1] = static_cast<T>(position / (std::int64_t{1} << 24));
}

}  // namespace rwkv7
