// SPDX-License-Identifier: MIT
/// Keys and values that attention layers carry from call to call. The memory is the caller's, a slot of it is whole
/// rings in one piece: to save is to copy it and the position, to branch is to copy both into another slot.
#pragma once

#include <cstdint>

#include "rwkv7/core/sequences.hpp"
#include "rwkv7/core/view.hpp"

namespace rwkv7 {

/// One layer's rings: the key and the value of the token at position p of a slot lie at (slot, head, p mod capacity).
/// What lies where no token was yet is never read.
///
/// To go back by n tokens, lower the position by n: with capacity ≥ window + n - 1, no key that is seen from there is
/// lost.
template <class T>
struct kv_cache {
  view<T, 4> k{};                          // [slots, H_kv, capacity, N]
  view<T, 4> v{};                          // [slots, H_kv, capacity, N]
  view<const std::int64_t, 1> position{};  // [slots]  tokens that each slot had before the call; one for all layers
};

/// Counts the tokens of a call, after the last layer that reads the positions. `seq` is one that an operation has
/// accepted for as many slots.
constexpr void advance_positions(const sequences& seq, const view<std::int64_t, 1>& position) noexcept {
  for (index_t i = 0; i < seq.count(); ++i) position(seq[i].slot) += seq[i].length;
}

}  // namespace rwkv7
